"""The messages between parent and child of the sandbox, in JSON, so that neither can make the other run code."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from synapse.formats import exact_json

UNKNOWN_SCHEMA = "unknown schema"
"""Answers a question about an event when the child does not know the schema."""


class Limits(NamedTuple):
    """The limits for one caller's questions: seconds of processor time, MiB of memory."""

    seconds: int
    megabytes: int


class Message(NamedTuple):
    """A question with its arguments. `limits` begin a new budget; without limits, the question uses the current
    budget.
    """

    question: str
    arguments: Sequence[Any]
    limits: Limits | None = None

    def pack(self) -> bytes:
        """Encode the message."""
        limits = None if self.limits is None else list(self.limits)
        message = [self.question, list(self.arguments), limits]
        try:
            return orjson.dumps(message, default=_plain)
        except TypeError:  # an integer of more than 64 bits
            return json.dumps(message, default=_plain).encode()

    @classmethod
    def unpack(cls, data: bytes) -> "Message":
        """Decode a message."""
        try:
            question, arguments, limits = exact_json.loads(data)
        except orjson.JSONEncodeError:  # nested more deeply than orjson can write
            question, arguments, limits = orjson.loads(data)
        return cls(question, arguments, None if limits is None else Limits(*limits))


def pack_answer(**answer: Any) -> bytes:
    """Encode an answer. Its numbers may be of any size, because a witness of an incompatibility may contain such
    numbers.
    """
    return json.dumps(answer).encode()


def unpack_answer(data: bytes) -> dict[str, Any]:
    """Decode an answer."""
    answer: dict[str, Any] = json.loads(data)
    return answer


def _plain(value: Any) -> Any:
    # Convert numbers of Python's exact types; the validator compares their value.
    return exact_json.written(value) if isinstance(value, exact_json.ExactNumber) else float(value)
