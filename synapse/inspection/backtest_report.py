"""A back-test as a person reads it, line by line. Pure."""

from collections.abc import Iterator
from typing import Any

from synapse.inspection.backtest import Tested


def lines(tested: Tested, candidate: str) -> Iterator[str]:
    """Give the lines; `candidate` says what was tested."""
    found = tested.as_dict()
    yield f"{candidate} on {tested.stream}/{tested.event_type}: {_verdict(found)}"
    if found["events"]:
        yield f"  {_count(found['events'], 'event')}, {_span(found['oldest'], found['newest'])}{_foreign(found)}"
    yield f"  {_count(found['scanned'], 'entry', 'entries')} looked at{_stopped(found)}"
    if found["events"]:
        yield f"  {_now(found)}"
    for rule in found["violations"]:
        yield ""
        yield f"  {_count(rule['events'], 'event')}: {rule['message']}"
        yield f"      rule      {rule['schema_pointer']}"
        yield f"      place     {rule['pointer'] or 'the event itself'}"
        yield f"      seen      {_span(rule['first_seen'], rule['last_seen'])}"
        yield f"      examples  {', '.join(example['id'] for example in rule['examples'])}"
    if found["more_violations"]:
        yield "  There are further reasons; these are the first that were met."
    if found["explained"] < found["refused"]:
        yield f"  The reasons are those of the newest {found['explained']:,} of the refused events."


def _verdict(found: dict[str, Any]) -> str:
    if not found["events"]:
        return "there are no events of this type to test it on."
    if not found["refused"]:
        return "it would refuse none."
    return f"it would refuse {found['refused']:,} of {_count(found['events'], 'event')}."


def _now(found: dict[str, Any]) -> str:
    if found["active_version"] is None:
        return "They are checked against no contract now."
    now = found["refused_by_active"]
    sentence = f"Version {found['active_version']}, which is active, refuses {f'{now:,}' if now else 'none'} of them"
    return f"{sentence}; {found['newly_refused']:,} would be newly refused." if found["refused"] else f"{sentence}."


def _span(first: dict[str, Any], last: dict[str, Any]) -> str:
    one, other = (_time(end) for end in (first, last))
    return one if one == other else f"{one} to {other}"


def _time(end: dict[str, Any]) -> str:
    time: str | None = end["time"]
    return f"the id {end['id']}" if time is None else time.replace("T", " ").replace("Z", " UTC")


def _foreign(found: dict[str, Any]) -> str:
    return f"; {found['foreign']:,} written by other programs" if found["foreign"] else ""


def _stopped(found: dict[str, Any]) -> str:
    return "" if found["complete"] else f"; the search ended early, because {found['stopped']}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
