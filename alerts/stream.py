"""The stream of alerts, which an installation defines to have alerts delivered."""

from django.db import transaction

from contracts import registry
from core import audit, catalog_version
from streams.models import EventType, Stream
from synapse.alerts.event import CHANGED, CONTRACTS, NOTIFICATION
from synapse.auth.principal import Principal
from synapse.formats.text import ALERTS_STREAM
from synapse.schema import validator

_DESCRIPTIONS = {
    CHANGED: "An alert fires, or is resolved: each change once, for programs.",
    NOTIFICATION: "Alerts of a rule, together and at most once a minute, for people.",
}
_SETTINGS = {
    "purpose": "Alerts: what is wrong, and what is well again. Synapse alone publishes to it.",
    "unknown_event_types": "reject",
    "max_length": 10_000,
}


def define_stream(*, by: Principal) -> bool:
    """Define the stream of alerts with its event types and contracts, as far as they are missing.

    Return whether anything was missing.
    """
    with transaction.atomic():
        catalog_version.hold()
        stream, is_new = Stream.objects.get_or_create(name=ALERTS_STREAM, defaults=_SETTINGS)
        if is_new:
            audit.record(by, "create", stream, before=None, after=audit.describe(stream))
        for name, schema in CONTRACTS.items():
            row, made = EventType.objects.get_or_create(
                stream=stream, name=name, defaults={"description": _DESCRIPTIONS[name]}
            )
            if made:
                text = validator.canonical_text(schema)
                row.contract = registry.register(row.own_subject, text, by=by).contract
                row.save()
                audit.record(by, "create", row, before=None, after=audit.describe(row))
                is_new = True
    return is_new
