"""Dead letters: the events that no attempt could deliver to a group, and what a person can do about them.

- `reading`    pages of them, one with its attempts, how many are meant
- `grouping`   together by their errors
- `exporting`  as lines of JSON
- `acting`     deliver them again (as they are, or edited), or throw them away; each action is recorded
- `seeing`     as somebody may see them, who may not see what is personal
- `judging`    what the active contract says of an event

The operations use the threads' connection to Redis, and take and return values: who calls them over HTTP or from a page
is not known here.
"""

from bridges.dead_letters.acting import discard, redrive, redrive_edited
from bridges.dead_letters.exporting import Export, export
from bridges.dead_letters.grouping import by_error
from bridges.dead_letters.judging import Verdict, judge
from bridges.dead_letters.reading import check_place, count, get, meant, page
from bridges.dead_letters.seeing import demand_editing, seen_by
from synapse.dead_letters.dead_letter import (
    DeadLetter,
    Discarded,
    Edited,
    ErrorGroup,
    Errors,
    Ids,
    Meant,
    Page,
    Redriven,
    Wanted,
)
from synapse.dead_letters.permissions import permit_acting, permit_reading

__all__ = [
    "DeadLetter",
    "Discarded",
    "Edited",
    "ErrorGroup",
    "Errors",
    "Export",
    "Ids",
    "Meant",
    "Page",
    "Redriven",
    "Verdict",
    "Wanted",
    "by_error",
    "check_place",
    "count",
    "demand_editing",
    "discard",
    "export",
    "get",
    "judge",
    "meant",
    "page",
    "permit_acting",
    "permit_reading",
    "redrive",
    "redrive_edited",
    "seen_by",
]
