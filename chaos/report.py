"""A run's outcome for a person."""

from collections.abc import Iterator
from typing import Any

from chaos.plan import Plan
from chaos.verdict import Verdict


def broken(plan: Plan, outcome: dict[str, Any]) -> list[str]:
    """Return the promises that were not kept, a sentence each."""
    promised = Verdict(**outcome["verdict"]).promised(plan)
    promises = {**promised, "workers crashed": outcome["crashed"], "stops gone wrong": outcome["stops"]["bad"]}
    return [f"{name}: {count:,}" for name, count in promises.items() if count]


def table(plan: Plan, outcome: dict[str, Any]) -> str:
    """Return what was done and what came of it, as text."""
    verdict = Verdict(**outcome["verdict"])
    rows = [*_deeds(plan, outcome), *_counts(plan, verdict)]
    return "\n".join(f"{name:<24} {text}" for name, text in rows)


def _deeds(plan: Plan, outcome: dict[str, Any]) -> Iterator[tuple[str, str]]:
    deeds, stops = outcome["deeds"], outcome["stops"]
    yield "engine", outcome["engine"]
    yield "order", plan.order
    yield "seconds", f"{outcome['took']:.1f}, and {outcome['drained']:.1f} until all was settled"
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
