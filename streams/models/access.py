"""What a service may do."""

import re

from django.core.exceptions import ValidationError
from django.db import models

from core.models import CatalogModel
from streams.models.service import Service

_PATTERN = re.compile(r"[A-Za-z0-9._:*-]{1,100}")


def validate_pattern(text: str) -> None:
    """Refuse what cannot match a name (a Django validator)."""
    if not _PATTERN.fullmatch(text):
        raise ValidationError("A pattern has 1 to 100 of these characters: letters, digits, and . _ : - *")


class Grant(CatalogModel):
    """A service's right on streams: to publish to them or to subscribe, for all or some event types.

    Both patterns are a name, in which `*` stands for any characters.
    """

    class Action(models.TextChoices):
        PUBLISH = "publish"
        SUBSCRIBE = "subscribe"

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="grants")
    action = models.CharField(max_length=10, choices=Action)
    stream = models.CharField(max_length=100, validators=[validate_pattern], help_text="A stream's name, or a pattern.")
    event_type = models.CharField(
        max_length=100, default="*", validators=[validate_pattern], help_text="An event type's name, or a pattern."
    )

    class Meta:
        ordering = ["service", "action", "stream", "event_type"]
        constraints = [
            models.UniqueConstraint(fields=["service", "action", "stream", "event_type"], name="one_grant_of_a_kind")
        ]

    def __str__(self) -> str:
        return f"{self.service.name} may {self.action} {self.stream}/{self.event_type}"
