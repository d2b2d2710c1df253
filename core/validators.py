"""Validators for models and forms."""

from django.core.exceptions import ValidationError

from synapse.catalog import ownership
from synapse.formats.text import RULE, is_name


def validate_owner(text: str) -> None:
    """Refuse a text that is not a valid owner."""
    _raise_refusal(ownership.OWNER.refusal_of(text))


def validate_runbook(address: str) -> None:
    """Refuse a value that is not the URL of a page."""
    _raise_refusal(ownership.RUNBOOK.refusal_of(address))


def validate_labels(labels: object) -> None:
    """Refuse a value that is not a mapping of names to texts."""
    _raise_refusal(ownership.LABELS.refusal_of(labels))


def _raise_refusal(refusal: str | None) -> None:
    if refusal:
        raise ValidationError(refusal)


def validate_name(text: str) -> None:
    """Refuse a text that is not a valid name of a stream, group or event type."""
    if not is_name(text):
        raise ValidationError(f"A name has {RULE}.")
