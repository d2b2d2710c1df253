"""Check a schema against existing events: how many it would refuse, and why.

Thousands of refusals usually have a handful of reasons, so refusals are grouped by the place in the schema, the
keyword, and the place in the event. In the latter, `*` stands for the index of an item and for a property that the
schema does not name.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

from synapse.errors.contracts import TooCostly
from synapse.schema.pii import Marks, pii_texts, redacted
from synapse.schema.validator import CompiledSchema
from synapse.schema.violations import json_pointer

USUAL_EXAMPLES = 3
# A schema that every event violates must not fill the memory: further reasons are only reported to exist
# (`more_reasons`), and beyond this many findings, or this much time, further events are counted but not explained.
MOST_REASONS = 100
MOST_FINDINGS = 100_000
MOST_SECONDS_EXPLAINING = 5.0
"""CPU seconds of the thread."""

# Keywords with which a validator descends: into a property or an item, or into another schema for the same value.
_OPEN = frozenset({"additionalProperties", "unevaluatedProperties"})
_ITEMS = frozenset({"items", "prefixItems", "additionalItems", "unevaluatedItems", "contains"})
_BRANCHES = frozenset({"allOf", "anyOf", "oneOf", "dependentSchemas", "dependencies", "$defs", "definitions"})

_Key = tuple[tuple[str | int, ...], tuple[str | int, ...], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An event that would be refused: its id, the place of the violation (JSON Pointer), and the violation in words."""

    id: str
    pointer: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A rule of the schema that events violate, and the number of those events.

    `pointer` is the generalised place in the events. `message` is the sentence about the first explained event. `first`
    and `last` are the ids of the first and the last explained event.
    """

    schema_pointer: str
    keyword: str
    pointer: str
    message: str
    events: int
    first: str
    last: str
    examples: Sequence[Example]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of a back-test.

    `refused_by_active` is None without an active version to compare with. `newly_refused` counts the events that the
    active version accepts and the candidate refuses. `explained` is the number of refused events behind the reasons,
    and `more_reasons` is true when there were more than `MOST_REASONS` reasons.
    """

    events: int
    refused: int
    refused_by_active: int | None
    newly_refused: int
    explained: int
    reasons: Sequence[Reason]
    more_reasons: bool


@dataclass(slots=True)
class _Group:
    first: str
    examples: list[Example] = field(default_factory=list)
    events: int = 0
    last: str = ""


