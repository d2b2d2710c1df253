"""Models of services, their API keys and their grants. `synapse.auth.api_key` defines the format of keys; rows hold
only digests.
"""

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from core.models import CatalogModel
from core.validators import validate_name
from synapse.auth.key_rights import NAME_PATTERN


class Service(CatalogModel):
    """A program that publishes or subscribes."""

    name = models.CharField(max_length=100, unique=True, validators=[validate_name])
    description = models.TextField(blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


def validate_pattern(text: str) -> None:
    """Refuse a text that cannot match a name (a Django validator)."""
    if not NAME_PATTERN.fullmatch(text):
        raise ValidationError("A pattern has 1 to 100 of these characters: letters, digits, and . _ : - *")


class Grant(CatalogModel):
    """A service's right on streams: to publish to them or to subscribe, for all or some event types.

    `stream` and `event_type` are names in which `*` stands for any characters.
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


LONGEST_LABEL = 100


class Key(CatalogModel):
    """A stored API key: its id, the SHA-256 digest of the whole key, and its scopes."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="keys")
    key_id = models.CharField("id", max_length=8, unique=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    label = models.CharField(max_length=LONGEST_LABEL, blank=True, help_text="Its purpose, in your words.")
    scopes = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField("issued", default=timezone.now)
    expires_at = models.DateTimeField("expires", null=True, blank=True)
    revoked_at = models.DateTimeField("revoked", null=True, blank=True)
    # The name of another service that issued the key; "" when a person, the command or the service itself did.
    issued_by = models.CharField(max_length=100, blank=True, editable=False)
    last_used_at = models.DateTimeField("last used", null=True, blank=True)

    class Meta:
        ordering = ["service", "-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.key_id} of {self.service.name}"

    @property
    def state(self) -> str:
        """The current state: live, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= timezone.now() else "live"
