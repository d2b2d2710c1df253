"""The messages between parent and child of the sandbox: JSON, so that neither can make the other run code."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from synapse.formats import exact_json

UNKNOWN_SCHEMA = "unknown schema"
"""Answers a question about an event when the child does not know the schema."""


class Limits(NamedTuple):
    """The limits for one caller's questions: seconds on a processor, MiB of memory."""

    seconds: int
    megabytes: int


class Message(NamedTuple):
    """A question with its arguments. `limits` begin a new budget; without, it is part of the budget before."""

    question: str
    arguments: Sequence[Any]
    limits: Limits | None = None

    def packed(self) -> bytes:
        """Return it as bytes."""
        limits = None if self.limits is None else list(self.limits)
        message = [self.question, list(self.arguments), limits]
        try:
            return orjson.dumps(message, default=_plain)
        except TypeError:  # an integer that 64 bits cannot hold
            return json.dumps(message, default=_plain).encode()

    @classmethod
    def unpacked(cls, data: bytes) -> "Message":
        """Unpack a message from its bytes."""
        try:
            question, arguments, limits = exact_json.loads(data)
        except orjson.JSONEncodeError:  # nested more deeply than orjson writes
            question, arguments, limits = orjson.loads(data)
        return cls(question, arguments, None if limits is None else Limits(*limits))


def pack_answer(**answer: Any) -> bytes:
    """Return an answer as bytes. Its numbers may be of any size: a document that shows a difference can have such."""
    return json.dumps(answer).encode()


def unpack_answer(data: bytes) -> dict[str, Any]:
    """Unpack an answer from its bytes."""
    answer: dict[str, Any] = json.loads(data)
    return answer


def _plain(value: Any) -> Any:
    # Numbers that Python keeps exactly; the validator looks at their value.
    return exact_json.written(value) if isinstance(value, exact_json.ExactNumber) else float(value)
