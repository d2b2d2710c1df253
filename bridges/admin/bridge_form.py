"""The form of a bridge's definition, which checks the settings of its sink as the sink will read them."""

from typing import Any

from django import forms

from bridges.admin.bridge_fields import (
    MADE_ON_SAVING,
    FiltersField,
    OfferedNames,
    ScheduleField,
    SinkForm,
    SinkSettingsField,
    sink_field,
)
from bridges.models import Bridge
from bridges.secrets import free_name
from bridges.sinks import registry
from bridges.sinks.registry import sink_errors, streams_of
from core.admin.list_fields import MappingField, NamesField
from streams.models import Stream
from streams.snapshot import holder
from synapse.auth.permission import VIEW_PERSONAL
from synapse.catalog.bridge_definitions import BRIDGE_FIELDS, EVENT_TYPES, FILTERS, LABELS
from synapse.catalog.file import quote
from synapse.wire.masking import may_hold_pii

# The fields that decide which events of a stream are delivered where, and in which order. Changing them takes the right
# to see PII: otherwise a person could have PII delivered unmasked, or infer it from the delivered events.
_ROUTING = ("stream", "sink", "config", "event_types", "filters", "order_key")
_HOLDS_PII = (
    "Events of the stream {} hold PII, and this decides which of them go where. It takes the permission “Can see "
    f"personal fields of events” ({VIEW_PERSONAL})."
)


class BridgeForm(forms.ModelForm):
    """The form of a bridge. The sink's settings are checked as the sink will read them."""

    event_types = NamesField(required=False, options_of="stream", help_text=EVENT_TYPES.help)
    filters = FiltersField(required=False, help_text=FILTERS.help)
    labels = MappingField(required=False, help_text=LABELS.help)
    retry_schedule = ScheduleField(
        required=False, help_text="Fixed waits between attempts; the last one repeats. Empty: each is twice as long."
    )
    config = SinkSettingsField(required=False, label="Settings")

    class Meta:
        model = Bridge
        fields = ["sink", "config", "name", "stream", "group", *(field.name for field in BRIDGE_FIELDS)]

    # Whether the person may see PII and so choose where it is delivered; and the names that the form offers.
    may_see_pii = False
    offered = OfferedNames()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # The names of secrets to create on saving, by the setting that refers to each.
        self.new_secrets: dict[str, str] = {}
        if "group" in self.fields:
            self.fields["group"].required = False
            self.fields["group"].help_text += " Empty: the name of the bridge."
        if "sink" in self.fields:
            self.fields["sink"] = sink_field()
            chosen = self.initial.get("sink")
            self.sinks = {
                name: SinkForm(
                    registry.find_sink(name),
                    self.offered,
                    self.data if self.is_bound and self.data.get("sink") == name else None,
                    prefix=f"config-{name}",
                    initial=self.initial.get("config") or {} if name == chosen else {},
                )
                for name in registry.sink_names()
            }
            self.fields["config"].widget.forms = self.sinks

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if "group" in values and not values["group"]:
            del values["group"]
            if "name" in values:
                values["group"] = values["name"]
        self._name_new_secrets(values)
        self._keep_pii(values)
        # The sink is checked only when that matters: a bridge whose sink can no longer be opened can still be disabled.
        begins = bool(values.get("enabled")) and "enabled" in self.changed_data
        matters = begins or {"sink", "config", "stream"} & set(self.changed_data)
        if {"sink", "config"} <= values.keys() and matters:
            stream = values.get("stream")
            found = sink_errors(values["sink"], values["config"], stream=stream and stream.name)
            found |= {
                f"config.{setting}": f"there is no stream {quote(name)}"
                for setting, name in streams_of(values["sink"], values["config"]).items()
                if not Stream.objects.filter(name=name).exists()
            }
            for field, text in found.items():
                column, _, name = field.partition(".")
                if name not in self.new_secrets:
                    self._add_sink_error(values["sink"], column, name, text)
        return values

    def _add_sink_error(self, sink: str, column: str, setting: str, text: str) -> None:
        if setting in self.sinks[sink].fields:
            self.sinks[sink].add_error(setting, text)
        self.add_error(column, f"{setting}: {text}" if setting else text)

    def _name_new_secrets(self, values: dict[str, Any]) -> None:
        """Choose names for the secrets to create, and put them into the settings."""
        for setting, value in (values.get("config") or {}).items():
            if value == MADE_ON_SAVING:
                name = free_name(str(values.get("name") or "webhook"))
                self.new_secrets[setting] = name
                values["config"] = {**values["config"], setting: name}

    def _keep_pii(self, values: dict[str, Any]) -> None:
        """Refuse changes of where events with PII go by people without the right to see PII. They may still pause and
        resume.
        """
        before = Bridge.objects.filter(pk=self.instance.pk).select_related("stream").first()
        streams = {stream for stream in (before and before.stream, values.get("stream")) if stream}
        with_pii = sorted(one.name for one in streams if may_hold_pii(holder.current().display_definition(one.name)))
        if self.may_see_pii or not with_pii:
            return
        changed = [
            column
            for column in _ROUTING
            if column in values and (before is None or getattr(before, column) != values[column])
        ]
        for column in changed if before else ["stream"]:
            self.add_error(column, _HOLDS_PII.format(quote(with_pii[0])))
