"""Dead letters through Django REST framework.

- `queries`  the list, one of them, the export
- `actions`  redrive and discard, of many and of one
- `body`     what a request's body holds
- `shapes`   what requests and answers hold, for the OpenAPI document
- `shapes`   one of each, for the same
"""

from bridges.api.dead_letters.actions import (
    Discard,
    DiscardOne,
    Redrive,
    RedriveOne,
)
from bridges.api.dead_letters.queries import DeadLetters, OneDeadLetter

__all__ = ["DeadLetters", "Discard", "DiscardOne", "OneDeadLetter", "Redrive", "RedriveOne"]
