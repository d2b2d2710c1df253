"""Event types in the admin: their definitions, contracts and examples."""

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from unfold.widgets import UnfoldBooleanWidget  # type: ignore[import-untyped]

from contracts import registry
from contracts.admin import extensions
from contracts.admin.extensions import ContractUse
from contracts.models import Contract
from core.admin.base import AuditedAdmin, Page, RelatedFilter, person
from core.admin.json_field import JsonValue, refuse
from core.admin.list_fields import MappingField
from streams.admin import candidate_schemas, tabs
from streams.admin.events import test_event
from streams.admin.events.test_event import find_example_errors, format_error
from streams.models import EventType
from synapse.auth.permission import VIEW_PERSONAL
from synapse.catalog.ownership import LABELS, OWNERSHIP_FIELDS
from synapse.problems import Problem
from synapse.schema import validator
from synapse.schema.inference import Observation, propose

_OWNED = [field.name for field in OWNERSHIP_FIELDS]
_KEPT = (
    "Versions of the contract mark PII in events of this type. Changing that needs the permission "
    "“Can see personal fields of events”."
)


class EventTypeForm(forms.ModelForm):
    """The form of an event type. A new example, or the example under a new contract, must be an event that the stream
    accepts.
    """

    example = JsonValue(required=False, help_text="An event as a publisher sends it. Test events begin with it.")
    labels = MappingField(required=False, help_text=LABELS.help)
    make_contract = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanWidget(),
        label="Make a contract from the example",
        help_text="Its properties and their types are demanded from then on. It can be changed like any other.",
    )

    class Meta:
        model = EventType
        fields = ["stream", "name", "description", *_OWNED, "contract", "example"]

    # Whether the person may remove PII marks from published events.
    may_unmask = False
    may_make_contracts = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if "contract" in self.fields:
            # A contract with versions cannot be deleted. Its own page explains that; a link beside the field would not.
            self.fields["contract"].widget.can_delete_related = False
        if not self.may_make_contracts:
            del self.fields["make_contract"]
        elif self.instance.pk is None:
            self.initial.setdefault("make_contract", True)

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        self._keep_marks()
        # Unchanged values are accepted, even if a newer version of the contract refuses them.
        if {"stream", "name"} <= values.keys() and {"stream", "name", "contract", "example"} & set(self.changed_data):
            found = find_example_errors(
                stream=values["stream"].name,
                name=values["name"],
                example=values.get("example"),
                contract=values.get("contract"),
            )
            refuse(self, "example", self["example"].data or "", found)
        if values.get("contract") or not values.get("example"):
            values["make_contract"] = False
        return values

    def _keep_marks(self) -> None:
        """Refuse changes after which the contract's PII marks would no longer apply to published events."""
        changed = {"stream", "name", "contract"} & set(self.changed_data)
        before = EventType.objects.filter(pk=self.instance.pk).select_related("contract").first()
        if changed and before is not None and not self.may_unmask and _has_marks(before):
            for column in sorted(changed & self.fields.keys()):
                self.add_error(column, _KEPT)


