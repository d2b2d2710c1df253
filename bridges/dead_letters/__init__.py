"""Dead letters: the events that no attempt could deliver to a group, and what a person can do about them.

- `queries`       pages of them, one with its attempts, how many are meant
- `error_groups`  together by their errors
- `json_lines`    as lines of JSON
- `actions`       deliver them again (as they are, or edited), or throw them away; each action is recorded
- `redaction`     as somebody may see them, who may not see what is personal
- `revalidation`  what the active contract says of an event

The operations use the threads' connection to Redis, and take and return values: who calls them over HTTP or from a page
is not known here.
"""

from bridges.dead_letters.actions import discard, redrive, redrive_edited
from bridges.dead_letters.error_groups import by_error
from bridges.dead_letters.json_lines import Export, export
from bridges.dead_letters.queries import (
    check_place,
    count,
    get,
    meant,
    page,
)
from bridges.dead_letters.redaction import demand_editing, seen_by
from bridges.dead_letters.revalidation import Verdict, judge
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
