"""A filter of a list by what its rows belong to, where there may be thousands of that."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

# To write a link for each of a thousand takes longer than the rest of the page. Others are found by a search.
MOST_CHOICES = 100


class RelatedFilter(admin.RelatedFieldListFilter):
    """Offers the first related objects, and the one that is filtered for."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[Any]:
        """Return the keys of the related objects, and how they are shown."""
        objects = field.related_model._default_manager.all()
        found = {one.pk: str(one) for one in objects[:MOST_CHOICES]}
        chosen = [
            text for text in self.lookup_val or () if text.isdecimal() and text.isascii() and int(text) not in found
        ]
        return [*found.items(), *((one.pk, str(one)) for one in objects.filter(pk__in=chosen))]
