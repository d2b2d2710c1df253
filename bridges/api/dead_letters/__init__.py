"""Dead letters through Django REST framework.

- `looking`   the list, one of them, the export
- `acting`    redrive and discard, of many and of one
- `body`      what a request's body holds
- `shapes`    what requests and answers hold, for the OpenAPI document
- `examples`  one of each, for the same
"""

from bridges.api.dead_letters.acting import Discard, DiscardOne, Redrive, RedriveOne
from bridges.api.dead_letters.looking import DeadLetters, OneDeadLetter

__all__ = ["DeadLetters", "Discard", "DiscardOne", "OneDeadLetter", "Redrive", "RedriveOne"]
