"""The child's end of the sandbox: answers questions one after the other, until its parent is gone or asks no more.

Started by `process.py` as `python -m synapse.sandbox.child CHANNEL`. It needs no Django, no settings and no network.
"""

import contextlib
import resource
import signal
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from synapse.compatibility import EarlierVersion, Mode, Policy, check, find_obstacle
from synapse.errors.contracts import BadSchema
from synapse.sandbox.messages import UNKNOWN_SCHEMA, Limits, Message, pack_answer
from synapse.schema.backtest import BackTest
from synapse.schema.regex_safety import refuse_exponential, refuse_foreign, refuse_large
from synapse.schema.validator import CompiledSchema, compile_schema

# The seconds after which a child without a question ends. The next question starts another one.
IDLE_SECONDS = 60.0
_KEPT_SCHEMAS = 32
_MEGABYTE = 1024 * 1024

Document = dict[str, Any]
Documents = dict[str, Document]


class Child:
    """Answers questions. A back-test takes several questions, and its intermediate result is kept between them."""

    def __init__(self) -> None:
        self._schemas: OrderedDict[str, CompiledSchema] = OrderedDict()
        self._candidate: CompiledSchema
        self._test: BackTest

    def check_schema(self, document: Document, references: Documents) -> None:
        """Check that a schema can be a contract."""
        self._compile_checked(document, references)

    def compare(
        self, document: Document, references: Documents, earlier: list[Document], options: dict[str, Any]
    ) -> Document:
        """Return whether a schema may follow earlier ones."""
        verdict = check(
            document,
            [EarlierVersion(**each) for each in earlier],
            references=references,
            mode=Mode(options["mode"]),
            policy=Policy(options["policy"]),
        )
        found = {
            name: [_difference_as_dict(each) for each in getattr(verdict, name)] for name in ("differences", "allowed")
        }
        return {"is_compatible": verdict.is_compatible, **found}

    def obstacle(self, document: Document, references: Documents) -> str | None:
        """Return the reason why a schema cannot be compared with others, None when it can."""
        return find_obstacle(document, references)

    def learn(self, fingerprint: str, document: Document, references: Documents) -> None:
        """Add a registered schema against which to check events. Beyond the limit, the least recently used one is
        dropped.
        """
        self._schemas[fingerprint] = compile_schema(document, references, is_registered=True)
        if len(self._schemas) > _KEPT_SCHEMAS:
            self._schemas.popitem(last=False)

    def check_event(self, fingerprint: str, event: Any, explain: bool) -> list[Document] | str | None:
        """Return an event's violations of a schema, None when it is valid."""
        if fingerprint not in self._schemas:
            return UNKNOWN_SCHEMA
        self._schemas.move_to_end(fingerprint)
        found = self._schemas[fingerprint].check(event, explain=explain)
        return None if found is None else [violation.as_dict() for violation in found]

    def begin_trial(self, document: Document, references: Documents) -> dict[str, list[str]]:
        """Compile the schema to test. Return the types that it has for top-level properties."""
        self._candidate = self._compile_checked(document, references)
        return {name: sorted(types) for name, types in self._candidate.property_types.items()}

    def begin_test(self, active: list[Any] | None, examples: int) -> None:
        """Begin a test of the schema, in comparison with the active schema and its references."""
        compiled = None if active is None else compile_schema(active[0], active[1], is_registered=True)
        self._test = BackTest(self._candidate, active=compiled, examples=examples)

    def look(self, events: list[list[Any]]) -> list[list[Any]]:
        """Check events, each with its id and its reading by the active version. Return the examples that were added."""
        return [
            [place, example.id, example.message]
            for place, (id_, event, as_active_reads_it, others) in enumerate(events)
            for example in self._test.look(
                id_,
                self._candidate.accepted_reading(event, partial(dict, others)) if others else event,
                as_active_reads_it=event if as_active_reads_it is None else as_active_reads_it,
            )
        ]

    def report(self) -> Document:
        """Return the result of the back-test so far."""
        return asdict(self._test.report())

    def _compile_checked(self, document: Document, references: Documents) -> CompiledSchema:
        refuse_large(document)
        found = compile_schema(document, references)
        refuse_foreign(document)
        refuse_exponential(document)
        return found


def main() -> None:
    """Serve the channel named on the command line."""
    channel = Connection(int(sys.argv[1]))
    for number in (signal.SIGINT, signal.SIGHUP):
        # Ctrl-C reaches the whole process group of a terminal; the parent ends the child.
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(EOFError, OSError):
        serve(channel)


def serve(channel: "Connection[Any, Any]") -> None:
    """Answer questions until the parent closes the channel, or asks none for some time."""
    child = Child()
    while channel.poll(IDLE_SECONDS):
        message = Message.unpack(channel.recv_bytes())
        if message.limits is not None:
            set_limits(message.limits)
        channel.send_bytes(answer_of(child, message))


def answer_of(child: Child, message: Message) -> bytes:
    """Return the answer to a question."""
    answer: Callable[..., Any] = getattr(child, message.question)
    try:
        return pack_answer(value=answer(*message.arguments))
    except BadSchema as error:
        problem: Mapping[str, Any] = {"detail": error.detail, "pointer": error.members.get("pointer")}
        return pack_answer(problem=type(error).__name__, **problem)
    except (MemoryError, RecursionError):
        return pack_answer(too_much=True)


def set_limits(limits: Limits) -> None:
    """Set a budget of processor time, beyond the time used already, and of memory. The process ends when the time is
    used up.
    """
    _, hardest = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + limits.seconds, hardest))
    # No core dump is written, since it could contain events. Some systems refuse a limit on memory.
    for number, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, limits.megabytes * _MEGABYTE)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(number, (most, most))


def _difference_as_dict(difference: Any) -> Document:
    described = {name: getattr(difference, name) for name in _NAMES}
    return {**described, "witness": difference.witness} if difference.has_witness else described


_NAMES = ("rule", "direction", "old_pointer", "new_pointer", "description", "fix", "version")


if __name__ == "__main__":
    main()
