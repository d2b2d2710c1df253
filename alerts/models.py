"""Models of alert rules, which change the built-in rules or add others, and of silences."""

import re
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from core.models import CatalogModel, column_options
from core.validators import validate_labels, validate_name, validate_runbook
from synapse.alerts import definitions
from synapse.alerts.rules import CONDITIONS, DEFAULTS_BY_NAME

# Silences must end, because a forgotten one would hide an outage.
LONGEST_SILENCE = timedelta(days=90)
MOST_SUBJECTS = 100
_PATTERN = re.compile(r"[A-Za-z0-9._:/*-]{1,201}")


def validate_pattern(text: object) -> None:
    """Refuse a pattern that cannot match the name of a stream, bridge, group or service (a Django validator)."""
    if not isinstance(text, str) or not _PATTERN.fullmatch(text):
        raise ValidationError("A pattern has 1 to 201 of these characters: letters, digits, and . _ : / - *")


def validate_subjects(values: object) -> None:
    """Refuse a value that is not a list of patterns (a Django validator)."""
    if not isinstance(values, list) or len(values) > MOST_SUBJECTS:
        raise ValidationError(
            f"A list of at most {MOST_SUBJECTS} patterns, such as [“orders*”]; an empty one means all."
        )
    for text in values:
        validate_pattern(text)


def validate_condition(name: str) -> None:
    """Refuse an invalid condition (a Django validator)."""
    if name not in CONDITIONS:
        raise ValidationError(f"There is no condition “{name[:100]}”. There are: {', '.join(CONDITIONS)}.")


class AlertRule(CatalogModel):
    """An alert rule. One with the name of a built-in rule changes that rule, except for columns that are empty."""

    name = models.CharField(max_length=100, unique=True, validators=[validate_name])
    condition = models.CharField(
        max_length=50,
        blank=True,
        help_text=definitions.CONDITION.help,
        validators=[validate_condition],
    )
    threshold = models.PositiveIntegerField(**column_options(definitions.THRESHOLD))
    for_seconds = models.PositiveIntegerField(**column_options(definitions.FOR_SECONDS))
    severity = models.CharField(max_length=10, blank=True, **column_options(definitions.SEVERITY))
    subjects = models.JSONField(**column_options(definitions.SUBJECTS), validators=[validate_subjects])
    enabled = models.BooleanField(**column_options(definitions.ENABLED))
    description = models.TextField(blank=True, **column_options(definitions.DESCRIPTION))
    runbook = models.CharField(**column_options(definitions.RUNBOOK), validators=[validate_runbook])
    labels = models.JSONField(**column_options(definitions.LABELS), validators=[validate_labels])

    class Meta:
        ordering = ["name"]
        verbose_name = "alert rule"

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        known = DEFAULTS_BY_NAME.get(self.name)
        if known is None and not self.condition:
            raise ValidationError({"condition": f"A rule has one of these: {', '.join(CONDITIONS)}."})
        if known is not None and self.condition not in ("", known.condition):
            raise ValidationError(
                {"condition": f"“{self.name}” is there from the start, for {known.condition}. Choose another name."}
            )


class Silence(CatalogModel):
    """A period in which some alerts send no notifications, and the reason."""

    subject = models.CharField(
        max_length=201,
        default="*",
        validators=[validate_pattern],
        help_text="Of which stream, bridge, group (stream/group) or service: a name, or a pattern with *.",
    )
    rule = models.CharField(
        max_length=100, default="*", validators=[validate_pattern], help_text="Of which rules: a name, or a pattern."
    )
    reason = models.CharField(max_length=500, help_text="Why nobody needs to be told.")
    begins_at = models.DateTimeField("begins", default=timezone.now)
    ends_at = models.DateTimeField("ends", help_text=f"At most {LONGEST_SILENCE.days} days after it begins.")
    created_by = models.CharField("by", max_length=200, editable=False)

    class Meta:
        ordering = ["-ends_at", "-id"]

    def __str__(self) -> str:
        return f"{self.pk} of {self.rule} for {self.subject}"

    def clean(self) -> None:
        if self.begins_at is None or self.ends_at is None:
            return
        if self.ends_at <= self.begins_at:
            raise ValidationError({"ends_at": "A silence ends after it begins."})
        if self.ends_at - self.begins_at > LONGEST_SILENCE:
            raise ValidationError({"ends_at": f"A silence lasts {LONGEST_SILENCE.days} days at most."})

    @property
    def state(self) -> str:
        """Return the current state: active, over or to come."""
        now = timezone.now()
        return "over" if self.ends_at <= now else "active" if self.begins_at <= now else "to come"
