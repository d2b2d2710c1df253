"""A stream's definition and its event types."""

import json
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from contracts.models import Contract
from core.models import OwnedModel, column_options
from core.validators import validate_name
from synapse.catalog import stream_definitions as fields
from synapse.catalog import summaries
from synapse.catalog.fields import Duration
from synapse.formats import strict_json


def _raise_refusal(field: Duration, value: timedelta) -> None:
    if refusal := field.refusal_of(value):
        raise ValidationError(refusal)


def validate_age(age: timedelta) -> None:
    """Refuse an age that is too short to keep any event, or too long for a database (a Django validator)."""
    _raise_refusal(fields.MAX_AGE, age)


def validate_window(window: timedelta) -> None:
    """Refuse a window that is too short to be useful, or so long that its keys would fill the memory (a Django
    validator).
    """
    _raise_refusal(fields.IDEMPOTENCY_WINDOW, window)


def default_correlation() -> list[str]:
    """Return the properties by which events are found unless a stream defines others."""
    return list(fields.CORRELATION.default)


def validate_correlation(names: object) -> None:
    """Refuse a value that is not a short list of names (a Django validator)."""
    if refusal := fields.CORRELATION.refusal_of(names):
        raise ValidationError(refusal)


def validate_cloudevents_types(types: object) -> None:
    """Refuse a value that does not name event types (a Django validator)."""
    if refusal := fields.CLOUDEVENTS_TYPES.refusal_of(types):
        raise ValidationError(refusal)


def validate_summaries(values: object) -> None:
    """Refuse a value that is not a list of summaries (a Django validator)."""
    try:
        summaries.parse_summaries(values)
    except summaries.BadSummary as problem:
        raise ValidationError(str(problem)) from problem


def validate_example(example: Any) -> None:
    """Refuse an example that could not be published (a Django validator)."""
    if not isinstance(example, dict):
        raise ValidationError("An event is a JSON object.")
    try:
        strict_json.loads(json.dumps(example).encode())
    except strict_json.BadJSON as error:
        raise ValidationError(str(error)) from None


class Stream(OwnedModel):
    """A named Redis Stream: its purpose, the layout of its entries, and its retention."""

    name = models.CharField(max_length=100, unique=True, validators=[validate_name])
    purpose = models.TextField(blank=True)
    layout = models.CharField(max_length=10, **column_options(fields.LAYOUT))
    enforcement = models.CharField(max_length=10, **column_options(fields.ENFORCEMENT))
    unknown_event_types = models.CharField(max_length=10, **column_options(fields.UNKNOWN_EVENT_TYPES))
    max_length = models.PositiveBigIntegerField(**column_options(fields.MAX_LENGTH))
    max_age = models.DurationField(**column_options(fields.MAX_AGE), validators=[validate_age])
    hard_length = models.PositiveBigIntegerField(**column_options(fields.HARD_LENGTH))
    when_full = models.CharField(max_length=12, **column_options(fields.WHEN_FULL))
    idempotency_window = models.DurationField(**column_options(fields.IDEMPOTENCY_WINDOW), validators=[validate_window])
    idempotency_key = models.CharField(max_length=10, **column_options(fields.IDEMPOTENCY_KEY))
    durability = models.CharField(max_length=10, **column_options(fields.DURABILITY))
    replicas = models.PositiveSmallIntegerField(**column_options(fields.REPLICAS))
    correlation = models.JSONField(
        **column_options(fields.CORRELATION), default=default_correlation, validators=[validate_correlation]
    )
    cloudevents_types = models.JSONField(
        **column_options(fields.CLOUDEVENTS_TYPES), validators=[validate_cloudevents_types]
    )
    summaries = models.JSONField(**column_options(fields.SUMMARIES), validators=[validate_summaries])

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


class EventType(OwnedModel):
    """A kind of event on a stream, with the contract against which its events are checked."""

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
        """Return the event types that use a contract, named for use within a sentence."""
        found = cls.objects.filter(contract=contract).select_related("stream").order_by("stream__name", "name")
        return [f"the event type “{event_type}”" for event_type in found]

    @property
    def own_subject(self) -> str:
        """The subject of the contract that belongs to this event type alone."""
        return f"{self.stream.name}.{self.name}"
