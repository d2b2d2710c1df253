"""Logging out by the address: a page asks first, because a GET changes nothing (RFC 9110, 9.2.1)."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache


@never_cache
def log_out(request: HttpRequest) -> HttpResponseBase:
    """Ask a person who opens the address whether to log out; what a form sends is Django's to answer."""
    if request.method not in ("GET", "HEAD"):
        answer: HttpResponse = admin.site.logout(request)
        return answer
    if not request.user.is_authenticated:
        return redirect("admin:index")
    return render(request, "core/admin/log_out.html", admin.site.each_context(request))


def urls() -> list[URLPattern]:
    """Return the routes that come before those of the admin's own (unfold's hook for more)."""
    return [path("logout/", log_out, name="logout")]
