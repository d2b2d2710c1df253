"""Schemas, contracts and their versions, as they are kept."""

from django.core.exceptions import ValidationError
from django.db import models

from contracts import schemas
from contracts.errors import BadSchema
from core.models import CatalogModel


def validate_schema_text(text: str) -> None:
    """Refuse a text that cannot be a contract's schema (a Django validator)."""
    try:
        schemas.compile_schema(schemas.parse(text))
    except BadSchema as error:
        place = error.members.get("pointer")
        raise ValidationError(f"{error.detail} (at {place})" if place else error.detail) from None


def validate_subject(text: str) -> None:
    """Refuse a subject that people could not see or type (a Django validator)."""
    if not text.isprintable():
        raise ValidationError("A subject has only characters that can be seen.")


class Schema(CatalogModel):
    """The text of a schema, kept once: its primary key is the global id, and one text has one id for ever."""

    text = models.TextField(validators=[validate_schema_text])
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the text, in hexadecimal.")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"schema {self.pk}"


class Contract(CatalogModel):
    """What an event type must look like: a subject with numbered versions."""

    subject = models.CharField(max_length=255, unique=True, validators=[validate_subject])
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["subject"]

    def __str__(self) -> str:
        return self.subject


class ContractVersion(CatalogModel):
    """One version of a contract.

    A draft has a text of its own, no number and no schema. Activation gives it the next number and a schema, and
    freezes it; from then on only its state changes.
    """

    class State(models.TextChoices):
        DRAFT = "draft"
        ACTIVE = "active"
        DEPRECATED = "deprecated"

    contract = models.ForeignKey(Contract, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(null=True, blank=True, editable=False)
    state = models.CharField(max_length=10, choices=State, default=State.DRAFT, editable=False)
    draft_text = models.TextField("schema", blank=True, validators=[validate_schema_text])
    schema = models.ForeignKey(
        Schema, null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="versions"
    )
    author = models.CharField(max_length=200, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    activated_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["contract", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["contract", "number"], name="one_number_a_contract"),
            models.UniqueConstraint(
                fields=["contract"],
                condition=models.Q(state="draft"),
                name="one_draft_a_contract",
            ),
            models.CheckConstraint(
                condition=models.Q(state="draft", number=None, schema=None)
                | (~models.Q(state="draft") & models.Q(number__isnull=False, schema__isnull=False)),
                name="only_drafts_have_no_number",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.contract.subject} {'draft' if self.number is None else f'version {self.number}'}"

    @property
    def text(self) -> str:
        """The schema's text, whatever the state."""
        return self.draft_text if self.schema is None else self.schema.text
