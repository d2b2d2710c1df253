"""Streams, event types, services and grants in the admin."""

from django.contrib import admin

from core.admin import AuditedAdmin
from streams.models import EventType, Grant, Service, Stream


class EventTypeInline(admin.TabularInline):
    """A stream's event types, to look at; each has a page of its own."""

    model = EventType
    fields = readonly_fields = ("name", "description", "contract")
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: object, obj: object = None) -> bool:
        return False


@admin.register(Stream)
class StreamAdmin(AuditedAdmin):
    list_display = ["name", "purpose", "layout", "enforcement", "unknown_event_types", "max_length", "when_full"]
    list_filter = ["layout", "enforcement"]
    search_fields = ["name", "purpose"]
    inlines = [EventTypeInline]
    fieldsets = [
        (None, {"fields": ["name", "purpose"]}),
        ("Events", {"fields": ["layout", "enforcement", "unknown_event_types"]}),
        ("How long they are kept", {"fields": ["max_length", "max_age", "hard_length", "when_full"]}),
    ]


@admin.register(EventType)
class EventTypeAdmin(AuditedAdmin):
    list_display = ["name", "stream", "contract", "description"]
    list_filter = ["stream"]
    list_select_related = ["stream", "contract"]
    search_fields = ["name", "description"]
    autocomplete_fields = ["stream", "contract"]


class GrantInline(admin.TabularInline):
    model = Grant
    fields = readonly_fields = ("action", "stream", "event_type")
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: object, obj: object = None) -> bool:
        return False


@admin.register(Service)
class ServiceAdmin(AuditedAdmin):
    list_display = ["name", "description"]
    search_fields = ["name", "description"]
    inlines = [GrantInline]


@admin.register(Grant)
class GrantAdmin(AuditedAdmin):
    list_display = ["service", "action", "stream", "event_type"]
    list_filter = ["action", "service"]
    list_select_related = ["service"]
    search_fields = ["service__name", "stream", "event_type"]
    autocomplete_fields = ["service"]
