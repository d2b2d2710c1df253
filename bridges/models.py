"""Bridges as somebody defined them, the secrets that they use, and the events that database sinks keep."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from bridges import definitions
from core.models import CatalogModel
from core.names import RULE, is_name
from core.validators import validate_name
from streams.models import Stream

LONGEST_LEASE = 3600


def validate_event_types(names: object) -> None:
    """Refuse what is no list of event types (a Django validator)."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValidationError("A list of event types, such as [“inference-complete”]; an empty one means all.")
    for name in names:
        if not is_name(name):
            raise ValidationError(f"“{name[:100]}” is no event type: a name has {RULE}.")
    if len(set(names)) < len(names):
        raise ValidationError("An event type is there twice.")


def validate_config(config: object) -> None:
    """Refuse what no sink can read (a Django validator)."""
    if not isinstance(config, dict):
        raise ValidationError("The sink's settings by name: {} when it needs none.")


class Bridge(CatalogModel):
    """Carries the events of a stream, as one consumer group, into a sink."""

    class Start(models.TextChoices):
        BEGINNING = "beginning", "beginning: with the oldest event that there is"
        NEW = "new", "new: with what is published from then on"

    name = models.CharField(max_length=100, unique=True, validators=[validate_name])
    stream = models.ForeignKey(Stream, on_delete=models.PROTECT, related_name="bridges")
    group = models.CharField(
        max_length=100,
        validators=[validate_name],
        help_text="The consumer group that the bridge reads as. It belongs to the bridge alone.",
    )
    event_types = models.JSONField(
        default=list, blank=True, validators=[validate_event_types], help_text="Only these; an empty list means all."
    )
    sink = models.CharField(max_length=50, help_text="Where the events go.")
    config = models.JSONField(
        default=dict, blank=True, validators=[validate_config], help_text="The sink's settings: see docs/bridges.md."
    )
    enabled = models.BooleanField(default=True, help_text="Whether anybody works for it. Its group keeps its place.")
    start = models.CharField(
        max_length=10, choices=Start, default=Start.BEGINNING, help_text="Where the group begins when it is made."
    )
    batch_size = models.PositiveIntegerField(
        default=definitions.BATCH,
        validators=[MinValueValidator(1), MaxValueValidator(definitions.LARGEST_BATCH)],
        help_text="How many events are read at once, at most.",
    )
    lease_seconds = models.PositiveIntegerField(
        default=definitions.LEASE_SECONDS,
        validators=[MinValueValidator(2), MaxValueValidator(LONGEST_LEASE)],
        help_text="How long a consumer may have an event before another one gets it.",
    )
    handler_timeout_seconds = models.PositiveIntegerField(
        default=definitions.TIMEOUT_SECONDS,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_LEASE)],
        help_text="How long a handler may take; at most half the lease.",
    )

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["stream", "group"], name="one_bridge_a_group")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if None in (self.lease_seconds, self.handler_timeout_seconds):
            return
        if self.handler_timeout_seconds * 2 > self.lease_seconds:
            raise ValidationError({"handler_timeout_seconds": "At most half of the lease."})


class Secret(CatalogModel):
    """A secret that bridges refer to by its name: encrypted here (bridges.keyring), shown nowhere.

    `previous` is what it was before, as long as receivers may still expect that.
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
    """An event that a database sink keeps: one row for each event and bridge, however often it was delivered.

    `published_at` is told by the entry's id, `occurred_at` by the event itself where it does so. `note` says what had
    to be changed for the database to take it.
    """

    bridge = models.ForeignKey(Bridge, null=True, on_delete=models.SET_NULL, related_name="archived_events")
    stream = models.CharField(max_length=100)
    entry_id = models.CharField("id", max_length=41)
    event_type = models.CharField(max_length=200, blank=True)
    occurred_at = models.DateTimeField()
    published_at = models.DateTimeField()
    source = models.CharField(max_length=200, blank=True)
    event = models.JSONField()
    note = models.CharField(max_length=200, blank=True)
    archived_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["bridge", "entry_id"], name="one_row_an_event_and_bridge")]
        indexes = [
            models.Index(fields=["stream", "event_type", "published_at"], name="archive_by_type"),
            models.Index(fields=["bridge", "published_at"], name="archive_by_bridge"),
        ]

    def __str__(self) -> str:
        return f"{self.stream} {self.entry_id}"