@admin.register(EventType)
class EventTypeAdmin(AuditedAdmin):
    form = EventTypeForm
    list_display = ["name_cell", "stream", "contract", "attempt"]
    list_filter = [("stream", RelatedFilter)]
    list_select_related = ["stream", "contract"]
    search_fields = ["name", "description", "stream__name"]
    autocomplete_fields = ["stream", "contract"]
    change_form_template = "streams/admin/event_type.html"
    fieldsets = [
        (None, {"fields": ["stream", "name", "description"]}),
        (None, {"fields": ["example", "make_contract"], "classes": ["s-wide"]}),
        (None, {"fields": ["contract"]}),
        (LABELS.section, {"fields": _OWNED}),
    ]
    pages = (
        Page(path="<int:pk>/publish/", name="publish", view=test_event.publish),
        Page(path="<int:pk>/draft/", name="draft", view=candidate_schemas.draft_from_newest_events),
    )

    @admin.display(description="event type", ordering="name")
    def name_cell(self, event_type: EventType) -> str:
        about = {"name": event_type.name, "about": event_type.description}
        return render_to_string("streams/admin/named.html", about)

    @admin.display(description="test event")
    def attempt(self, event_type: EventType) -> str:
        return render_to_string("streams/admin/try.html", {"pk": event_type.pk, "name": event_type.name})

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        form = super().get_form(request, obj, change=change, **options)
        form.may_unmask = request.user.has_perm(VIEW_PERSONAL)
        form.may_make_contracts = may_make_contracts(request)
        return form

    def get_fieldsets(self, request: HttpRequest, obj: EventType | None = None) -> Any:
        may_make = may_make_contracts(request) and (obj is None or obj.contract_id is None)
        if may_make and (obj is None or self.has_change_permission(request, obj)):
            return self.fieldsets
        return [
            (title, {**about, "fields": [name for name in about["fields"] if name != "make_contract"]})
            for title, about in self.fieldsets
        ]

    def has_delete_permission(self, request: HttpRequest, obj: EventType | None = None) -> bool:
        # Django also calls this for the event types that are deleted with their stream.
        is_kept = obj is not None and not request.user.has_perm(VIEW_PERSONAL) and _has_marks(obj)
        return not is_kept and bool(super().has_delete_permission(request, obj))

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **options: Any) -> HttpResponse:
        event_type = options.get("obj")
        if event_type is not None and self.has_change_permission(request, event_type):
            context |= {"tabs": tabs.of_event_type(request, event_type, "Definition")}
        shown: HttpResponse = super().render_change_form(request, context, **options)
        return shown

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if form.cleaned_data.get("make_contract"):
            give_contract(request, obj)
        super().save_model(request, obj, form, change)
        for pointer, mistake in find_example_errors(
            stream=obj.stream.name, name=obj.name, example=obj.example, contract=obj.contract
        ):
            warning = f"The example is no longer an event that “{obj.stream}” takes: {format_error(pointer, mistake)}"
            self.message_user(request, warning, messages.WARNING)


def may_make_contracts(request: HttpRequest) -> bool:
    """Say whether a person may make a contract and have events checked against it."""
    return request.user.has_perms(("contracts.add_contract", "contracts.change_contract"))


def give_contract(request: HttpRequest, event_type: EventType) -> None:
    """Register a contract proposed from an event type's example. Show the person a message when that fails."""
    seen = Observation()
    seen.see(event_type.example)
    text = validator.canonical_text(propose(seen, event_type.name))
    try:
        with transaction.atomic():
            version = registry.register(event_type.own_subject, text, by=person(request))
    except Problem as problem:
        messages.error(request, f"No contract was made for “{event_type.name}”: {problem.detail}")
    else:
        event_type.contract = version.contract


def _has_marks(event_type: EventType) -> bool:
    return event_type.contract is not None and registry.has_marks(event_type.contract)


_EFFECTS = {
    "enforce": "“{stream}” refuses “{name}” events that break it.",
    "warn": "“{stream}” takes “{name}” events that break it, and counts them.",
    "off": "“{stream}” checks nothing.",
}


def _uses_of(contract: Contract, schema: Mapping[str, Any] | None) -> Iterator[ContractUse]:
    """Yield the event types of a contract, with the errors of their examples under a schema."""
    for found in EventType.objects.filter(contract=contract).select_related("stream"):
        stream = found.stream
        complaints = [] if schema is None else _list_complaints(found, contract, schema)
        yield ContractUse(
            name=str(found),
            url=reverse("admin:streams_eventtype_change", args=[found.pk]),
            effect=_EFFECTS[stream.enforcement].format(stream=stream.name, name=found.name),
            complaints=complaints,
        )


def _list_complaints(found: EventType, contract: Contract, schema: Mapping[str, Any]) -> list[str]:
    wrong = find_example_errors(
        stream=found.stream.name, name=found.name, example=found.example, contract=contract, schema=schema
    )
    return [format_error(pointer, mistake) for pointer, mistake in wrong]


extensions.register_uses(_uses_of)
