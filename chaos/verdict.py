"""Judge a chaos run from its ledger and from Redis, the order of events too, and print the outcome as a table."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from typing import Any

from chaos import plan as chaos_plan
from chaos.inventory import FinalState
from chaos.ledger import Acknowledged, Handled
from chaos.plan import Plan
from synapse.wire.ids import EntryId, parse


class KeyOrder:
    """The attempts at the events of one key, in the order in which they happened.

    The promise: no event is begun while an earlier one is neither handled nor a dead letter. Events that a kill
    interrupted may be begun again after later ones; then those are begun again too, in their order, before anything
    new.

    Args:
        dead: the names of the dead letters.
    """

    def __init__(self, dead: Set[str]) -> None:
        self._dead = dead
        # All that was begun, by id, and the name of each.
        self._ids: list[EntryId] = []
        self._names: list[str] = []
        # What has to be handled, or handled again, before anything later may begin.
        self._open: dict[EntryId, str] = {}
        self._handled: set[EntryId] = set()

    def begin(self, id_: EntryId, name: str) -> bool:
        """Note that an attempt begins. Return whether that breaks the order."""
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
        """Note that an attempt succeeded."""
        self._open.pop(id_, None)
        self._handled.add(id_)

    def is_unfinished(self) -> bool:
        """Say whether an event was handled, had to be handled again, and was not."""
        return any(id_ in self._handled and name not in self._dead for id_, name in self._open.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Counts of events. Each of `promised()` must be 0.

    `acknowledged`: publishers were told that they are stored; `asked_again`: after a first answer that never came.
    `handled`: some attempt ended well; `again`: how often one did for an event that had been handled before.
    `lost`: neither handled nor a dead letter, though acknowledged or stored. `stored_twice`: beyond the first time.
    `dead_and_delivered`: both. `dead_wrongly`: sound, or given up before or after the last attempt. `order_breaks`: an
    attempt began at an event though an earlier one of its key had to end first (`order.KeyOrder`). `left_over`: keys
    that should be gone. `unsettled`: pending, scheduled or blocked at the end. `miscounted`: by how many the scripts'
    own counts of what is done and dead differ from what was stored. `trimmed`: lost, by the scripts' own count.
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
        }
        # A frozen worker that wakes up late goes on with what another one has by then: no broker can prevent that.
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
    done, again, breaks = _follow(plan, handled, dead)
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
    )


def _follow(plan: Plan, handled: Iterable[Handled], dead: Set[str]) -> tuple[set[str], int, int]:
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


def broken(plan: Plan, outcome: dict[str, Any]) -> list[str]:
    """Return one sentence for each promise that was not kept."""
    promised = Verdict(**outcome["verdict"]).promised(plan)
    promises = {**promised, "workers crashed": outcome["crashed"], "stops gone wrong": outcome["stops"]["bad"]}
    return [f"{name}: {count:,}" for name, count in promises.items() if count]


def table(plan: Plan, outcome: dict[str, Any]) -> str:
    """Return the faults and counts of a run as a text table."""
    verdict = Verdict(**outcome["verdict"])
    rows = [*_deeds(plan, outcome), *_counts(plan, verdict)]
    return "\n".join(f"{name:<24} {text}" for name, text in rows)


def _deeds(plan: Plan, outcome: dict[str, Any]) -> Iterator[tuple[str, str]]:
    deeds, stops = outcome["deeds"], outcome["stops"]
    yield "engine", outcome["engine"]
    yield "order", plan.order
    yield "seconds", f"{outcome['took']:.1f}, and {outcome['drained']:.1f} until all was acknowledged"
    yield "workers killed", f"{deeds['workers_killed']:,}"
    yield "servers killed", f"{deeds['servers_killed']:,}"
    if plan.freeze_worker:
        yield "workers frozen", f"{deeds['workers_frozen']:,}"
    yield "workers stopped", f"{stops['count']:,}, the slowest in {stops['slowest']:.2f} s"


def _counts(plan: Plan, verdict: Verdict) -> Iterator[tuple[str, str]]:
    yield "events acknowledged", f"{verdict.acknowledged:,}, of which {verdict.asked_again:,} were asked for again"
    yield "events handled", f"{verdict.handled:,}"
    yield "dead letters", f"{verdict.dead:,}"
    promised = verdict.promised(plan)
    if "delivered again" not in promised:
        yield "delivered again", f"{verdict.again:,}"
    if plan.order != "none" and "order breaks" not in promised:
        yield "order breaks", f"{verdict.order_breaks:,} (not promised where workers are frozen)"
    for name, count in promised.items():
        yield name, f"{count:,}"
