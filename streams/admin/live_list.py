"""Lists in the admin whose rows say what goes on, and not only how they are defined."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from django.http import HttpRequest
from unfold.views import ChangeList  # type: ignore[import-untyped]

from streams.admin.queries import ask_all
from synapse.problems import Problem
from synapse.redis.commands.base import Conversation

Overviews = Callable[[Sequence[Any]], Conversation[Mapping[str, Any]]]


def attach_overviews(rows: Sequence[Any], overviews: Overviews) -> Problem | None:
    """Give each row its `overview` by its name, None where Redis could not tell, and return why it could not."""
    found = ask_all({"overview": overviews(rows)})["overview"]
    problem = found if isinstance(found, Problem) else None
    for row in rows:
        row.overview = None if problem else found[row.name]
    return problem


class LiveList(ChangeList):  # type: ignore[misc]
    """A page of the list, with the overview of each row on it: a few round trips, whatever their number."""

    overviews: ClassVar[Overviews]
    problem: Problem | None = None
    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        self.problem = attach_overviews(self.result_list, type(self).overviews)
