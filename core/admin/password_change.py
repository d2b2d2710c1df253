"""Changing one's own password in the admin: the old one can be guessed no more often than at the log-in."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from core import login_throttle
from core.login_audit import locked_out


def change_password(request: HttpRequest) -> HttpResponse:
    """Answer the admin's form, as long as attempts at the old password are left."""
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
    """Return the route that comes before that of the admin's own."""
    return [path("password_change/", admin.site.admin_view(change_password), name="password_change")]


def _changed(request: HttpRequest) -> HttpResponse:
    answer: HttpResponse = admin.site.password_change(request)
    return answer
