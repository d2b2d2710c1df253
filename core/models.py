"""The audit log, the catalog's version number, and the base classes of all definitions, with columns by declaration."""

from typing import Any

from django.contrib.auth.models import Group
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from core.validators import validate_labels, validate_owner, validate_runbook
from synapse.catalog import ownership
from synapse.catalog.fields import Choice, Count, Field, Labels, Line, Names, Rows


def column_options(field: Field) -> dict[str, Any]:
    """Return the arguments of a model's column for a declared field, except for validators of the owning app."""
    options: dict[str, Any] = {"help_text": field.help}
    if field.default is None:
        options |= {"null": True, "blank": True}
    elif isinstance(field, Rows | Labels):
        options |= {"default": list if isinstance(field, Rows) else dict, "blank": True}
    elif isinstance(field, Names):
        options["blank"] = True
    else:
        options["default"] = field.default
    if isinstance(field, Line):
        options |= {"blank": True, "max_length": field.most}
    if isinstance(field, Choice):
        options["choices"] = list(field.choices.items())
    if isinstance(field, Count):
        # The column itself refuses negative numbers.
        least = [MinValueValidator(field.least)] if field.least else []
        options["validators"] = least if field.most is None else [*least, MaxValueValidator(field.most)]
    return options


class CatalogModel(models.Model):
    """A definition of the catalog. Saving or deleting one raises the catalog's version number, and every process
    reloads.
    """

    class Meta:
        abstract = True


class OwnedModel(CatalogModel):
    """A definition with an owner, a runbook and labels, which its alerts carry."""

    owner = models.CharField(**column_options(ownership.OWNER), validators=[validate_owner])
    runbook = models.CharField(**column_options(ownership.RUNBOOK), validators=[validate_runbook])
    labels = models.JSONField(**column_options(ownership.LABELS), validators=[validate_labels])

    class Meta:
        abstract = True


class CatalogVersion(models.Model):
    """One row with the catalog's version number, raised inside the transaction of each change."""

    number = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.number)


class AuditEntry(models.Model):
    """An audit entry: an actor's action on a target, with the values before and after. Written once, never changed.

    `kind` is the kind of the principal (synapse.auth.principal), `key` the id of the API key, and `address` the IP
    address of the caller. `key` and `address` are empty if there was none.
    """

    at = models.DateTimeField("when", auto_now_add=True, db_index=True)
    actor = models.CharField("who", max_length=200, db_index=True)
    kind = models.CharField(max_length=20, blank=True)
    key = models.CharField(max_length=40, blank=True)
    address = models.CharField("from", max_length=45, blank=True)
    action = models.CharField(max_length=50)
    target = models.CharField("what", max_length=300, db_index=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action} {self.target}"


class Role(Group):
    """A set of permissions for people: Django's group of users. Elsewhere in Synapse, a group is a consumer group."""

    class Meta:
        proxy = True
