"""A person's own account in the admin: logging out, and changing the password."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache

from core import login_throttle
from core.admin import home
from core.login_audit import locked_out


@never_cache
def log_out(request: HttpRequest) -> HttpResponseBase:
    """Answer a GET of the log-out address with a confirmation, because a GET changes nothing (RFC 9110, 9.2.1).

    Django answers the POST of the form.
    """
    if request.method not in ("GET", "HEAD"):
        answer: HttpResponse = admin.site.logout(request)
        return answer
    if not request.user.is_authenticated:
        return redirect("admin:index")
    return render(request, "core/admin/log_out.html", admin.site.each_context(request))


def change_password(request: HttpRequest) -> HttpResponse:
    """Change the password with the admin's form. Guesses at the old password are limited as at the log-in."""
    if request.method != "POST" or not request.user.is_authenticated:
        return _changed(request)
    username = request.user.get_username()
    if not login_throttle.take_attempt(request, username):
        return locked_out(request)
    answer = _changed(request)
    form = (getattr(answer, "context_data", None) or {}).get("form")
    if form is None or "old_password" not in form.errors:
        login_throttle.give_back_attempts(request, username)
    return answer


def urls() -> list[URLPattern]:
    """Return the routes that come before the admin's own (unfold's hook)."""
    return [
        path("parts/", admin.site.admin_view(home.parts), name="home_parts"),
        path("logout/", log_out, name="logout"),
        path("password_change/", admin.site.admin_view(change_password), name="password_change"),
    ]


def _changed(request: HttpRequest) -> HttpResponse:
    answer: HttpResponse = admin.site.password_change(request)
    return answer
