"""The audit record, the catalog's version number, and the base class of everything that belongs to the catalog."""

from django.contrib.auth.models import Group
from django.db import models


class CatalogModel(models.Model):
    """A definition: a change to it is a change of the catalog, which every process must come to know."""

    class Meta:
        abstract = True


class CatalogVersion(models.Model):
    """One row that counts the catalog's changes. It is raised inside the transaction of the change itself."""

    number = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.number)


class AuditEntry(models.Model):
    """Who did what to which thing, and what it was before and after. Written once, never changed.

    `kind` is that of the principal (synapse.auth.principal), `key` the id of the API key that was shown, `address` the
    IP address from which it was done; the latter two are empty where there was none.
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
    """A set of permissions that people can have: Django's group of users. A group is a consumer group here."""

    class Meta:
        proxy = True
