"""The timelines of all events at the end of a run, and their comparison with the ledger."""

from collections.abc import Sequence, Set

from chaos import plan as chaos_plan
from chaos.plan import GROUP, STREAM, Plan
from synapse.inspection.places import EventPlace, derive_place
from synapse.redis import SyncExecutor, value
from synapse.redis.commands import streams as stream_commands
from synapse.redis.commands.places import place

_PAGE = 1000


def read(executor: SyncExecutor, ids: Sequence[str]) -> dict[str, EventPlace]:
    """Return the place of each event in the group, with its attempts, from its timeline."""
    found = {}
    for first in range(0, len(ids), _PAGE):
        some = ids[first : first + _PAGE]
        *kept, groups = executor.execute(
            [*(place(STREAM, GROUP, id_) for id_ in some), stream_commands.xinfo_groups(STREAM)]
        )
        group = next(group for group in value(groups) if group.name == GROUP)
        for id_, reply in zip(some, kept, strict=True):
            stored = value(reply)
            found[id_] = derive_place(id_, group, GROUP, stored, letters=stored.letters, is_there=True)
    return found


def agrees(plan: Plan, name: str, told: EventPlace, *, done: Set[str], dead: Set[str]) -> bool:
    """Say whether the timeline of an event agrees with the ledger about its place and its failed attempts."""
    expected = "dead" if name in dead else "acknowledged" if name in done else ""
    if (told.place, told.is_certain) != (expected, True):
        return False
    numbers = [attempt.number or 0 for attempt in told.attempts]
    failed = [attempt.number or 0 for attempt in told.attempts if attempt.outcome == "failed"]
    is_poison = chaos_plan.is_poison(plan.seed, name, plan.poison)
    if expected == "dead" and (len(numbers) != plan.attempts or "done" in {each.outcome for each in told.attempts}):
        return False
    return len(set(numbers)) == len(numbers) and all(
        is_poison or chaos_plan.fails(plan.seed, name, number, plan.failures) for number in failed
    )
