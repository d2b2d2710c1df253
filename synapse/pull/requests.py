"""Parse the bodies of the pull protocol into values, and answer `POST /v1/publish` through the publish pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synapse.auth.permission import demand_right
from synapse.catalog.stream_definitions import Snapshot
from synapse.errors.delivery import NotOpen
from synapse.formats.numbers import is_integer
from synapse.formats.text import RULE, is_name
from synapse.http.exchange import Request, Response
from synapse.inspection.range_query import parse_id
from synapse.problems import BadRequest
from synapse.publishing import body as publishing_body
from synapse.publishing import pipeline
from synapse.publishing.body import Body
from synapse.publishing.counters import Tally
from synapse.redis import Conversation
from synapse.wire.ids import EntryId

MOST_EVENTS, LONGEST_BLOCK_MS = 100, 30_000
MOST_IDS = 1000
# Ten at a time, a second of patience: what is asked for by those who name neither.
EVENTS, BLOCK_MS = 10, 1000
SHORTEST_LEASE_MS, LONGEST_LEASE_MS = 1000, 3_600_000
LONGEST_DELAY_MS = 604_800_000
MOST_CHARACTERS = 200
LONGEST_TTL = 10 * 365 * 86_400
_BESIDE = ("sender", "recipient", "priority", "ttl_sec")


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """An event to publish. `beside` is what was said about it and is no part of it."""

    stream: str
    event: Mapping[str, Any]
    beside: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A group of a stream."""

    stream: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Read(Place):
    """At most `count` events, for which one waits up to `block_ms`."""

    consumer: str
    count: int
    block_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle(Place):
    """Events that were handled."""

    ids: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse(Settle):
    """Events that could not be handled: to be given out again after `delay_ms` (None: by the group's settings), or,
    with `dead`, not at all. `consumer`: only those that it has; "" for whoever has them."""

    reason: str
    dead: bool
    delay_ms: int | None
    consumer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep(Settle):
    """Events that take longer: `lease_ms` from now on (None: as long as the group's lease)."""

    lease_ms: int | None
    consumer: str


def publication(request: Request) -> Publication:
    """Return what `POST /v1/publish` is to store.

    A payload that is an object is the event, with the type and, unless it has one, the sender as its `source`. Any
    other payload is the event's property `payload`.

    Raises:
        Problem: when the body is no such request.
    """
    body = _Body(request)
    stream, event_type = body.text("stream"), body.text("event_type")
    if "payload" not in body.members:
        raise BadRequest("“payload” is missing: what the event holds, any JSON value.", parameter="payload")
    payload = body.members["payload"]
    event = {**payload, "event_type": event_type} if isinstance(payload, dict) else {}
    if not isinstance(payload, dict):
        event = {"event_type": event_type, "payload": payload}
    beside = body.beside()
    if "sender" in beside:
        event.setdefault("source", beside["sender"])
    return Publication(stream=stream, event=event, beside=beside)


def read(request: Request) -> Read:
    """Return what `POST /v1/read` asks for."""
    body = _Body(request)
    return Read(
        stream=body.text("stream"),
        group=body.group(),
        consumer=body.consumer() or body.missing("consumer_name"),
        count=body.number("count", 1, MOST_EVENTS, otherwise=EVENTS),
        block_ms=body.number("block_ms", 0, LONGEST_BLOCK_MS, otherwise=BLOCK_MS),
    )


def ack(request: Request) -> Settle:
    """Return what `POST /v1/ack` settles."""
    body = _Body(request)
    return Settle(stream=body.text("stream"), group=body.group(), ids=body.ids())


def nack(request: Request) -> Refuse:
    """Return what `POST /v1/nack` gives back."""
    body = _Body(request)
    delay = body.number("delay_ms", 0, LONGEST_DELAY_MS, otherwise=-1)
    return Refuse(
        stream=body.text("stream"),
        group=body.group(),
        ids=body.ids(),
        reason=body.text("reason", otherwise="refused by the consumer"),
        dead=body.truth("dead"),
        delay_ms=None if delay < 0 else delay,
        consumer=body.consumer(),
    )


