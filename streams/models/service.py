"""The programs that publish and subscribe."""

from django.db import models

from core.models import CatalogModel
from core.validators import validate_name


class Service(CatalogModel):
    """A program that publishes or subscribes."""

    name = models.CharField(max_length=100, unique=True, validators=[validate_name])
    description = models.TextField(blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
