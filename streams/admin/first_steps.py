"""The first steps of a new installation: publish, consume, define a stream. Each is ticked once it is found done."""

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest

from core.models import AuditEntry
from streams.admin import tabs
from streams.models import EventType, Stream
from synapse.inspection import groups
from synapse.inspection.stream_stats import Activity

# Definitions created within this time after the first one come from the catalog file of the installation.
_BEGINNING = timedelta(minutes=5)
# Steps that were found done, by the audit log's first entry, which identifies the database. They stay done, and are not
# checked again.
_done: dict[tuple[int, datetime], set[str]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step: its title, a text, and a command and a page that do it ("" for none)."""

    title: str
    text: str
    is_done: bool
    command: str = ""
    url: str = ""


def find_steps(request: HttpRequest, overviews: Mapping[str, Activity]) -> list[Step]:
    """Return the three steps; none when all are done. Takes one query then, and a few more before."""
    checks = {
        "publish": lambda: any(one.last_ms for one in overviews.values()),
        "consume": lambda: _is_read(overviews),
        "define": _is_defined,
    }
    done = _find_done(checks)
    if done >= checks.keys():
        return []
    event_type = EventType.objects.select_related("stream").first()
    stream = event_type.stream if event_type else Stream.objects.first()
    name = stream.name if stream else "orders"
    event = (event_type and event_type.example) or {"event_type": event_type.name if event_type else "order-placed"}
    url = request.build_absolute_uri("/").rstrip("/")
    reader = {"stream": name, "consumer_group": "first-steps", "consumer_name": "me", "count": 10}
    post = "-H 'Content-Type: application/json'"
    if settings.AUTH != "open":
        post = f"-H 'Authorization: Bearer KEY' {post}"
    may_add = request.user.has_perm("streams.add_stream")
    return [
        Step(
            title="Publish an event",
            text="Any program that speaks HTTP can." if stream else "Once there is a stream, the command is here.",
            is_done="publish" in done,
            command=f"curl {url}/events/{name} {post} -d {shlex.quote(json.dumps(event))}" if stream else "",
        ),
        Step(
            title="Read it as a consumer",
            text="Each group gets every event, and has it until it acknowledges it.",
            is_done="consume" in done,
            command=f"curl {url}/v1/read {post} -d {shlex.quote(json.dumps(reader))}" if stream else "",
        ),
        Step(
            title="Define a stream of your own",
            text="A name, its event types, an example of each: contracts follow from the examples.",
            is_done="define" in done,
            url=tabs.add_url("streams_stream") if may_add else "",
        ),
    ]


def _find_done(checks: Mapping[str, Callable[[], bool]]) -> set[str]:
    """Return the names of the checks that hold, or once held in this database."""
    database = AuditEntry.objects.order_by("pk").values_list("pk", "at").first()
    known = _done.get(database, set()) if database else set()
    found = {name for name, check in checks.items() if name in known or check()}
    _done.clear()
    if database:
        _done[database] = found
    return found


def _is_read(overviews: Mapping[str, Activity]) -> bool:
    """Say whether any group is external, or read with pull over HTTP."""
    owners = groups.owners()
    bridged: dict[str, int] = {}
    for (stream, _), owner in owners.items():
        if owner.kind == "pull":
            return True
        bridged[stream] = bridged.get(stream, 0) + 1
    return any(one.figures.groups > bridged.get(name, 0) for name, one in overviews.items())


def _is_defined() -> bool:
    """Say whether somebody defined a stream besides those of the catalog file."""
    made = AuditEntry.objects.filter(action="create", target__startswith="stream ")
    first = made.order_by("pk").first()
    if first is None:
        return False
    later = Q(at__gt=first.at + _BEGINNING) | Q(kind__in=("person", "service", "anonymous"))
    return settings.CATALOG_FILE is None or made.filter(later).exists()
