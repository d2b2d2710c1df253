"""Refused events, by kind: the reason, the rule of the contract, the publisher and the event type, with a sample.

They are counted in memory and added to the counts in Redis once a second, so that a publisher whose every event is
refused causes one command a second. Accepted events cost nothing. The number of kinds is bounded by definitions (rules
of contracts, defined event types, publishers), and never depends on the contents of events.

Samples contain no PII. A refused event may have its PII elsewhere than its contract says, so the marks of the contract
do not help: in a stream whose contracts mark PII, a sample has types in place of values, and no name of a property that
the contract does not declare.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock
from typing import Any, NamedTuple

import orjson

from synapse.auth.principal import Principal
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.cloudevents.attributes import DEFINED
from synapse.errors.streams import (
    BadCloudEvent,
    ContractViolated,
)
from synapse.formats.text import is_name
from synapse.problems import Problem
from synapse.redis import Conversation, RedisUnavailable, ReplyError, ReplyLost
from synapse.redis.commands.refusals import RefusalKind, note_refusals
from synapse.runtime.repeated_failures import RepeatedFailures
from synapse.wire.encoding import canonical

logger = logging.getLogger(__name__)

# The number of kinds that are counted separately between two flushes. Further kinds are counted by reason only.
MOST_NOTED = 1_000
# The number of broken rules that are recorded for one event.
MOST_RULES = 5
# The greatest size of a sample in bytes, and of its parts: characters of a text, items of a list, properties of an
# object, levels.
MOST_BYTES, _TEXT, _ITEMS, _PROPERTIES, _DEPTH = 2_048, 100, 5, 40, 4
_LONGEST = 300
_AT_ONCE = 100
# JSON Pointers of the defined attributes and data of a CloudEvent. Names of extensions are contents of the event.
_PLACES = frozenset({*(f"/{name}" for name in DEFINED), "/data", "/data_base64", "/data/event_type"})


class KindKey(NamedTuple):
    """The members that all refusals of one kind have in common.

    Attributes:
        reason: the slug of the problem.
        event_type: the event type, "" when the stream does not define it.
        subject: the subject of the broken contract, with its `version`; "" and 0 when no contract was broken.
        rule: the JSON Pointer of the broken rule in the contract, with its `keyword`; "" when no contract was broken.
        publisher: the caller who published, "" when there are too many kinds.
    """

    reason: str
    event_type: str
    subject: str
    version: int
    rule: str
    keyword: str
    publisher: str


@dataclass(slots=True)
class _Noted:
    """The refusals of one kind since the last flush. `known` (the description of the kind) and `sample` are JSON."""

    count: int
    first_ms: int
    last_ms: int
    known: bytes
    sample: bytes


class Refusals:
    """The refused events of each stream since the last flush to Redis."""

    def __init__(self) -> None:
        self._noted: dict[tuple[str, KindKey], _Noted] = {}
        self._lock = Lock()
        self._failures = RepeatedFailures()

    def note(
        self,
        stream: StreamDefinition,
        problem: Problem,
        by: Principal,
        *,
        event: Any = None,
        size: int = 0,
        times: int = 1,
    ) -> None:
        """Record the refusal of an event, or of `times` events of a batch.

        Args:
            stream: the stream to which the event was published.
            problem: the reason.
            by: the publisher.
            event: the event as it was sent, None when it could not be read.
            size: the size of the request in bytes, 0 when it contains several events.
        """
        now = int(time.time() * 1000)
        for key in _keys_of(stream, problem, str(by), event):
            place = stream.name, key
            with self._lock:
                noted = self._noted.get(place)
                if noted is None and len(self._noted) >= MOST_NOTED:
                    place = stream.name, KindKey(key.reason, "", "", 0, "", "", "")
                    noted = self._noted.get(place)
                if noted is not None:
                    noted.count += times
                    noted.last_ms = now
                    continue
            # One sample a second is enough.
            known = _describe_kind(place[1], stream, problem, by=by, event=event, size=size)
            sample = sample_of(stream, key.event_type, event) if place[1] == key else b""
            with self._lock:
                noted = self._noted.setdefault(place, _Noted(0, now, now, known, sample))
                noted.count += times

    def flush(self) -> Conversation[None]:
        """Add the refusals to those in Redis. Refusals that Redis does not accept are kept for the next flush.

        Raises:
            RedisUnavailable: when Redis cannot be used.
        """
        with self._lock:
            noted, self._noted = self._noted, {}
        if not noted:
            return
        parts = list(_group_by_command(noted))
        try:
            replies = yield [
                note_refusals(stream, [_kind_of(key, noted[stream, key]) for key in keys]) for stream, keys in parts
            ]
        except ReplyLost:
            # Redis may have added them: losing the counts of a second is better than counting them twice.
            raise
        except RedisUnavailable:
            self._keep(noted)
            raise
        errors: dict[str, ReplyError | None] = {stream: None for stream, _ in parts}
        for (stream, keys), reply in zip(parts, replies, strict=True):
            if isinstance(reply, ReplyError):
                errors[stream] = reply
                self._keep({(stream, key): noted[stream, key] for key in keys})
        for stream, error in errors.items():
            if error is None:
                self._failures.end(stream)
            elif self._failures.is_new(str(error), stream):
                logger.warning("the refused events of the stream “%s” cannot be stored: %s", stream, error)

    def _keep(self, noted: Mapping[tuple[str, KindKey], _Noted]) -> None:
        """Keep refusals for the next flush, together with those that were recorded meanwhile."""
        with self._lock:
            for place, each in noted.items():
                if (newer := self._noted.get(place)) is not None:
                    newer.count += each.count
                    newer.first_ms = each.first_ms
                elif len(self._noted) < MOST_NOTED:
                    self._noted[place] = each

    def clear(self) -> None:
        """Forget the refusals (for tests)."""
        with self._lock:
            self._noted.clear()


def sample_of(stream: StreamDefinition, event_type: str, event: Any) -> bytes:
    """Return a sample of a refused event without PII as JSON, b"" when no sample is possible."""
    if not isinstance(event, dict):
        return b""
    definition = stream.event_types.get(event_type)
    contract = definition.contract if definition else None
    declared = frozenset(contract.schema.property_types) if contract else frozenset()
    sample = _replace_by_types(event, declared | {"event_type"}) if stream.marks else _shorten(event)
    if stream.marks and event_type:
        sample["event_type"] = event_type
    for each in (sample, _replace_by_types(event, declared)):
        try:
            text = orjson.dumps({"plain": each is sample and not stream.marks, "event": each})
        except orjson.JSONEncodeError:
            continue
        if len(text) <= MOST_BYTES:
            return text
    return b""


def _keys_of(stream: StreamDefinition, problem: Problem, publisher: str, event: Any) -> Iterator[KindKey]:
    event_type = problem.members.get("event_type") or _defined_type_of(stream, event)
    if not isinstance(problem, ContractViolated):
        yield KindKey(problem.slug, event_type, "", 0, "", "", publisher)
        return
    version = problem.members.get("contract_version") or 0
    definition = stream.event_types.get(event_type)
    contract = definition.versions.get(version) if definition else None
    subject = contract.subject if contract else ""
    violations: Sequence[Mapping[str, str]] = problem.members["violations"]
    rules = dict.fromkeys((each["schema_pointer"][:_LONGEST], each["keyword"]) for each in violations)
    for rule, keyword in list(rules)[:MOST_RULES]:
        yield KindKey(problem.slug, event_type, subject, version, rule, keyword, publisher)


def _defined_type_of(stream: StreamDefinition, event: Any) -> str:
    event_type = canonical(event).get("event_type") if isinstance(event, dict) else None
    return event_type if isinstance(event_type, str) and event_type in stream.event_types else ""


def _describe_kind(
    key: KindKey, stream: StreamDefinition, problem: Problem, *, by: Principal, event: Any, size: int
) -> bytes:
    named = canonical(event).get("event_type") if isinstance(event, dict) and not key.event_type else None
    return orjson.dumps(
        {
            **key._asdict(),
            "title": problem.title,
            "status": problem.status,
            "key": by.key if key.publisher else "",
            "detail": _detail_of(problem)[:_LONGEST] if key.publisher else "",
            "unknown_type": named if isinstance(named, str) and is_name(named) and not stream.marks else "",
            "size": size if key.publisher else 0,
        }
    )


def _detail_of(problem: Problem) -> str:
    """Return the detail of a refusal, "" when it may quote the event. For a CloudEvent, it lists the wrong attributes;
    extensions are not named, because their names are contents of the event."""
    if isinstance(problem, BadCloudEvent):
        pointers = (each["pointer"] for each in problem.members["violations"])
        places = dict.fromkeys(each if each in _PLACES else "an extension" for each in pointers)
        return f"Wrong in the CloudEvent: {', '.join(places)}."
    return "" if problem.quotes_event else problem.detail


def _group_by_command(noted: Iterable[tuple[str, KindKey]]) -> Iterator[tuple[str, list[KindKey]]]:
    """Yield the stream and the kinds of refusals for each command."""
    by_stream: dict[str, list[KindKey]] = {}
    for stream, key in noted:
        by_stream.setdefault(stream, []).append(key)
    for stream, keys in by_stream.items():
        for start in range(0, len(keys), _AT_ONCE):
            yield stream, keys[start : start + _AT_ONCE]


def _kind_of(key: KindKey, noted: _Noted) -> RefusalKind:
    return RefusalKind(
        digest=blake2b(orjson.dumps(list(key)), digest_size=8).hexdigest(),
        count=noted.count,
        first_ms=noted.first_ms,
        last_ms=noted.last_ms,
        known=noted.known,
        sample=noted.sample,
    )


def _replace_by_types(value: Any, names: frozenset[str] = frozenset(), depth: int = 0) -> Any:
    """Return a value with types in place of scalars, and numbers in place of property names that are not in `names`."""
    if isinstance(value, dict):
        if depth == _DEPTH:
            return "(object)"
        kept = list(value.items())[:_PROPERTIES]
        return {
            name if name in names else f"(property {number})": _replace_by_types(each, depth=depth + 1)
            for number, (name, each) in enumerate(kept, 1)
        }
    if isinstance(value, list):
        return [_replace_by_types(each, depth=depth + 1) for each in value[:_ITEMS]] if depth < _DEPTH else "(array)"
    if value is None:
        return None
    return "(boolean)" if isinstance(value, bool) else "(text)" if isinstance(value, str) else "(number)"


def _shorten(value: Any, depth: int = 0) -> Any:
    """Return a value with long texts, long lists and deep parts cut off."""
    if isinstance(value, str):
        return value if len(value) <= _TEXT else value[:_TEXT] + "…"
    if isinstance(value, dict):
        if depth == _DEPTH:
            return "…"
        kept = list(value.items())[:_PROPERTIES]
        return {name[:_TEXT]: _shorten(each, depth + 1) for name, each in kept}
    if isinstance(value, list):
        return [_shorten(each, depth + 1) for each in value[:_ITEMS]] if depth < _DEPTH else "…"
    return value if isinstance(value, bool | int | float | None) else str(value)
