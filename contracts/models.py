"""Models of schemas, contracts and their versions, and of the registry's settings."""

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from core.models import CatalogModel
from synapse import sandbox
from synapse.errors.contracts import BadSchema, UnresolvedReference
from synapse.schema import validator

_GUIDS = uuid.UUID("8b3f4f0e-6a0c-5a55-9b0e-2f6d1c1f7a11")


class Compatibility(models.TextChoices):
    """The earlier versions with which a new one must be compatible, and the direction."""

    NONE = "NONE", "none: every schema may follow every other"
    BACKWARD = "BACKWARD", "backward: it reads what the last version wrote"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE", "backward, all versions"
    FORWARD = "FORWARD", "forward: the last version reads what it writes"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE", "forward, all versions"
    FULL = "FULL", "full: both ways with the last version"
    FULL_TRANSITIVE = "FULL_TRANSITIVE", "full, all versions"


class Policy(models.TextChoices):
    """The strictness of the compatibility check."""

    LENIENT = "LENIENT", "lenient: a new optional property is no break"
    STRICT = "STRICT", "strict: as other registries answer"


class Mode(models.TextChoices):
    """The permitted operations on contracts. READONLY_OVERRIDE applies to the whole registry, over the contracts' own
    modes.
    """

    READWRITE = "READWRITE", "read and write"
    READONLY = "READONLY", "read only"
    READONLY_OVERRIDE = "READONLY_OVERRIDE", "read only, regardless of the contract"


def validate_schema_text(text: str) -> None:
    """Refuse a text that cannot be a contract's schema (a Django validator). References are not resolved."""
    try:
        sandbox.check_schema(validator.parse_schema(text), {})
    except UnresolvedReference:
        # The references are not known here. They are checked when the schema becomes a version.
        return
    except BadSchema as error:
        place = error.members.get("pointer")
        raise ValidationError(f"{error.detail} (at {place})" if place else error.detail) from None


def validate_subject(text: str) -> None:
    """Refuse a subject with invisible characters (a Django validator)."""
    if not text.isprintable() or text.isspace():
        raise ValidationError("A subject has only characters that can be seen.")


def guid_of(digest: str) -> uuid.UUID:
    """Return the GUID of the schema with this digest. It is the same in every registry."""
    return uuid.uuid5(_GUIDS, digest)


class RegistrySettings(CatalogModel):
    """The general settings, which apply to every contract without its own. There is one row."""

    compatibility = models.CharField(max_length=20, choices=Compatibility, default=Compatibility.BACKWARD)
    policy = models.CharField(max_length=10, choices=Policy, default=Policy.LENIENT)
    mode = models.CharField(max_length=20, choices=Mode, default=Mode.READWRITE)
    extras = models.JSONField(default=dict, blank=True, help_text="Further values that clients set, kept for them.")

    class Meta:
        verbose_name = verbose_name_plural = "registry settings"

    def __str__(self) -> str:
        return "registry"


class Schema(CatalogModel):
    """A schema. Its primary key is the global id, which identical schemas share for ever.

    Schemas are identical if their texts, references, metadata and rules are equal.
    """

    text = models.TextField(validators=[validate_schema_text])
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of all that makes it what it is.")
    guid = models.UUIDField(unique=True, editable=False)
    meaning = models.CharField(
        max_length=64, db_index=True, editable=False, help_text="SHA-256 of what it says, however it is laid out."
    )
    references: Any = models.JSONField(
        default=list, blank=True, help_text="The targets of its $ref: name, subject, version."
    )
    metadata = models.JSONField(null=True, blank=True)
    rule_set = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"schema {self.pk}"


class Contract(CatalogModel):
    """The rules for events of a type: a subject with numbered versions.

    If compatibility, policy or mode is empty, the registry's general setting applies.
    """

    subject = models.CharField(max_length=255, unique=True, validators=[validate_subject])
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    compatibility = models.CharField(max_length=20, choices=Compatibility, blank=True)
    policy = models.CharField(max_length=10, choices=Policy, blank=True)
    mode = models.CharField(max_length=20, choices=Mode, blank=True)
    extras = models.JSONField(default=dict, blank=True, editable=False)
    highest = models.PositiveIntegerField(
        default=0, editable=False, help_text="The highest number ever given; deletion does not lower it."
    )

    class Meta:
        ordering = ["subject"]

    def __str__(self) -> str:
        return self.subject


class RemovedContract(models.Model):
    """The remainder of a deleted contract: its highest version number, so that no number is assigned twice."""

    subject = models.CharField(max_length=255, unique=True)
    highest = models.PositiveIntegerField()

    def __str__(self) -> str:
        return self.subject


class ContractVersion(CatalogModel):
    """One version of a contract.

    A draft has a text of its own, no number and no schema. Activation assigns the next number and a schema, and freezes
    the version; from then on only its state changes. A deleted version is hidden and cannot be restored. Deletion for
    good removes the row, but the number is not assigned again.
    """

    class State(models.TextChoices):
        DRAFT = "draft"
        ACTIVE = "active"
        DEPRECATED = "deprecated"

    contract = models.ForeignKey(Contract, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(null=True, blank=True, editable=False)
    state = models.CharField(max_length=10, choices=State, default=State.DRAFT, editable=False)
    draft_text = models.TextField("schema", blank=True, validators=[validate_schema_text])
    draft_references: Any = models.JSONField(default=list, blank=True, editable=False)
    schema = models.ForeignKey(
        Schema, null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="versions"
    )
    author = models.CharField(max_length=200, blank=True, editable=False, help_text="The author of the text.")
    created_at = models.DateTimeField(auto_now_add=True, help_text="When it was written.")
    activated_at = models.DateTimeField(null=True, editable=False)
    activated_by = models.CharField(max_length=200, blank=True, editable=False)
    deprecated_at = models.DateTimeField(null=True, editable=False)
    deprecated_by = models.CharField(max_length=200, blank=True, editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)
    deleted_by = models.CharField(max_length=200, blank=True, editable=False)

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
            models.CheckConstraint(
                condition=~models.Q(state="draft") | models.Q(deleted_at=None), name="drafts_are_not_hidden"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.contract.subject} {'draft' if self.number is None else f'version {self.number}'}"

    @property
    def text(self) -> str:
        """Return the schema's text, also for a draft."""
        return self.draft_text if self.schema is None else self.schema.text

    @property
    def references(self) -> list[dict[str, Any]]:
        """Return the schema's references, also for a draft, each as a dict of name, subject and version."""
        found: list[dict[str, Any]] = self.draft_references if self.schema is None else self.schema.references
        return found


class SchemaReference(models.Model):
    """A schema's reference to a version of a contract. The version cannot be deleted while it exists."""

    schema = models.ForeignKey(Schema, on_delete=models.CASCADE, related_name="referring")
    version = models.ForeignKey(ContractVersion, on_delete=models.PROTECT, related_name="referrers")
    name = models.CharField(max_length=255)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["schema", "name"], name="one_reference_a_name")]

    def __str__(self) -> str:
        return f"{self.schema_id} refers to {self.name}"