def extend(request: Request) -> Keep:
    """Return what `POST /v1/extend` prolongs."""
    body = _Body(request)
    lease = body.number("lease_ms", SHORTEST_LEASE_MS, LONGEST_LEASE_MS, otherwise=-1)
    return Keep(
        stream=body.text("stream"),
        group=body.group(),
        ids=body.ids(),
        lease_ms=None if lease < 0 else lease,
        consumer=body.consumer(),
    )


class _Body:
    """The members of a request's JSON object. One that is null counts as not given, but for `payload`; what is not
    known here is passed over, as the clients' own server does."""

    def __init__(self, request: Request) -> None:
        if request.body.lstrip()[:1] == b"[":
            raise BadRequest("The body is one JSON object.")
        body = publishing_body.read(request)
        value = None if body.batch else body.items()[0]
        if not isinstance(value, dict):
            raise BadRequest("The body is one JSON object.")
        self.members: Mapping[str, Any] = value

    def text(self, name: str, *, otherwise: str | None = None) -> str:
        value = self.members.get(name)
        if value is None or value == "":
            return self.missing(name) if otherwise is None else otherwise
        if not isinstance(value, str):
            raise BadRequest(f"“{name}” is text.", parameter=name)
        return value

    def missing(self, name: str) -> str:
        raise BadRequest(f"“{name}” is missing.", parameter=name)

    def group(self) -> str:
        name = self.text("consumer_group")
        if not is_name(name):
            raise BadRequest(f"“consumer_group” is a name: {RULE}.", parameter="consumer_group")
        return name

    def consumer(self) -> str:
        return self._short("consumer_name")

    def number(self, name: str, least: int, most: int, *, otherwise: int) -> int:
        value = self.members.get(name)
        if value is None:
            return otherwise
        if not is_integer(value, least, most):
            raise BadRequest(f"“{name}” is a whole number from {least} to {most}.", parameter=name)
        return value

    def truth(self, name: str) -> bool:
        value = self.members.get(name)
        if value is not None and not isinstance(value, bool):
            raise BadRequest(f"“{name}” is true or false.", parameter=name)
        return bool(value)

    def ids(self) -> list[str]:
        """Return the entry ids, each once, as Redis writes them."""
        given = self.members.get("entry_ids")
        if not isinstance(given, list) or not 0 < len(given) <= MOST_IDS:
            raise BadRequest(f"“entry_ids” is a list of 1 to {MOST_IDS} ids.", parameter="entry_ids")
        return list(dict.fromkeys(str(_id(one)) for one in given))

    def beside(self) -> dict[str, str]:
        """Return what is said about the event and is no part of it."""
        found = {name: self._short(name) for name in ("sender", "recipient")}
        priority = self.members.get("priority")
        found["priority"] = str(priority) if is_integer(priority) else self._short("priority")
        if ttl := self.number("ttl_sec", 0, LONGEST_TTL, otherwise=0):
            found["ttl_sec"] = str(ttl)
        return {name: found[name] for name in _BESIDE if found.get(name)}

    def _short(self, name: str) -> str:
        text = self.text(name, otherwise="")
        if len(text) > MOST_CHARACTERS or not text.isprintable():
            raise BadRequest(
                f"“{name}” has at most {MOST_CHARACTERS} characters, all of them printable.", parameter=name
            )
        return text


def _id(value: object) -> EntryId:
    found = parse_id(value) if isinstance(value, str) and "-" in value else None
    if found is None:
        raise BadRequest(
            "An entry id is a text of two numbers of 64 bits, such as 1705314600000-0.", parameter="entry_ids"
        )
    return found.first


def publish(asked: Publication, request: Request, catalog: Snapshot, tally: Tally) -> Conversation[Response]:
    """Store the event that `request` asked for, and answer 200: the clients of this protocol look for `entry_id`.

    Raises:
        Forbidden: when the caller may not publish to it.
        NotOpen: when no such stream is defined.
        Problem: as for `POST /events/{stream}`.
    """
    demand_right(request.principal, "publish", asked.stream)
    if asked.stream not in catalog.streams:
        raise NotOpen(f"There is no stream “{asked.stream[:100]}” to publish to. GET /streams lists those there are.")
    stored = yield from pipeline.publish(
        request._replace(params={"stream": asked.stream}),
        catalog,
        tally,
        body=Body(((asked.event,),), batch=False, beside=asked.beside),
    )
    return stored._replace(status=200)