class BackTest:
    """A back-test in progress: pass it each event with `look`, then get the `report`."""

    def __init__(
        self,
        candidate: CompiledSchema,
        *,
        active: CompiledSchema | None = None,
        examples: int = USUAL_EXAMPLES,
        marks: Iterable[Marks] = (),
    ) -> None:
        """Begin a back-test. `marks` are the PII marks of the events, in addition to those of the two schemas."""
        both = (schema.personal for schema in (candidate, active) if schema is not None)
        self._marks = {id(each): each for each in (*both, *marks) if each is not None}.values()
        self._candidate = candidate
        self._active = active
        self._examples = max(1, examples)
        self._groups: dict[_Key, _Group] = {}
        self._rules: dict[_Key, tuple[str, str]] = {}
        self._more_reasons = False
        self._events = self._refused = self._refused_by_active = self._newly = self._explained = self._errors = 0
        self._explaining = 0.0

    def look(self, id_: str, event: Any, *, as_active_reads_it: Any = None) -> Sequence[Example]:
        """Check one event, and return the examples that it adds to the report.

        The active version checks `as_active_reads_it` instead, when that differs.
        """
        self._events += 1
        accepted = _accepts(self._candidate, event)
        if self._active is not None:
            accepted_now = _accepts(self._active, event if as_active_reads_it is None else as_active_reads_it)
            self._refused_by_active += not accepted_now
            self._newly += accepted_now and not accepted
        if accepted:
            return ()
        self._refused += 1
        if self._errors >= MOST_FINDINGS or self._explaining > MOST_SECONDS_EXPLAINING:
            return ()
        self._explained += 1
        began = time.thread_time()
        added = self._explain_event(id_, event)
        self._explaining += time.thread_time() - began
        return added

    def report(self) -> Report:
        """Return the result so far, most common reasons first."""
        ordered = sorted(self._groups, key=lambda key: (-self._groups[key].events, self._rules[key], key[2]))
        return Report(
            events=self._events,
            refused=self._refused,
            refused_by_active=None if self._active is None else self._refused_by_active,
            newly_refused=self._refused if self._active is None else self._newly,
            explained=self._explained,
            reasons=[self._reason_of(key) for key in ordered],
            more_reasons=self._more_reasons,
        )

    def _explain_event(self, id_: str, event: Any) -> list[Example]:
        added: list[Example] = []
        seen: set[_Key] = set()
        for finding in self._candidate.findings(event):
            self._errors += 1
            # One `required` rule can name several properties; each missing one is a separate reason.
            key = finding.schema_path, generalise_place(finding.path, finding.evaluation_path), finding.missing
            if key in seen:
                continue
            seen.add(key)
            group = self._groups.get(key)
            if group is None:
                if len(self._groups) == MOST_REASONS:
                    self._more_reasons = True
                    continue
                group = self._groups[key] = _Group(first=id_)
            group.events += 1
            group.last = id_
            if len(group.examples) < self._examples:
                violation = finding.as_violation()
                self._rules.setdefault(key, (violation.schema_pointer, violation.keyword))
                message = self._redact_message(violation.message, event)
                added.append(Example(id=id_, pointer=violation.pointer, message=message))
                group.examples.append(added[-1])
        return added

    def _redact_message(self, message: str, event: Any) -> str:
        """Redact PII in a sentence, because more people read reports than may see payloads."""
        for marks in self._marks:
            message = redacted(message, pii_texts(event, marks))
        return message

    def _reason_of(self, key: _Key) -> Reason:
        group = self._groups[key]
        schema_pointer, keyword = self._rules[key]
        return Reason(
            schema_pointer=schema_pointer,
            keyword=keyword,
            pointer=json_pointer(key[1]),
            message=group.examples[0].message,
            events=group.events,
            first=group.first,
            last=group.last,
            examples=tuple(group.examples),
        )


def back_test(
    candidate: CompiledSchema,
    events: Iterable[tuple[str, Any]],
    *,
    active: CompiledSchema | None = None,
    examples: int = USUAL_EXAMPLES,
) -> Report:
    """Back-test the candidate on events, each given with its id. `examples` is the number of examples for each
    reason.
    """
    test = BackTest(candidate, active=active, examples=examples)
    for id_, event in events:
        test.look(id_, event)
    return test.report()


def _accepts(schema: CompiledSchema, event: Any) -> bool:
    try:
        return schema.accepts(event)
    except TooCostly:  # an event that is too costly to check is refused, too
        return False


def generalise_place(place: Sequence[str | int], way: Sequence[str | int]) -> tuple[str | int, ...]:
    """Return a place in an event with `*` for items and for properties that the schema does not name.

    `way` has the keywords on the validator's path to the place, including `$ref`s. Names that are not reached through
    it stay unchanged.
    """
    return tuple(
        "*" if isinstance(part, int) or is_free else part
        for part, is_free in zip(place, chain(_free_names(way), repeat(False)), strict=False)
    )


def _free_names(way: Sequence[str | int]) -> Iterator[bool]:
    """Yield for each step into the event whether no `properties` names it."""
    words = iter(way)
    following: str | int | None = next(words, None)
    while following is not None:
        word, following = following, next(words, None)
        if following is None:
            # The keyword of the rule itself, which concerns the place that was reached.
            return
        if word == "properties":
            following = next(words, None)
            yield False
        elif word == "patternProperties":
            following = next(words, None)
            yield True
        elif word in _OPEN:
            yield True
        elif word in _ITEMS:
            if isinstance(following, int):
                following = next(words, None)
            yield False
        elif word in _BRANCHES:
            following = next(words, None)
