"""Dead letters: the events that no attempt could deliver to a group, and what a person can do about them.

- `reading`      pages of them, one with its attempts, together by error, as lines of JSON
- `acting`       deliver them again (as they are, or edited), or throw them away; each action is recorded
- `fingerprint`  what errors have in common
- `values`       a dead letter, and which are meant

The operations use the threads' connection to Redis, and take and return values: who calls them over HTTP or from a page
is not known here.
"""

from bridges.dead_letters.acting import discard, redrive, redrive_all, redrive_edited
from bridges.dead_letters.reading import by_error, count, export, get, page
from bridges.dead_letters.values import (
    DeadLetter,
    Discarded,
    Edited,
    ErrorGroup,
    Errors,
    Ids,
    Page,
    Redriven,
    Wanted,
)

__all__ = [
    "DeadLetter",
    "Discarded",
    "Edited",
    "ErrorGroup",
    "Errors",
    "Ids",
    "Page",
    "Redriven",
    "Wanted",
    "by_error",
    "count",
    "discard",
    "export",
    "get",
    "page",
    "redrive",
    "redrive_all",
    "redrive_edited",
]
