"""A group whose worker needs every script to acknowledge all, and the invariant that holds when it is cut off.

The law: every event of a group is in exactly one place - unread, pending, waiting, parked, dead, or done.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import redis as redis_py

from chaos.verdict import KeyOrder
from synapse.delivery import membership
from synapse.delivery.membership import Subscription
from synapse.delivery.retry import Policy
from synapse.delivery.sink import Delivery, MayBegin, OneByOne, Outcome
from synapse.delivery.worker import Worker
from synapse.errors.delivery import SinkAway, SinkError
from synapse.redis import SyncExecutor
from synapse.redis.command import load_script
from synapse.redis.commands import delivery as delivery_commands
from synapse.runtime.backoff import Backoff
from synapse.wire.ids import parse
from tests.bridges.cast import DEAD, GROUP, PLACE, STREAM, made_by_us, name_of_the_dead, places, publish, read_and_die

EVENTS, KEYS, ATTEMPTS = 12, 3, 4
POISON = b"7"
DEEDS = "deeds"
# What a worker asks of Redis, in the words of synapse/redis/scripts; and what people, programs that pull and the
# janitor ask.
ASKED = ("join", "read", "done", "fail", "lease", "reclaim", "recall", "release", "leave", "clean", "checkpoint")
ASKED_BY_OTHERS = ("extend", "replay", "discard", "move", "delete", "trim")
_SCRIPTS = {name: load_script(name) for name in (*ASKED, *ASKED_BY_OTHERS)}
_BY_DIGEST = {script.digest: name for name, script in _SCRIPTS.items()}
_BY_TEXT = {script.text: name for name, script in _SCRIPTS.items()}


def asked(words: Sequence[object]) -> str:
    """Return which of `ASKED` or `ASKED_BY_OTHERS` a command is, "" for none of them."""
    first, second = (word.decode() if isinstance(word, bytes) else str(word) for word in (*words, "")[:2])
    if first == "XREADGROUP":
        return "read"
    return {"EVALSHA": _BY_DIGEST, "EVAL": _BY_TEXT}.get(first, {}).get(second, "")


class Handler(OneByOne):
    """Notes each begin and end in a file that outlives it; is away once; never takes the poison event."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._was_away = False

    def deliver(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        if not self._was_away:
            self._was_away = True
            raise SinkAway("not yet")
        return super().deliver(batch, may_begin)

    def take(self, delivery: Delivery) -> None:
        self._note("began", delivery)
        if delivery.fields[b"n"] == POISON:
            raise SinkError("poison")
        self._note("done", delivery)

    def _note(self, what: str, delivery: Delivery) -> None:
        file = os.open(self._folder / DEEDS, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, f"{what} {delivery.fields[b'key'].decode()} {delivery.id}\n".encode())
        os.close(file)


def publish_one(redis: redis_py.Redis, n: int) -> list[str]:
    """Append the event with this number; return its id."""
    return publish(redis, 1, n=n, key=f"k{n % KEYS}")


@dataclass
class Scene:
    """The group, at the beginning: some events unread, some pending and some leased by a consumer that died."""

    redis: redis_py.Redis
    folder: Path
    order: str

    def set(self, executor: SyncExecutor) -> "Scene":
        """Make it so."""
        with self.redis.pipeline(transaction=False) as pipe:
            for script in _SCRIPTS.values():
                pipe.script_load(script.text)
            pipe.execute()
        made_by_us(self.redis)
        self.redis.xgroup_createconsumer(STREAM, GROUP, "forgotten")
        dead = name_of_the_dead()
        ids = [*publish_one(self.redis, 0), *publish_one(self.redis, 1)]
        self._read(executor, dead)
        executor.execute([delivery_commands.reclaim(*PLACE, idle_ms=0, limit=100)])
        executor.execute([delivery_commands.lease(*PLACE, dead, limit=100, lease_ms=60_000)])
        ids += publish_one(self.redis, 2)
        self._read(executor, dead)
        for n in range(len(ids), EVENTS):
            publish_one(self.redis, n)
        return self

    def _read(self, executor: SyncExecutor, consumer: str) -> None:
        if self.order == "none":
            read_and_die(self.redis, consumer)
        else:
            executor.execute([delivery_commands.read(*PLACE, consumer, limit=100, order="key", key="key")])

    def worker(self, executor: SyncExecutor, handler: Handler) -> Worker:
        """Return a worker that ends when nothing is left."""
        subscription = Subscription(
            stream=STREAM,
            group=GROUP,
            consumer=membership.new_consumer_name(),
            block_ms=0,
            order=self.order,
            order_key="key" if self.order == "key" else "",
            retry=Policy(most_attempts=ATTEMPTS, backoff=Backoff(base=0, cap=0)),
        )
        return Worker(subscription, executor=executor, sink=handler, say=lambda _: None, drain=True)

    def run_dry(self, worker: Worker, executor: SyncExecutor, *, checks: bool = True, most_steps: int = 500) -> None:
        """Step until all is settled, and leave the group. `checks`: check the invariant after each step."""
        while not worker.finished:
            worker.step()
            if checks:
                self.check()
            most_steps -= 1
            assert most_steps, f"still not through: {places(self.redis)}"
        worker.leave(executor)

    def check(self) -> None:
        """Check the invariant: every event is in exactly one place; discarded and skipped ones were so on request."""
        found = {**places(self.redis), "dead": self.redis.xlen(DEAD)}
        kinds = ("pending", "waiting", "parked", "dead", "done", "discarded", "skipped")
        in_places = sum(found.get(name, 0) for name in kinds)
        unread = len(self.unread())
        assert unread + in_places == EVENTS, f"{unread} unread, and {found}"
        assert "lost_trimmed" not in found

    def unread(self) -> list[str]:
        """Return the events that nobody has had."""
        last = self.redis.xinfo_groups(STREAM)[0]["last-delivered-id"].decode()
        return [id_.decode() for id_, _ in self.redis.xrange(STREAM, f"({last}")]

    def check_the_end(self) -> None:
        """All is settled; the poison is dead, everything else was done; those of a key began in their order."""
        self.check()
        assert places(self.redis) == {"done": EVENTS - 1, "dead": 1}
        ids = [id_.decode() for id_, _ in self.redis.xrange(STREAM)]
        deeds = [line.split() for line in (self.folder / DEEDS).read_text().splitlines()]
        done = {id_ for what, _, id_ in deeds if what == "done"}
        assert done == set(ids) - {ids[int(POISON)]}
        if self.order == "key":
            orders = {key: KeyOrder({ids[int(POISON)]}) for _, key, _ in deeds}
            for what, key, id_ in deeds:
                if what == "done":
                    orders[key].end(parse(id_))
                else:
                    assert not orders[key].begin(parse(id_), id_), "an earlier event of the key had to end first"
            assert not any(order.is_unfinished() for order in orders.values())
