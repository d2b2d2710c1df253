"""Validators for models and forms."""

from django.core.exceptions import ValidationError

from synapse.formats.text import RULE, is_name


def validate_name(text: str) -> None:
    """Refuse what cannot name a stream, a group or an event type."""
    if not is_name(text):
        raise ValidationError(f"A name has {RULE}.")
