"""Acts of people, pulling programs and the janitor on a group, and the checks that hold when an act is cut off."""

from collections.abc import Callable
from dataclasses import dataclass

from synapse.catalog.stream_definitions import StreamDefinition
from synapse.redis import SyncExecutor
from synapse.redis.commands import (
    dead_letters as dead_letter_commands,
)
from synapse.redis.commands import (
    delivery as delivery_commands,
)
from synapse.redis.commands import (
    groups as group_commands,
)
from synapse.redis.commands.delivery import Failure
from synapse.retention.janitor import Janitor
from tests.bridges.cast import (
    COPIES,
    DEAD,
    DUE,
    GROUP,
    PLACE,
    STREAM,
    make_due,
    name_of_the_dead,
    parked,
    read_and_die,
)
from tests.chaos.scene import EVENTS, Handler, Scene


def in_every_place(scene: Scene, executor: SyncExecutor) -> Scene:
    """Bring the group's events to where people act on them: the first is dead, the second done; of the others some are
    in the hand of a consumer that died, some wait or are parked, some are unread."""
    make_due(scene.redis)
    dead = name_of_the_dead()
    (leased,) = executor.execute([delivery_commands.lease(*PLACE, dead, limit=2, lease_ms=60_000)])
    first, second = leased.events
    failure = Failure(id=first.id, token=first.token, error="no", took_ms=1, delay_ms=0, fatal=True)
    executor.execute([delivery_commands.fail(*PLACE, [failure]), delivery_commands.done(*PLACE, [second.id])])
    if scene.order == "none":
        read_and_die(scene.redis, dead, count=4)
    else:
        executor.execute([delivery_commands.read(*PLACE, dead, limit=4, order="key", key="key", together=True)])
    scene.check()
    return scene


@dataclass(frozen=True)
class Act:
    """`do` does it from its beginning to its end; it can be done again. `holds` is the law while it is cut off."""

    script: str
    do: Callable[[SyncExecutor], object]
    holds: Callable[[Scene], None] = Scene.check
    # Whether all events of the stream are unread when it was done; and whether the group is gone.
    begins_anew: bool = False
    deletes: bool = False


def _letters(executor: SyncExecutor) -> list[str]:
    (letters,) = executor.execute([dead_letter_commands.letters(*PLACE, count=100)])
    return [letter.id for letter in letters]


def _extend(executor: SyncExecutor) -> None:
    (waiting,) = executor.execute([group_commands.first_waiting(*PLACE, count=100)])
    (pending,) = executor.execute([group_commands.oldest_pending(*PLACE)])
    executor.execute([delivery_commands.extend(*PLACE, [*waiting, pending] if pending else waiting, lease_ms=1)])


def _replay(executor: SyncExecutor) -> None:
    executor.execute([dead_letter_commands.replay(*PLACE, [(id_, b"") for id_ in _letters(executor)])])


def _discard(executor: SyncExecutor) -> None:
    executor.execute([dead_letter_commands.discard(*PLACE, _letters(executor))])


def _move(executor: SyncExecutor, target: str, *, forget: bool = False) -> None:
    cursor: str | None = None
    while cursor != "":
        command = group_commands.move(*PLACE, target, forget_owed=forget, cursor=cursor or "", skips=2, looks=2)
        (part,) = executor.execute([command])
        cursor = part.cursor


def _delete(executor: SyncExecutor, *, force: bool) -> None:
    executor.execute([group_commands.delete(*PLACE, lively_ms=0, force=force)])


def _trim(executor: SyncExecutor) -> None:
    stream = StreamDefinition(name=STREAM, layout="flat", max_length=1, hard_length=EVENTS)
    janitor = Janitor(lambda: executor, lambda: {STREAM: stream}, lambda: {STREAM: {GROUP: "0"}})
    janitor.step()
    # The first turn learns the names of the groups.
    janitor.step()


def nothing_is_lost(scene: Scene) -> None:
    """Between two parts of a move an event may be in two places: the new one comes first. It is in one at least."""
    ids = [id_.decode() for id_, _ in scene.redis.xrange(STREAM)]
    waiting = [id_.decode() for id_ in scene.redis.zrange(DUE, 0, -1)]
    pending = [row["message_id"].decode() for row in scene.redis.xpending_range(STREAM, GROUP, "-", "+", 100)]
    # The first is a dead letter and the second done, unless they are unread again.
    assert {*scene.unread(), *waiting, *pending, *parked(scene.redis), *ids[:2]} == set(ids)


def all_or_nothing(scene: Scene) -> None:
    """The group is there with all that it has, or nothing of it is."""
    if scene.redis.xinfo_groups(STREAM):
        scene.check()
    else:
        assert list(scene.redis.scan_iter("syn:*")) == []


ACTS = {
    "extending the leases of events in flight": Act("extend", _extend),
    "redriving dead letters": Act("replay", _replay),
    "discarding dead letters": Act("discard", _discard),
    "moving on": Act("move", lambda executor: _move(executor, group_commands.END)),
    "moving on and forgetting": Act("move", lambda executor: _move(executor, group_commands.END, forget=True)),
    "moving back": Act("move", lambda executor: _move(executor, "0"), nothing_is_lost, begins_anew=True),
    "deleting what is owed something": Act("delete", lambda executor: _delete(executor, force=False)),
    "deleting": Act("delete", lambda executor: _delete(executor, force=True), all_or_nothing, deletes=True),
    "trimming": Act("trim", _trim),
}


def does_it_again(scene: Scene, executor: SyncExecutor, act: Act) -> None:
    """Check the invariant after a cut-off act, repeat the act, and let a worker acknowledge the remaining events."""
    act.holds(scene)
    act.do(executor)
    act.holds(scene)
    if act.deletes:
        assert scene.redis.xinfo_groups(STREAM) == []
        return
    if act.begins_anew:
        assert len(scene.unread()) == EVENTS
        assert not scene.redis.exists(DUE, COPIES)
    worker = scene.worker(executor, Handler(scene.folder))
    if act.begins_anew:
        while not worker.finished:
            worker.step()
        # The dead letter from before stays, beside the poison.
        assert scene.redis.xlen(DEAD) == 2
    else:
        scene.run_dry(worker, executor)
    assert scene.unread() == []
    assert scene.redis.xpending(STREAM, GROUP)["pending"] == 0
    assert not scene.redis.exists(DUE, COPIES)
