"""After any history, the backlog of pinning groups stays up to the hard length, and forced losses are counted."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synapse.redis import keyspace
from tests.chaos.profile import examples

GROUPS = ("billing", "mailing", "terminal")
DURABLE = {"billing"}
# Entries lie this far apart; ages are cut half-way between two of them, so that a few milliseconds do not matter.
SPACING_MS = 10_000

group = st.sampled_from(GROUPS)
few = st.integers(1, 12)
steps = st.one_of(
    st.tuples(st.just("publish"), few),
    st.tuples(st.just("publish"), st.integers(10, 40)),
    st.tuples(st.just("read"), group, few),
    st.tuples(st.just("settle"), group, st.lists(st.integers(0, 30), max_size=8)),
    st.tuples(st.just("delete"), st.lists(st.integers(0, 60), max_size=6)),
    st.tuples(st.just("move"), group, st.integers(0, 80)),
    st.tuples(
        st.just("sweep"),
        st.fixed_dictionaries(
            {
                "max_length": st.integers(1, 30),
                "hard_length": st.integers(1, 50),
                "when_full": st.sampled_from(["drop_oldest", "drop_oldest", "reject"]),
                "room": st.sampled_from([1, 3, 1000]),
                "keep": st.none() | st.integers(0, 40),
                "silent": st.booleans(),
            }
        ),
    ),
)


@dataclass
class State:
    """The stream as it lies in Redis: its ids, and what each group owes of them."""

    ids: list[int]
    owed: dict[str, set[int]]


class Model:
    """Does a history on a real server, and says what a sweep must leave of it, in the words of the rules."""

    def __init__(self, orders, sweep):
        self.orders, self.redis, self.do_sweep = orders, orders.redis, sweep
        self.base = (orders.now() // SPACING_MS - 1000) * SPACING_MS
        self.published = 0
        self.lost = dict.fromkeys(GROUPS, 0)
        for name in GROUPS:
            orders.group(name)

    def publish(self, count):
        self.orders.publish(*(self.base + SPACING_MS * (self.published + n) for n in range(1, count + 1)))
        self.published += count

    def read(self, name, count):
        self.orders.read(name, count)

    def settle(self, name, places):
        pending = self._pending(name)
        if chosen := [f"{pending[place]}-0" for place in places if place < len(pending)]:
            self.redis.xack("orders", name, *chosen)

    def delete(self, places):
        ids = self.orders.kept
        if chosen := [f"{ids[place]}-0" for place in places if place < len(ids)]:
            self.redis.xdel("orders", *chosen)

    def move(self, name, number):
        self.redis.xgroup_setid("orders", name, f"{self.base + SPACING_MS * number}-0")

    def sweep(self, options):
        limits, room = dict(options), options["room"]
        pin_for = timedelta(0) if options["silent"] else timedelta(hours=24)
        age = None
        if limits.pop("keep") is not None:
            oldest_kept = self.base + SPACING_MS * (self.published - options["keep"])
            age = timedelta(milliseconds=self.orders.now() - oldest_kept + SPACING_MS // 2)
        del limits["silent"], limits["room"]
        before, trimmed = self._state(), self.orders.trimmed

        # A second turn: what a forced cut freed of its last owner may go by the ordinary rules.
        for _ in range(2):
            self.do_sweep(**limits, max_age=age, durable=DURABLE, pin_for=pin_for, room=room)

        kept, pinning = set(self.orders.kept), DURABLE if options["silent"] else set(GROUPS)
        gone = set(before.ids) - kept
        assert kept == set(self._expected(before, options, pinning))
        assert self.orders.trimmed - trimmed == len(gone)
        for name in GROUPS:
            self.lost[name] += len(before.owed[name] & gone)
            assert self.orders.lost(name) + self.orders.lost(name, "lost_silent") == self.lost[name]
        assert self.orders.lost("billing", "lost_silent") == 0
        if options["when_full"] == "reject" or len(before.ids) <= options["hard_length"]:
            assert not any(before.owed[name] & gone for name in pinning)

    def _expected(self, before, options, pinning):
        """Return the remaining events: by the ordinary rules, then by force, then by the ordinary rules again."""
        hard, rejects = options["hard_length"], options["when_full"] == "reject"
        ids = self._ordinary(before, before.ids, options, pinning)
        if not rejects and len(ids) > hard:
            ids = self._ordinary(before, ids[len(ids) - hard :], options, pinning)
        return ids

    def _ordinary(self, before, ids, options, pinning):
        hard = options["hard_length"]
        longest = min(options["max_length"], hard * 9 // 10 if options["when_full"] == "reject" else hard)
        held = min((owed for name in pinning for owed in before.owed[name] & set(ids)), default=float("inf"))
        surplus = len(ids) - longest
        too_old = float("-inf")
        if options["keep"] is not None:
            too_old = self.base + SPACING_MS * (self.published - options["keep"])
        return [id_ for place, id_ in enumerate(ids) if id_ >= held or (place >= surplus and id_ >= too_old)]

    def _state(self):
        ids = self.orders.kept
        owed = {}
        for row in self.redis.xinfo_groups("orders"):
            name = row["name"].decode()
            place = int(row["last-delivered-id"].partition(b"-")[0])
            owed[name] = {id_ for id_ in ids if id_ > place} | (set(self._pending(name)) & set(ids))
        return State(ids, owed)

    def _pending(self, name):
        rows = self.redis.xpending_range("orders", name, "-", "+", 10_000)
        return [int(row["message_id"].partition(b"-")[0]) for row in rows]


@pytest.fixture
def small_nodes(redis):
    """Make the nodes of streams so small that a few entries fill several: cuts meet their borders."""
    usual = redis.config_get("stream-node-max-entries")
    redis.config_set("stream-node-max-entries", 4)
    yield
    redis.config_set("stream-node-max-entries", usual["stream-node-max-entries"])


@settings(
    max_examples=examples(300),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=st.lists(steps, min_size=4, max_size=25))
def test_in_every_history_unacknowledged_events_stay_and_forced_losses_are_counted(small_nodes, orders, sweep, history):
    orders.redis.flushall()
    model = Model(orders, sweep)

    for name, *arguments in history:
        getattr(model, name)(*arguments)

    assert orders.trimmed + len(orders.kept) <= model.published
    assert set(orders.redis.hkeys(keyspace.pins("orders"))) <= {name.encode() for name in GROUPS} - {b"billing"}
