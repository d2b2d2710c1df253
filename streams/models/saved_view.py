"""Saved views of the explorer."""

from django.conf import settings
from django.db import models

LONGEST_QUERY = 4_000


class SavedView(models.Model):
    """A search of the explorer that a person keeps under a name, for themselves or for all.

    It holds the query of the explorer's address, which the admin's form checks, and no events: people who open it see
    events by their own rights.
    """

    name = models.CharField(max_length=100)
    query = models.CharField(
        max_length=LONGEST_QUERY,
        blank=True,
        help_text="The part of the explorer's address that follows the question mark.",
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views", editable=False
    )
    shared = models.BooleanField(
        default=False,
        help_text="All who see streams find it, and open it with their own rights.",
    )

    class Meta:
        ordering = ["name", "owner"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="one_saved_view_of_a_name_a_person"),
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(shared=True), name="one_shared_saved_view_of_a_name"
            ),
        ]

    def __str__(self) -> str:
        return self.name
