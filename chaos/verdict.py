"""What became of each event, from the ledger and what Redis holds. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass

from chaos import fault_plan
from chaos.inventory import Stock
from chaos.ledger import Acknowledged, Handled
from chaos.order import KeyOrder
from chaos.plan import Plan
from synapse.wire.ids import parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Counts of events. Each of `promised()` must be 0.

    `acknowledged`: publishers were told that they are stored; `asked_again`: after a first answer that never came.
    `handled`: some attempt ended well; `again`: how often one did for an event that had been handled before.
    `lost`: neither handled nor a dead letter, though acknowledged or stored. `stored_twice`: beyond the first time.
    `dead_and_delivered`: both. `dead_wrongly`: sound, or given up before or after the last attempt. `order_breaks`: an
    attempt began at an event though an earlier one of its key had to end first (`order.KeyOrder`). `left_over`: keys
    that should be gone. `unsettled`: pending, waiting or parked at the end. `miscounted`: by how many the scripts' own
    counts of what is done and dead differ from what was stored. `trimmed`: lost, by the scripts' own count.
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
        """Return what must be 0, by what a person calls it."""
        promised = {
            "lost": self.lost,
            "stored twice": self.stored_twice,
            "dead and delivered": self.dead_and_delivered,
            "dead without reason": self.dead_wrongly,
            "keys left over": self.left_over,
            "not settled": self.unsettled,
            "miscounted": self.miscounted,
            "trimmed": self.trimmed,
        }
        # A frozen worker that wakes up late goes on with what another one has by then: no broker can prevent that.
        if plan.order != "none" and not plan.freeze_worker:
            promised["order breaks"] = self.order_breaks
        if not plan.has_faults:
            promised["delivered again"] = self.again
        return promised


def judge(plan: Plan, acknowledged: Iterable[Acknowledged], handled: Iterable[Handled], stock: Stock) -> Verdict:
    """Compare what was promised with what is so."""
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
            letter.attempts != plan.attempts or not fault_plan.is_poison(plan.seed, letter.name, plan.poison)
            for letter in stock.letters
        ),
        order_breaks=breaks,
        left_over=len(stock.left_over),
        unsettled=places.pending + places.waiting + places.parked + places.unread,
        miscounted=abs(len(stock.stored) - places.done - places.dead),
        trimmed=stock.trimmed,
    )


def _follow(plan: Plan, handled: Iterable[Handled], dead: Set[str]) -> tuple[set[str], int, int]:
    """Return what was handled, how often something was again, and how often the order was broken."""
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
