"""The keys of services. What a key is written like is in `synapse.auth.api_key`; no row holds one."""

from django.db import models
from django.utils import timezone

from core.models import CatalogModel
from streams.models.service import Service

LONGEST_LABEL = 100


class Key(CatalogModel):
    """What is kept of an API key: its id, a SHA-256 of the whole, and what it may do."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="keys")
    key_id = models.CharField("id", max_length=8, unique=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    label = models.CharField(max_length=LONGEST_LABEL, blank=True, help_text="What it is for, in your words.")
    scopes = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField("issued", default=timezone.now)
    expires_at = models.DateTimeField("expires", null=True, blank=True)
    revoked_at = models.DateTimeField("revoked", null=True, blank=True)
    # The other service that issued it, with a key of its own; "" when a person, the command or the service itself did.
    issued_by = models.CharField(max_length=100, blank=True, editable=False)
    last_used_at = models.DateTimeField("last used", null=True, blank=True)

    class Meta:
        ordering = ["service", "-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.key_id} of {self.service.name}"

    @property
    def state(self) -> str:
        """What it is now: live, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= timezone.now() else "live"
