"""A stream's definition and its event types."""

import json
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from contracts.models import Contract
from core.models import CatalogModel
from core.validators import validate_name
from synapse.formats import strict_json

DEFAULT_HARD_LENGTH = 1_000_000


LONGEST_AGE = timedelta(days=36_500)


def validate_age(age: timedelta) -> None:
    """Refuse an age that would keep nothing, or that no database can hold (a Django validator)."""
    if age < timedelta(seconds=1):
        raise ValidationError("Events must be kept for a second or longer.")
    if age > LONGEST_AGE:
        raise ValidationError("A hundred years (36,500 days) are the longest; leave it empty for no limit.")


SHORTEST_WINDOW, LONGEST_WINDOW = timedelta(minutes=1), timedelta(days=7)
MOST_REPLICAS = 100


def validate_window(window: timedelta) -> None:
    """Refuse a window that no client could use, or whose keys would fill the memory (a Django validator)."""
    if not SHORTEST_WINDOW <= window <= LONGEST_WINDOW:
        raise ValidationError("Idempotency keys are remembered for a minute to seven days.")


def validate_example(example: Any) -> None:
    """Refuse an example that could not be published (a Django validator)."""
    if not isinstance(example, dict):
        raise ValidationError("An event is a JSON object.")
    try:
        strict_json.loads(json.dumps(example).encode())
    except strict_json.BadJSON as error:
        raise ValidationError(str(error)) from None


class Stream(CatalogModel):
    """A named Redis Stream: what it is for, how its events lie, and how long they are kept."""

    class Layout(models.TextChoices):
        FLAT = "flat", "flat: one field a property"
        DUAL = "dual", "dual: flat, and one typed copy in payload"

    class Enforcement(models.TextChoices):
        ENFORCE = "enforce", "enforce: refuse what breaks its contract"
        WARN = "warn", "warn: accept it and count it"
        OFF = "off", "off: check nothing"

    class UnknownEventTypes(models.TextChoices):
        ACCEPT = "accept", "accept events of types that are not defined here"
        REJECT = "reject", "reject them"

    class WhenFull(models.TextChoices):
        DROP_OLDEST = "drop_oldest", "drop the oldest events, even unread ones"
        REJECT = "reject", "refuse new events"

    class IdempotencyKey(models.TextChoices):
        OPTIONAL = "optional", "optional: events may come without one"
        REQUIRED = "required", "required: events without one are refused"

    class Durability(models.TextChoices):
        SERVER = "server", "server: as Redis is set up"
        LOCAL = "local", "local: when it is on Redis' disk"
        REPLICATED = "replicated", "replicated: when replicas have it"

    name = models.CharField(max_length=100, unique=True, validators=[validate_name])
    purpose = models.TextField(blank=True)
    layout = models.CharField(
        max_length=10, choices=Layout, default=Layout.FLAT, help_text="How an event lies in Redis."
    )
    enforcement = models.CharField(
        max_length=10,
        choices=Enforcement,
        default=Enforcement.ENFORCE,
        help_text="What happens to an event that breaks its contract.",
    )
    unknown_event_types = models.CharField(max_length=10, choices=UnknownEventTypes, default=UnknownEventTypes.ACCEPT)
    max_length = models.PositiveBigIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="How many events are kept; empty for the server's default. Events that a group still owes stay.",
    )
    max_age = models.DurationField(
        null=True,
        blank=True,
        validators=[validate_age],
        help_text="How long events are kept, as “7 00:00:00” for seven days; empty for no limit.",
    )
    hard_length = models.PositiveBigIntegerField(
        default=DEFAULT_HARD_LENGTH,
        validators=[MinValueValidator(1)],
        help_text="The length at which “when full” decides, whoever still owes what.",
    )
    when_full = models.CharField(max_length=12, choices=WhenFull, default=WhenFull.DROP_OLDEST)
    idempotency_window = models.DurationField(
        default=timedelta(days=1),
        validators=[validate_window],
        help_text="How long an Idempotency-Key is remembered, a minute to seven days; about 0.25 KB of Redis each.",
    )
    idempotency_key = models.CharField(
        max_length=10,
        choices=IdempotencyKey,
        default=IdempotencyKey.OPTIONAL,
        help_text="Whether publishers must send an Idempotency-Key.",
    )
    durability = models.CharField(
        max_length=10,
        choices=Durability,
        default=Durability.SERVER,
        help_text="When a publisher is told that its event is stored.",
    )
    replicas = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_REPLICAS)],
        help_text="How many replicas must have it, where durability is “replicated”.",
    )

    class Meta:
        ordering = ["name"]
        permissions = [
            ("view_payload", "Can see the payloads of events"),
            ("view_personal", "Can see personal fields of events"),
            ("add_event", "Can publish events by hand"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.max_length is not None and self.hard_length is not None and self.hard_length < self.max_length:
            raise ValidationError({"hard_length": "The hard length cannot be smaller than the maximum length."})


class EventType(CatalogModel):
    """A kind of event on a stream, with the contract that its events keep."""

    stream = models.ForeignKey(Stream, on_delete=models.CASCADE, related_name="event_types")
    name = models.CharField(max_length=100, validators=[validate_name])
    description = models.TextField(blank=True)
    contract = models.ForeignKey(
        Contract,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="event_types",
        help_text="Empty: events of this type are accepted unchecked.",
    )
    example = models.JSONField(
        null=True, blank=True, validators=[validate_example], help_text="An event as a publisher sends it."
    )

    class Meta:
        ordering = ["stream", "name"]
        constraints = [models.UniqueConstraint(fields=["stream", "name"], name="one_event_type_name_a_stream")]

    def __str__(self) -> str:
        return f"{self.stream.name}/{self.name}"

    @classmethod
    def names_of_users(cls, contract: Contract) -> list[str]:
        """Return how sentences name the event types that use a contract."""
        found = cls.objects.filter(contract=contract).select_related("stream").order_by("stream__name", "name")
        return [f"the event type “{event_type}”" for event_type in found]

    @property
    def own_subject(self) -> str:
        """The subject of the contract that belongs to this event type alone."""
        return f"{self.stream.name}.{self.name}"
