"""Services in the admin, and what each may publish and subscribe to."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from core.admin.base import AuditedAdmin, AuditedInline, Page, RelatedFilter
from streams.admin import integration_page, keys, tabs
from streams.models import Grant, Service
from synapse.groups import ownership


class GrantInline(AuditedInline):
    """A service's grants, edited where the service is."""

    model = Grant
    hide_title = True
    fields = ("action", "stream", "event_type")


@admin.register(Service)
class ServiceAdmin(AuditedAdmin):
    list_display = ["named", "publishes", "subscribes"]
    search_fields = ["name", "description"]
    inlines = [GrantInline]
    list_before_template = "streams/admin/service_list.html"
    change_form_template = "streams/admin/service.html"
    pages = (
        Page(path="integration/", name="integration", view=integration_page.integration),
        Page(path="<int:pk>/keys/", name="keys", view=keys.keys),
        Page(path="<int:pk>/keys/<str:key_id>/rotate/", name="rotate_key", view=keys.rotate),
        Page(path="<int:pk>/keys/<str:key_id>/revoke/", name="revoke_key", view=keys.revoke),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Service]:
        services: QuerySet[Service] = super().get_queryset(request)
        return services.prefetch_related("grants")

    def save_model(self, request: HttpRequest, obj: Service, form: Any, change: bool) -> None:
        before = Service.objects.get(pk=obj.pk).name if change else obj.name
        super().save_model(request, obj, form, change)
        if before != obj.name:
            ownership.rename_service(before, obj.name)

    @admin.display(description="service", ordering="name")
    def named(self, service: Service) -> str:
        return render_to_string("streams/admin/named.html", {"name": service.name, "about": service.description})

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **options: Any) -> HttpResponse:
        service = options.get("obj")
        if service is not None and request.user.has_perm("streams.view_key"):
            context |= {"tabs": tabs.of_service(request, service, "Definition")}
        shown: HttpResponse = super().render_change_form(request, context, **options)
        return shown

    @admin.display(description="publishes to")
    def publishes(self, service: Service) -> str:
        return _grants(service, Grant.Action.PUBLISH)

    @admin.display(description="subscribes to")
    def subscribes(self, service: Service) -> str:
        return _grants(service, Grant.Action.SUBSCRIBE)


@admin.register(Grant)
class GrantAdmin(AuditedAdmin):
    list_display = ["service", "action", "stream", "event_type"]
    list_filter = ["action", ("service", RelatedFilter)]
    list_select_related = ["service"]
    search_fields = ["service__name", "stream", "event_type"]
    autocomplete_fields = ["service"]


def _grants(service: Service, action: Any) -> str:
    grants = [grant for grant in service.grants.all() if grant.action == action]
    return render_to_string("streams/admin/grants.html", {"grants": grants})
