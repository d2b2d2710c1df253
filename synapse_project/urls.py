"""All URL patterns of Django."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from contracts.api.urls import root
from core.admin import people
from synapse_project.api_docs import ApiDocs, ApiDocument

admin.site.extra_urls = people.urls  # type: ignore[attr-defined]  # an attribute of the theme's site

urlpatterns = [
    # A browser that opens the server's root is redirected to the admin.
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("", include("synapse_project.endpoints")),
    path("registry/", include("contracts.api.urls")),
    path("registry", root),
    path("openapi.json", ApiDocument.as_view(), name="openapi"),
    path("docs", ApiDocs.as_view(), name="docs"),
    path("docs/", ApiDocs.as_view()),
    path("admin", RedirectView.as_view(pattern_name="admin:index"), name="admin-without-slash"),
    path("admin/", admin.site.urls),
]

handler400 = "core.views.bad_request"
handler403 = "core.views.permission_denied"
handler404 = "core.views.not_found"
handler500 = "core.views.server_error"
