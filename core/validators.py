"""Validators for models and forms."""

from django.core.exceptions import ValidationError

from synapse.catalog import ownership
from synapse.formats.text import RULE, is_name


def validate_owner(text: str) -> None:
    """Refuse what cannot name an owner."""
    _refuse(ownership.OWNER.refusal_of(text))


def validate_runbook(address: str) -> None:
    """Refuse a value that is not the URL of a page."""
    _refuse(ownership.RUNBOOK.refusal_of(address))


def validate_labels(labels: object) -> None:
    """Refuse a value that is not a mapping of names to texts."""
    _refuse(ownership.LABELS.refusal_of(labels))


def _refuse(refusal: str | None) -> None:
    if refusal:
        raise ValidationError(refusal)


def validate_name(text: str) -> None:
    """Refuse what cannot name a stream, a group or an event type."""
    if not is_name(text):
        raise ValidationError(f"A name has {RULE}.")
