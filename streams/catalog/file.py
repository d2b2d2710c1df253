"""From a catalog file to definitions of streams, event types, services and grants."""

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError

from contracts import catalog as contracts
from streams.models import EventType, Grant, Stream
from streams.models.access import validate_pattern
from synapse.catalog.file import CatalogFile, Item
from synapse.catalog.plan import Values
from synapse.formats import iso_duration

STREAM, EVENT_TYPE, SERVICE, GRANT = KINDS = ("stream", "event type", "service", "grant")
SECTIONS = ("streams", "services")

# The database counts microseconds in 64 bits; this is well below.
_PATTERN_RULE = "1 to 100 letters, digits, and . _ : - *"
_CHOICES = {
    "layout": Stream.Layout,
    "enforcement": Stream.Enforcement,
    "unknown_event_types": Stream.UnknownEventTypes,
    "when_full": Stream.WhenFull,
    "idempotency_key": Stream.IdempotencyKey,
    "durability": Stream.Durability,
}
# Columns that a file writes in ISO 8601.
DURATIONS = ("max_age", "idempotency_window")
STREAM_KEYS = (
    *("name", "purpose", "layout", "enforcement", "unknown_event_types"),
    *("max_length", "max_age", "hard_length", "when_full"),
    *("idempotency_window", "idempotency_key", "durability", "replicas", "event_types"),
)
# The key of a service that lists its grants, for each action.
LISTS = {"publishes": Grant.Action.PUBLISH.value, "subscribes": Grant.Action.SUBSCRIBE.value}


def read(file: CatalogFile) -> None:
    """Read the sections `streams` and `services`."""
    for item in file.section("streams"):
        _read_stream(item)
    for item in file.section("services"):
        _read_service(item)


def default_of(key: str) -> Any:
    """Return the value that a stream has when nothing is said, as a file would write it."""
    value = Stream._meta.get_field(key).get_default()  # type: ignore[union-attr]  # these are columns
    return iso_duration.text_of(value) if isinstance(value, timedelta) else getattr(value, "value", value)


def grant_name(values: Values) -> str:
    """Return how a grant is named, as `str()` of one does."""
    return f"{values['service']} may {values['action']} {values['stream']}/{values['event_type']}"


def _read_stream(item: Item) -> None:
    item.only(*STREAM_KEYS)
    values: dict[str, Any] = {"purpose": item.text("purpose") or ""}
    for key, choices in _CHOICES.items():
        values[key] = item.choice(key, choices.values, default_of(key))
    values["max_length"] = item.count("max_length", None)
    for key in DURATIONS:
        values[key] = _duration(item, key)
    values["hard_length"] = item.count("hard_length", default_of("hard_length"))
    values["replicas"] = _replicas(item)
    _check_lengths(item, values)
    name = item.name("name")
    if name is not None:
        item.file.add(STREAM, name, values, item.place)
    # Read even without a name: what is wrong inside is to be told at once.
    for event_type in item.items("event_types"):
        _read_event_type(event_type, name)


def _duration(item: Item, key: str) -> Any:
    text = item.text(key)
    if text is None:
        return default_of(key)
    try:
        duration = iso_duration.parse(text)
        _check(key, duration)
    except ValueError as error:
        item.refuse(key, str(error))
    except ValidationError as error:
        item.refuse(key, " ".join(error.messages))
    else:
        return iso_duration.text_of(duration)
    return default_of(key)


def _replicas(item: Item) -> Any:
    replicas = item.count("replicas", default_of("replicas"))
    try:
        _check("replicas", replicas)
    except ValidationError as error:
        item.refuse("replicas", " ".join(error.messages))
    return replicas


def _check(key: str, value: Any) -> None:
    """Hold a value to the validators of its column."""
    Stream._meta.get_field(key).run_validators(value)  # type: ignore[union-attr]  # these are columns


def _check_lengths(item: Item, values: dict[str, Any]) -> None:
    try:
        Stream(max_length=values["max_length"], hard_length=values["hard_length"]).clean()
    except ValidationError as error:
        item.refuse("hard_length", " ".join(error.messages))


def _read_event_type(item: Item, stream: str | None) -> None:
    item.only("name", "description", "schema", "contract", "example")
    values = {"description": item.text("description") or "", "example": item.values.get("example")}
    subject, schema, name = item.text("contract"), contracts.read_schema(item), item.name("name")
    own = item.has("schema")
    if own and item.has("contract"):
        item.refuse("contract", "the event type has a schema of its own; leave one of the two out")
    if name is None or stream is None:
        return
    if own:
        subject = EventType(stream=Stream(name=stream), name=name).own_subject
    values |= {"stream": stream, "name": name, "contract": subject}
    if item.file.add(EVENT_TYPE, f"{stream}/{name}", values, item.place) and own:
        item.file.add(contracts.CONTRACT, str(subject), schema, item.place)


def _read_service(item: Item) -> None:
    item.only("name", "description", *LISTS)
    name = item.name("name")
    if name is not None:
        item.file.add(SERVICE, name, {"description": item.text("description") or ""}, item.place)
    for key, action in LISTS.items():
        for grant in item.items(key):
            _read_grant(grant, name, action)


def _read_grant(item: Item, service: str | None, action: str) -> None:
    item.only("stream", "event_type")
    stream = item.name("stream", valid=_is_pattern, rule=_PATTERN_RULE)
    event_type = "*"
    if item.has("event_type"):
        event_type = item.name("event_type", valid=_is_pattern, rule=_PATTERN_RULE) or "*"
    if service is None or stream is None:
        return
    values = {"service": service, "action": action, "stream": stream, "event_type": event_type}
    item.file.add(GRANT, grant_name(values), values, item.place)


def _is_pattern(text: str) -> bool:
    try:
        validate_pattern(text)
    except ValidationError:
        return False
    return True
