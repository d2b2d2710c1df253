"""The model's moves, done to a real server as well: after each of them, both must agree."""

from collections import deque
from itertools import takewhile
from typing import Any, Literal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from synapse.inspection.places import derive_place
from synapse.redis import SyncExecutor
from synapse.redis.commands import delivery as delivery_commands
from synapse.redis.commands.delivery import Failure, InFlightEvent
from synapse.redis.commands.delivery_log import DoneLog
from synapse.redis.commands.places import place
from synapse.redis.commands.streams import xinfo_groups
from tests.bridges.cast import COPIES, COUNTERS, DEAD, DUE, GROUP, LOCKS, PLACE, STREAM, made_by_us
from tests.delivery.model import Model, Waiting, order

MOST_ATTEMPTS = 3
LONG = 10**9
CONSUMERS = st.sampled_from(["one", "two"])


class Places(RuleBasedStateMachine):
    """Moves events about, in any order, by any number of consumers, with replies that are lost."""

    def __init__(self, redis: Any, executor: SyncExecutor, *, order: Literal["none", "key", "stream"]) -> None:
        super().__init__()
        self.redis = redis
        self.executor = executor
        self.order = order
        self.model = Model()

    @initialize(mode=st.sampled_from(["off", "failures", "all"]))
    def begin(self, mode: str) -> None:
        self.log: Any = DoneLog(attempts=[1]) if mode == "all" else None
        self.logs = mode != "off"
        self.redis.flushall()
        made_by_us(self.redis)

    def send(self, command: Any) -> Any:
        return self.executor.execute([command])[0]

    @rule(key=st.sampled_from(["a", "b", None]))
    def publish(self, key: str | None) -> None:
        id_ = self.redis.xadd(STREAM, {"event_type": "order-placed", **({"customer": key} if key else {})}).decode()
        self.model.keys[id_] = {"none": None, "key": key, "stream": "stream"}[self.order]
        self.model.unread.append(id_)
        self.model.instances += 1

    @rule(consumer=CONSUMERS, count=st.integers(1, 4), together=st.booleans())
    def read(self, consumer: str, count: int, together: bool) -> None:
        if self.order == "none":
            rows = self.redis.xreadgroup(GROUP, consumer, {STREAM: ">"}, count=count)
            found = [id_.decode() for id_, _ in rows[0][1]] if rows else []
        else:
            command = delivery_commands.read(
                *PLACE, consumer, limit=count, order=self.order, key="customer", together=together
            )
            admitted = self.send(command)
            found = [event.id for event in admitted.events]
            assert admitted.blocked == ("stream" in self.model.locks)
        expected = []
        opened: set[str] = set()
        if self.order == "stream":
            count = 0 if self.model.locks else count if together else 1
        while self.model.unread and count:
            id_ = self.model.unread.popleft()
            count -= 1
            key = self.model.keys[id_]
            if key is not None and key in self.model.locks:
                self.model.behind.setdefault(key, deque()).append(id_)
                if key not in opened:
                    self.model.parked[id_] = Waiting(0)
                    continue
            elif key is not None:
                self.model.locks[key] = id_
                opened |= {key} if together else set()
            self.model.pending[id_] = consumer
            expected.append(id_)
        assert found == expected

    @precondition(lambda self: self.model.keys)
    @rule(data=st.data(), twice=st.booleans(), late=st.booleans())
    def finish(self, data: st.DataObject, twice: bool, late: bool) -> None:
        """Acknowledge any event, in flight or not. In an ordered group a late acknowledgement has no effect on an event
        that another consumer holds or that is blocked by its key."""
        id_ = data.draw(st.sampled_from(sorted(self.model.keys)))
        there = id_ in self.model.pending or id_ in self.model.waiting
        if late and self.model.is_behind(id_):
            token = self.model.waiting[id_].token if id_ in self.model.waiting else ""
            assert self.send(delivery_commands.done(*PLACE, [id_], tokens=[token], log=self.log)) == 0
            return
        if late and self.model.locks and id_ in self.model.waiting and self.model.waiting[id_].token:
            assert self.send(delivery_commands.done(*PLACE, [id_], tokens=["12 stranger"], log=self.log)) == 0
            return
        assert self.send(delivery_commands.done(*PLACE, [id_], log=self.log)) == int(there)
        if there:
            self.model.done += 1
            self.model.end(id_)
            self.model.ends[id_] = "acknowledged"
        if twice:
            assert self.send(delivery_commands.done(*PLACE, [id_], log=self.log)) == 0

    @precondition(lambda self: self.model.keys)
    @rule(data=st.data(), fatal=st.booleans(), later=st.booleans(), stale=st.booleans(), twice=st.booleans())
    def fail(self, data: st.DataObject, fatal: bool, later: bool, stale: bool, twice: bool) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.model.keys)))
        held = self.model.waiting.get(id_)
        token = "12 stranger" if stale else (held.token or "12 nobody") if held else ""
        attempts = held.attempts if held else 1
        fatal = fatal or attempts >= MOST_ATTEMPTS
        failure = Failure(id=id_, token=token, error="no", took_ms=1, delay_ms=LONG if later else 0, fatal=fatal)
        command = delivery_commands.fail(*PLACE, [failure], consumer="one", logs=self.logs)
        expected = "stale"
        if not stale and (id_ in self.model.pending or (held and held.token)):
            if id_ in self.model.pending and id_ in self.model.deleted:
                expected = "lost"
                self.model.lose(id_)
            elif fatal:
                expected = "dead"
                self.model.bury(id_)
            else:
                expected = "retry"
                self.model.put_back(id_, Waiting(attempts, due=not later))
        assert self.send(command) == [expected]
        if twice:
            assert self.send(command) == ["stale"]

    @precondition(lambda self: self.model.keys)
    @rule(data=st.data(), consumer=CONSUMERS)
    def release(self, data: st.DataObject, consumer: str) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.model.keys)))
        held = self.model.waiting.get(id_)
        given = self.send(delivery_commands.release(*PLACE, consumer, [(id_, held.token or "" if held else "")]))
        if held and held.token:
            self.model.put_back(id_, Waiting(held.attempts - 1))
            assert given == 1
        elif self.model.pending.get(id_) == consumer and id_ not in self.model.deleted:
            self.model.put_back(id_, Waiting(0))
            assert given == 1
        else:
            assert given == 0

    @rule(consumer=st.sampled_from(["one", "two", ""]), limit=st.integers(1, 5))
    def reap(self, consumer: str, limit: int) -> None:
        """Reclaim pending events, as after a lease."""
        ids = [id_ for id_ in sorted(self.model.pending, key=order) if consumer in ("", self.model.pending[id_])]
        reaped = self.send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=limit, consumer=consumer, logs=self.logs))
        lost = [id_ for id_ in ids[:limit] if id_ in self.model.deleted]
        assert (reaped.moved, reaped.lost) == (len(ids[:limit]) - len(lost), len(lost))
        for id_ in ids[:limit]:
            if id_ in lost:
                self.model.lose(id_)
            else:
                self.model.put_back(id_, Waiting(1, None))

    @rule(consumer=CONSUMERS, limit=st.sampled_from([1, 2, 100]), together=st.booleans())
    def lease(self, consumer: str, limit: int, together: bool) -> None:
        by_time = [id_.decode() for id_ in self.redis.zrangebyscore(DUE, "-inf", "+inf")]
        due = deque(id_ for id_ in by_time if self.model.waiting[id_].due)
        command = delivery_commands.lease(
            *PLACE,
            consumer,
            limit=limit,
            lease_ms=LONG,
            most_attempts=MOST_ATTEMPTS,
            together=together,
            logs=self.logs,
        )
        found = {event.id: event for event in self.send(command).events}
        # What was given out together with an earlier event, and is due, goes back behind that one first.
        turns: list[str] = []
        while due and not turns:
            for id_ in [due.popleft() for _ in range(min(limit, len(due)))]:
                if self.model.is_behind(id_):
                    self.model.put_back(id_, Waiting(self.model.waiting[id_].attempts, None))
                else:
                    turns.append(id_)
        given: dict[str, str] = {}
        for id_ in turns:
            if len(given) == limit or not self.give(id_, found, given):
                break
            behind = list(self.model.behind.get(self.model.keys[id_] or "", ())) if together and id_ in given else []
            if self.model.locks.get(self.model.keys[id_] or "") != id_:
                # Redriven, it has its key no more.
                behind = []
            room = limit - len(given)
            if any(not self.give(one, found, given) for one in self.parked_first(behind[:room])):
                break
        assert set(found) == set(given)
        assert all(found[id_].token.endswith(f" {consumer}") for id_ in given)

    def parked_first(self, ids: list[str]) -> list[str]:
        """Return the first of the events, up to one that is in somebody's hand."""
        return list(takewhile(lambda id_: id_ in self.model.parked, ids))

    def give(self, id_: str, found: dict[str, InFlightEvent], given: dict[str, str]) -> bool:
        """Give out an event, as the model has it. Return whether others may go with it."""
        one = self.model.waiting.get(id_) or self.model.parked[id_]
        last_after_silence = one.token != "" and one.attempts + 1 == MOST_ATTEMPTS
        if given and last_after_silence:
            return False
        if one.attempts >= MOST_ATTEMPTS:
            self.model.bury(id_)
            return True
        assert found[id_].attempt == one.attempts + 1
        self.model.parked.pop(id_, None)
        self.model.waiting[id_] = Waiting(one.attempts + 1, found[id_].token, due=False)
        given[id_] = found[id_].token
        return not last_after_silence

    @precondition(lambda self: self.model.waiting)
    @rule(data=st.data())
    def let_time_pass(self, data: st.DataObject) -> None:
        """Make an event due: its wait, or the lease of its consumer, is over."""
        id_ = data.draw(st.sampled_from(sorted(self.model.waiting)))
        self.redis.zadd(DUE, {id_: 1})
        self.model.waiting[id_].due = True

    @rule(consumer=CONSUMERS)
    def recall(self, consumer: str) -> None:
        recalled = self.send(
            delivery_commands.recall(*PLACE, consumer, lease_ms=LONG, offset=0, limit=100, logs=self.logs)
        )
        ended = 0
        for id_, one in list(self.model.waiting.items()):
            if one.token and one.token.endswith(f" {consumer}") and not one.due:
                self.model.put_back(id_, Waiting(one.attempts, None))
                ended += 1
        assert recalled.ended == ended

    @precondition(lambda self: self.model.waiting or self.model.pending)
    @rule(data=st.data(), consumer=st.sampled_from(["one", "two", ""]), twice=st.booleans())
    def prolong(self, data: st.DataObject, consumer: str, twice: bool) -> None:
        """Extend the lease of an event; a pending event becomes a leased one with a copy of its own."""
        id_ = data.draw(st.sampled_from(sorted({*self.model.waiting, *self.model.pending})))
        held = self.model.waiting.get(id_)
        holder = (held.token or "").partition(" ")[2] if held else self.model.pending[id_]
        there = bool(holder) and consumer in ("", holder) and (held is not None or id_ not in self.model.deleted)
        command = delivery_commands.extend(*PLACE, [id_], lease_ms=LONG, consumer=consumer)
        for _ in range(1 + twice):
            assert self.send(command) == [there]
        if there and held:
            held.due = False
        elif there:
            del self.model.pending[id_]
            token = self.redis.hget(COPIES, f"{id_}:tok").decode()
            assert token.endswith(f" {holder}")
            self.model.waiting[id_] = Waiting(1, token, due=False)

    @precondition(lambda self: self.model.pending)
    @rule(data=st.data())
    def delete_an_entry(self, data: st.DataObject) -> None:
        """Delete a pending entry from the stream."""
        id_ = data.draw(st.sampled_from(sorted(self.model.pending)))
        self.redis.xdel(STREAM, id_)
        self.model.deleted.add(id_)

    @invariant()
    def both_agree(self) -> None:
        model = self.model
        with self.redis.pipeline(transaction=False) as asked:
            asked.xpending_range(STREAM, GROUP, "-", "+", 1000)
            asked.zrange(DUE, 0, -1)
            asked.hkeys(COPIES)
            asked.hvals(LOCKS)
            asked.xrange(DEAD)
            asked.hgetall(COUNTERS)
            asked.xinfo_groups(STREAM)
            asked.xrange(STREAM)
            asked.keys(f"syn:{{{STREAM}}}:queue:*")
            pending, due, copies, locks, dead, counters, groups, entries, names = asked.execute()
        assert {row["message_id"].decode(): row["consumer"].decode() for row in pending} == model.pending
        assert {id_.decode() for id_ in due} == set(model.waiting)
        copied = {name.decode().partition(":")[0] for name in copies if name.endswith(b":body")}
        assert copied == {*model.waiting, *model.parked}
        queues = [self.redis.lrange(name, 0, -1) for name in names]
        assert sorted([id_.decode() for id_ in queue] for queue in queues) == sorted(
            list(queue) for queue in model.behind.values() if queue
        )
        assert sorted(id_.decode() for id_ in locks) == sorted(model.locks.values())
        assert sorted(fields[b"id"].decode() for _, fields in dead) == sorted(model.dead)
        counted = {name.decode(): text for name, text in counters.items()}
        assert [int(counted.get(name, 0)) for name in ("done", "lost_trimmed", "discarded", "skipped", "parked")] == [
            *(model.done, model.lost, model.discarded, model.skipped, len(model.parked))
        ]
        last = order(groups[0]["last-delivered-id"].decode())
        ids = [id_.decode() for id_, _ in entries]
        assert [id_ for id_ in ids if order(id_) > last] == list(model.unread)
        self.every_event_is_in_one_place()
        self.every_timeline_agrees()

    def every_event_is_in_one_place(self) -> None:
        """Nothing is lost, nothing is there twice: the law that all of this is about."""
        model = self.model
        there = len(model.unread) + len(model.owed()) + len(model.dead)
        assert there + model.done + model.lost + model.discarded + model.skipped == model.instances

    def every_timeline_agrees(self) -> None:
        """The timeline of each event tells the place where the model has it."""
        ids = list(self.model.keys)
        *kept, groups = self.executor.execute([*(place(*PLACE, id_) for id_ in ids), xinfo_groups(STREAM)])
        for id_, one in zip(ids, kept, strict=True):
            is_there = id_ not in self.model.deleted
            found = derive_place(id_, groups[0], GROUP, one, letters=one.letters, is_there=is_there)
            expected = self.place_of(id_, groups[0].last_delivered_id)
            # What was deleted before the group was made again never was in it.
            if found.is_certain and (expected or is_there):
                assert (id_, found.place) == (id_, expected)
            assert [letter.event_id for letter in found.letters] == [id_] * self.model.dead.count(id_)
            if found.place == "blocked":
                assert found.blocked_by == self.model.locks[self.model.keys[id_] or ""]
                assert found.ahead == self.model.behind[self.model.keys[id_] or ""].index(id_)
            # Where lines are written, nothing is left to guess of what the stream holds.
            assert found.is_certain or found.place == "acknowledged"
            assert found.is_certain or not (self.logs and is_there)

    def place_of(self, id_: str, last_delivered: str) -> str:
        """Return the place of an event in the model, as a timeline names it."""
        model, waiting = self.model, self.model.waiting.get(id_)
        if id_ in model.pending or (waiting and waiting.token and not waiting.due):
            return "in-flight"
        if waiting:
            return "scheduled"
        if id_ in model.parked:
            return "blocked"
        if id_ in model.unread:
            return "unread"
        if order(id_) > order(last_delivered):
            # Deleted while it was pending, and the group was moved back.
            return "lost"
        return "dead" if id_ in model.dead else model.ends.get(id_, "")
