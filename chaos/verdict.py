"""Reads the state in Redis while a run drains and at its end, and checks it against the ledger and the promised order.

The verdict is a table.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from typing import Any

from chaos import plan as chaos_plan
from chaos import timelines
from chaos.ledger import Acknowledged, Handled
from chaos.plan import GROUP, STREAM, Plan
from synapse.inspection.places import EventPlace
from synapse.redis import Command, RedisUnavailable, ReplyError, SyncExecutor, keyspace, value
from synapse.redis.commands import dead_letters as dead_letter_commands
from synapse.redis.commands import streams as stream_commands
from synapse.wire.ids import EntryId, parse

_PAGE = 1000
# The keys that may exist at the end of the run: the stream, its statistics, counts, dead letters and the delivery log.
_REMAINS = (
    STREAM,
    keyspace.stats(STREAM),
    *(name(STREAM, GROUP) for name in (keyspace.counters, keyspace.dead_letters, keyspace.dead_letters_by_event)),
    keyspace.delivery_log(STREAM, GROUP),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCounts:
    """The numbers of the group's events by state. `unread`: whether there are any that no worker has read."""

    unread: bool
    pending: int
    waiting: int
    parked: int
    done: int
    dead: int

    @property
    def is_settled(self) -> bool:
        """Say whether every event of the group is acknowledged or dead."""
        return not (self.unread or self.pending or self.waiting or self.parked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter: the name of its event, and the number of attempts."""

    name: str
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalState:
    """The final state in Redis. `stored`: the names of events by entry id; `left_over`: keys that should not exist;
    `trimmed`: the number of events that the scripts counted as lost; `timelines`: the place of each event by its
    timeline, by id.
    """

    stored: dict[str, str]
    letters: list[Letter]
    left_over: list[str]
    trimmed: int
    places: EventCounts
    timelines: dict[str, EventPlace]


def count_events(executor: SyncExecutor) -> EventCounts | None:
    """Return the numbers of events by state. None if Redis does not answer or the group does not exist."""
    try:
        info, groups, waiting, counters = executor.execute(
            [
                stream_commands.xinfo_stream(STREAM),
                stream_commands.xinfo_groups(STREAM),
                stream_commands.zcard(keyspace.waiting(STREAM, GROUP)),
                stream_commands.hgetall(keyspace.counters(STREAM, GROUP)),
            ]
        )
    except RedisUnavailable:
        return None
    if any(isinstance(reply, ReplyError) for reply in (info, groups, waiting, counters)):
        return None
    group = next((group for group in groups if group.name == GROUP), None)
    if group is None:
        return None
    return EventCounts(
        unread=group.last_delivered_id != info["last-generated-id"],
        pending=group.pending,
        waiting=waiting,
        parked=int(counters.get("parked", 0)),
        done=int(counters.get("done", 0)),
        dead=int(counters.get("dead", 0)),
    )


def read_final_state(executor: SyncExecutor, found: EventCounts) -> FinalState:
    """Read the final state from Redis. `found` is the last result of `count_events`."""
    counters: dict[str, Any] = _query(executor, stream_commands.hgetall(keyspace.counters(STREAM, GROUP)))
    stored = {entry.id: _name_in(entry.parts) for entry in _entries(executor)}
    return FinalState(
        stored=stored,
        letters=list(_letters(executor)),
        left_over=sorted(
            name
            for name in {*_keys(executor)}.difference(_REMAINS)
            if not name.startswith(keyspace.idempotency(STREAM, ""))
        ),
        trimmed=int(counters.get("lost_trimmed", 0)),
        places=found,
        timelines=timelines.read(executor, list(stored)),
    )


def _entries(executor: SyncExecutor) -> Iterator[stream_commands.Entry]:
    start = stream_commands.FIRST
    while page := _query(executor, stream_commands.xrange(STREAM, start, stream_commands.LAST, _PAGE)):
        yield from page
        start = f"({page[-1].id}"


def _letters(executor: SyncExecutor) -> Iterator[Letter]:
    past = ""
    while page := _query(executor, dead_letter_commands.letters(STREAM, GROUP, count=_PAGE, past=past)):
        yield from (Letter(name=_name_in(letter.parts), attempts=letter.count) for letter in page)
        past = page[-1].id


def _keys(executor: SyncExecutor) -> Iterator[str]:
    cursor = b"0"
    while True:
        cursor, names = _query(executor, stream_commands.scan(cursor, count=_PAGE))
        yield from names
        if cursor == b"0":
            return


def _name_in(parts: list[bytes]) -> str:
    return dict(zip(parts[::2], parts[1::2], strict=True))[b"name"].decode()


def _query(executor: SyncExecutor, command: Command) -> Any:
    return value(executor.execute([command])[0])


class KeyOrder:
    """Checks the order of attempts at the events of one key.

    The promise: no event is begun while an earlier one is neither handled nor a dead letter. Events that a kill
    interrupted may be begun again after later ones. Then these are begun again, too, in their order, before any new
    event.

    Args:
        dead: the names of the dead letters.
    """

    def __init__(self, dead: Set[str]) -> None:
        self._dead = dead
        # The ids of all events that were begun, sorted, and their names in the same order.
        self._ids: list[EntryId] = []
        self._names: list[str] = []
        # Events that must be handled, or handled again, before any later one may begin.
        self._open: dict[EntryId, str] = {}
        self._handled: set[EntryId] = set()

    def begin(self, id_: EntryId, name: str) -> bool:
        """Record that an attempt begins. Return whether that breaks the order."""
        breaks = any(other < id_ and named not in self._dead for other, named in self._open.items())
        place = bisect_left(self._ids, id_)
        if place < len(self._ids) and self._ids[place] == id_:
            self._open.update(zip(self._ids[place + 1 :], self._names[place + 1 :], strict=True))
        else:
            self._ids.insert(place, id_)
            self._names.insert(place, name)
        self._open[id_] = name
        return breaks

    def end(self, id_: EntryId) -> None:
        """Record that an attempt succeeded."""
        self._open.pop(id_, None)
        self._handled.add(id_)

    def is_unfinished(self) -> bool:
        """Say whether a handled event had to be handled again and was not."""
        return any(id_ in self._handled and name not in self._dead for id_, name in self._open.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Counts of events. Those in `promised()` must be 0.

    `acknowledged`: events whose publisher was told that they are stored; `asked_again`: those of them that were sent
    more than once. `handled`: events with a successful attempt; `again`: successful attempts at events that had been
    handled before. `lost`: events that were acknowledged or stored, but neither handled nor dead letters.
    `stored_twice`: entries beyond the first of an event. `dead_and_delivered`: dead letters that were also handled.
    `dead_wrongly`: dead letters that are not poison or have the wrong number of attempts. `order_breaks`: attempts that
    began before an earlier event of the key ended (`KeyOrder`). `left_over`: keys that should not exist. `unsettled`:
    events that are pending, scheduled or blocked at the end. `miscounted`: the difference between the scripts' counts
    of done and dead events and the number of stored ones. `trimmed`: lost events by the scripts' own count.
    `timelines`: checked timelines; `timelines_wrong`: those of them that differ from the ledger.
    """

    acknowledged: int
    asked_again: int
    stored: int
    handled: int
    dead: int
    lost: int
    stored_twice: int
    again: int
    dead_and_delivered: int
    dead_wrongly: int
    order_breaks: int
    left_over: int
    unsettled: int
    miscounted: int
    trimmed: int
    timelines: int
    timelines_wrong: int

    def promised(self, plan: Plan) -> dict[str, int]:
        """Return the counts that must be 0, by readable names."""
        promised = {
            "lost": self.lost,
            "stored twice": self.stored_twice,
            "dead and delivered": self.dead_and_delivered,
            "dead without reason": self.dead_wrongly,
            "keys left over": self.left_over,
            "not acknowledged": self.unsettled,
            "miscounted": self.miscounted,
            "trimmed": self.trimmed,
            "timelines that differ": self.timelines_wrong,
        }
        # A frozen worker that wakes up after its lease continues with an event that another one has taken over. No
        # broker can prevent that.
        if plan.order != "none" and not plan.freeze_worker:
            promised["order breaks"] = self.order_breaks
        if not plan.has_faults:
            promised["delivered again"] = self.again
        return promised


def judge(plan: Plan, acknowledged: Iterable[Acknowledged], handled: Iterable[Handled], stock: FinalState) -> Verdict:
    """Compare the publishers' and workers' ledgers with the final state in Redis, and count each broken promise."""
    told = {fact.name: fact for fact in acknowledged}
    names = set(stock.stored.values())
    dead = {letter.name for letter in stock.letters}
    done, again, breaks = _replay(plan, handled, dead)
    places = stock.places
    return Verdict(
        acknowledged=len(told),
        asked_again=sum(fact.again for fact in told.values()),
        stored=len(stock.stored),
        handled=len(done),
        dead=len(stock.letters),
        lost=len((told.keys() | names) - done - dead) + sum(fact.id not in stock.stored for fact in told.values()),
        stored_twice=len(stock.stored) - len(names),
        again=again,
        dead_and_delivered=len(done & dead),
        dead_wrongly=sum(
            letter.attempts != plan.attempts or not chaos_plan.is_poison(plan.seed, letter.name, plan.poison)
            for letter in stock.letters
        ),
        order_breaks=breaks,
        left_over=len(stock.left_over),
        unsettled=places.pending + places.waiting + places.parked + places.unread,
        miscounted=abs(len(stock.stored) - places.done - places.dead),
        trimmed=stock.trimmed,
        timelines=len(stock.timelines),
        timelines_wrong=sum(
            not timelines.agrees(plan, stock.stored[id_], told, done=done, dead=dead)
            for id_, told in stock.timelines.items()
        ),
    )


def _replay(plan: Plan, handled: Iterable[Handled], dead: Set[str]) -> tuple[set[str], int, int]:
    """Return the handled events, the number of repeated deliveries, and the number of breaks of order."""
    done: set[str] = set()
    orders: dict[str, KeyOrder] = defaultdict(lambda: KeyOrder(dead))
    again = breaks = 0
    for fact in handled:
        if fact.what == "done":
            again += fact.name in done
            done.add(fact.name)
        if plan.order != "none":
            order = orders[fact.key if plan.order == "key" else ""]
            if fact.what == "done":
                order.end(parse(fact.id))
            else:
                breaks += order.begin(parse(fact.id), fact.name)
    return done, again, breaks + sum(order.is_unfinished() for order in orders.values())


def list_broken(plan: Plan, outcome: dict[str, Any]) -> list[str]:
    """Return a text with name and count for each broken promise."""
    promised = Verdict(**outcome["verdict"]).promised(plan)
    promises = {**promised, "workers crashed": outcome["crashed"], "stops gone wrong": outcome["stops"]["bad"]}
    return [f"{name}: {count:,}" for name, count in promises.items() if count]


def render_table(plan: Plan, outcome: dict[str, Any]) -> str:
    """Return the faults and counts of a run as a text table."""
    verdict = Verdict(**outcome["verdict"])
    rows = [*_fault_rows(plan, outcome), *_count_rows(plan, verdict)]
    return "\n".join(f"{name:<24} {text}" for name, text in rows)


def _fault_rows(plan: Plan, outcome: dict[str, Any]) -> Iterator[tuple[str, str]]:
    deeds, stops = outcome["deeds"], outcome["stops"]
    yield "engine", outcome["engine"]
    yield "order", plan.order
    yield "seconds", f"{outcome['took']:.1f}, and {outcome['drained']:.1f} until all was acknowledged"
    yield "workers killed", f"{deeds['workers_killed']:,}"
    yield "servers killed", f"{deeds['servers_killed']:,}"
    if plan.freeze_worker:
        yield "workers frozen", f"{deeds['workers_frozen']:,}"
    yield "workers stopped", f"{stops['count']:,}, the slowest in {stops['slowest']:.2f} s"


def _count_rows(plan: Plan, verdict: Verdict) -> Iterator[tuple[str, str]]:
    yield "events acknowledged", f"{verdict.acknowledged:,}, of which {verdict.asked_again:,} were asked for again"
    yield "events handled", f"{verdict.handled:,}"
    yield "dead letters", f"{verdict.dead:,}"
    yield "timelines", f"{verdict.timelines:,}"
    promised = verdict.promised(plan)
    if "delivered again" not in promised:
        yield "delivered again", f"{verdict.again:,}"
    if plan.order != "none" and "order breaks" not in promised:
        yield "order breaks", f"{verdict.order_breaks:,} (not promised where workers are frozen)"
    for name, count in promised.items():
        yield name, f"{count:,}"
