"""Models of bridges, of pulled groups, of the secrets that bridges use, and of archived events."""

import json
from datetime import UTC, datetime
from typing import Any

import orjson
from django.core.exceptions import ValidationError
from django.db import models

from core.models import CatalogModel, OwnedModel, column_options
from core.validators import validate_name
from streams.models import Stream
from synapse.catalog import bridge_definitions as fields
from synapse.catalog import filters
from synapse.delivery import retry as delivery_retry_schedule
from synapse.errors.delivery import BadPosition
from synapse.formats import exact_json
from synapse.formats.text import RULE, is_name
from synapse.wire.ids import start_of


def validate_event_types(names: object) -> None:
    """Refuse a value that is not a list of event types (a Django validator)."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValidationError("A list of event types, such as [“inference-complete”]; an empty one means all.")
    for name in names:
        if not is_name(name):
            raise ValidationError(f"“{name[:100]}” is no event type: a name has {RULE}.")
    if len(set(names)) < len(names):
        raise ValidationError("An event type is there twice.")


def validate_config(config: object) -> None:
    """Refuse a value that cannot be a sink's settings (a Django validator)."""
    if not isinstance(config, dict):
        raise ValidationError("The sink's settings by name: {} when it needs none.")


def validate_filters(values: object) -> None:
    """Refuse a value that is not a list of filters (a Django validator)."""
    try:
        filters.read_filters(values)
    except filters.BadFilter as problem:
        raise ValidationError(str(problem)) from problem


def validate_schedule(values: object) -> None:
    """Refuse a value that is not a list of retry waits (a Django validator)."""
    try:
        delivery_retry_schedule.read_schedule(values)
    except delivery_retry_schedule.BadWait as problem:
        raise ValidationError(str(problem)) from problem


def validate_start(text: str) -> None:
    """Refuse a text that is not a position in a stream (a Django validator)."""
    try:
        start_of(text, now=datetime.now(UTC))
    except BadPosition as problem:
        raise ValidationError(problem.detail) from problem


def validate_order_key(name: str) -> None:
    """Refuse a text that cannot name a top-level property (a Django validator)."""
    if any(mark in name for mark in "./[]$") or not name.isprintable():
        raise ValidationError("The name of one top-level property, such as customer_id; no path into it.")


class _Encoder(json.JSONEncoder):
    def encode(self, o: Any) -> str:
        try:
            return exact_json.dumps(o).decode()
        except orjson.JSONEncodeError:  # nested more deeply than orjson can write
            return super().encode(o)


class _Decoder(json.JSONDecoder):
    def __init__(self, **options: Any) -> None:
        super().__init__(parse_float=exact_json.number, parse_int=exact_json.integer, **options)


class EventField(models.JSONField):
    """A JSON column that keeps all digits of decimals. In the database it is a plain JSON column."""

    def __init__(self, **options: Any) -> None:
        super().__init__(encoder=_Encoder, decoder=_Decoder, **options)

    def deconstruct(self) -> Any:
        """Describe the column to migrations as Django's plain JSON column."""
        name, _, args, options = super().deconstruct()
        del options["encoder"], options["decoder"]
        return name, "django.db.models.JSONField", args, options


