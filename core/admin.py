"""Admin pages whose every change is recorded, and the record itself."""

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from core import audit
from core.models import AuditEntry
from core.principal import Principal


def person(request: HttpRequest) -> Principal:
    """Return the person who uses the admin."""
    return Principal(kind="person", name=request.user.get_username())


class AuditedAdmin(admin.ModelAdmin):
    """Records each save and delete, with what the row was before and after, in the same transaction."""

    def save_model(self, request: HttpRequest, obj: Model, form: ModelForm, change: bool) -> None:
        before = audit.describe(type(obj)._default_manager.get(pk=obj.pk)) if change else None
        super().save_model(request, obj, form, change)
        after = audit.describe(obj)
        if after != before:
            audit.record(person(request), "change" if change else "create", obj, before=before, after=after)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        audit.record(person(request), "delete", obj, before=audit.describe(obj))
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        for obj in queryset:
            self.delete_model(request, obj)


@admin.register(AuditEntry)
class AuditEntryAdmin(admin.ModelAdmin):
    """The record: to be read, never to be changed."""

    list_display = ["at", "actor", "action", "target"]
    list_filter = ["action", "actor"]
    search_fields = ["target", "actor"]
    date_hierarchy = "at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False