class Bridge(OwnedModel):
    """Delivers the events of a stream, read as one consumer group, to a sink."""

    name = models.CharField(max_length=100, unique=True, validators=[validate_name])
    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, related_name="bridges")
    group = models.CharField(
        max_length=100,
        validators=[validate_name],
        help_text="The consumer group that the bridge reads as. It belongs to the bridge alone.",
    )
    event_types = models.JSONField(**column_options(fields.EVENT_TYPES), validators=[validate_event_types])
    filters = models.JSONField(**column_options(fields.FILTERS), validators=[validate_filters])
    sink = models.CharField(max_length=50, help_text="Where the events go.")
    config = models.JSONField(
        default=dict, blank=True, validators=[validate_config], help_text="The sink's settings: see docs/bridges.md."
    )
    enabled = models.BooleanField(**column_options(fields.ENABLED))
    paused = models.BooleanField(**column_options(fields.PAUSED))
    start = models.CharField(max_length=50, **column_options(fields.START), validators=[validate_start])
    order = models.CharField(max_length=10, **column_options(fields.ORDER))
    order_key = models.CharField(
        max_length=100, blank=True, help_text=fields.ORDER_KEY.help, validators=[validate_order_key]
    )
    concurrency = models.PositiveIntegerField(**column_options(fields.CONCURRENCY))
    rate_limit = models.PositiveIntegerField(**column_options(fields.RATE_LIMIT))
    batch_size = models.PositiveIntegerField(**column_options(fields.BATCH_SIZE))
    lease_seconds = models.PositiveIntegerField(**column_options(fields.LEASE_SECONDS))
    handler_timeout_seconds = models.PositiveIntegerField(**column_options(fields.HANDLER_TIMEOUT_SECONDS))
    max_attempts = models.PositiveIntegerField(**column_options(fields.MAX_ATTEMPTS))
    backoff_base_seconds = models.PositiveIntegerField(**column_options(fields.BACKOFF_BASE_SECONDS))
    backoff_cap_seconds = models.PositiveIntegerField(**column_options(fields.BACKOFF_CAP_SECONDS))
    delivery_log = models.CharField(max_length=10, **column_options(fields.DELIVERY_LOG))
    tracing = models.CharField(max_length=10, **column_options(fields.TRACING))
    retry_schedule = models.JSONField(**column_options(fields.RETRY_SCHEDULE), validators=[validate_schedule])

    # The service whose read created a pulled group: other services need the right to act on groups.
    opened_by = models.CharField(max_length=100, blank=True, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["stream", "group"], name="one_bridge_a_group")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        errors = {}
        lease, timeout = self.lease_seconds, self.handler_timeout_seconds
        if None not in (lease, timeout) and timeout * 2 > lease:
            errors["handler_timeout_seconds"] = "At most half of the lease."
        base, cap = self.backoff_base_seconds, self.backoff_cap_seconds
        if None not in (base, cap) and base > cap:
            errors["backoff_cap_seconds"] = "Not less than the first wait."
        if self.order == "key" and not self.order_key:
            errors["order_key"] = "The order “key” needs one: the name of a top-level property."
        if self.order != "key" and self.order_key:
            errors["order_key"] = "Only the order “key” has one."
        if errors:
            raise ValidationError(errors)


class OpenedGroup(models.Model):
    """A pulled group that a read opened: the caller of the first read (as in `synapse.shares.counter`), and the time of
    the last one.

    It is not part of the catalog, so recording a read changes no definition.
    """

    bridge = models.OneToOneField(Bridge, on_delete=models.CASCADE, related_name="opened")
    caller_kind = models.CharField(max_length=20)
    caller_name = models.CharField(max_length=200)
    read_at = models.DateTimeField(db_index=True)

    class Meta:
        indexes = [models.Index(fields=["caller_kind", "caller_name"], name="opened_by_caller")]

    def __str__(self) -> str:
        return self.bridge.name


class Secret(CatalogModel):
    """A secret that bridges refer to by name. It is stored encrypted (see `bridges.secrets`), and never shown.

    `previous` is the value before the last change, kept while receivers may still expect it.
    """

    name = models.CharField(max_length=100, unique=True, validators=[validate_name])
    value = models.TextField(editable=False)
    previous = models.TextField(blank=True, editable=False)
    changed_at = models.DateTimeField("changed", auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ArchivedEvent(models.Model):
    """An event that a database sink stored: one row for each event and bridge, however often it was delivered.

    `published_at` is the time in the entry's id, `occurred_at` the event's own time if it has one. `note` names the
    changes without which the database would have refused it.
    """

    bridge = models.ForeignKey(Bridge, null=True, on_delete=models.SET_NULL, related_name="archived_events")
    stream = models.CharField(max_length=100)
    entry_id = models.CharField("id", max_length=41)
    event_type = models.CharField(max_length=200, blank=True)
    occurred_at = models.DateTimeField()
    published_at = models.DateTimeField()
    source = models.CharField(max_length=200, blank=True)
    event = EventField()
    note = models.CharField(max_length=200, blank=True)
    archived_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["bridge", "entry_id"], name="one_row_an_event_and_bridge")]
        indexes = [
            models.Index(fields=["stream", "event_type", "published_at"], name="archive_by_type"),
        ]

    def __str__(self) -> str:
        return f"{self.stream} {self.entry_id}"
