"""Payload access in the admin: the permission check, and audit entries for the events that a person has seen.

Programs read events as deliveries, which are not recorded.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from core import audit
from synapse.auth.permission import VIEW_PAYLOAD
from synapse.auth.principal import PERSONAL, Principal
from synapse.formats.text import plural

ACTION = "see payloads"
# An audit entry lists at most this many ids. The total is always recorded.
MOST_RECORDED = 100


def record(by: Principal, target: str, ids: Sequence[str], *, events: int | None = None, **more: Any) -> None:
    """Record the payload access of a person by event ids, without payloads; record nothing when no event was shown.

    `events` is the total number if `ids` are not all of them: a report summarises many events.
    """
    if count := len(ids) if events is None else events:
        _write_entry(by, target, _name_events(ids, count), more)


def record_each(by: Principal, ids: Mapping[str, Sequence[str]]) -> None:
    """Record the payload access of a person to events of several streams, given their ids by stream, as `record`
    does."""
    if by.kind == "person":
        personal = by.rights.has(PERSONAL)
        shown = [
            (f"stream {stream}", None, {**_name_events(each, len(each)), "personal": personal})
            for stream, each in ids.items()
            if each
        ]
        audit.record_all(by, ACTION, shown)


def record_watching(by: Principal, streams: Sequence[str], *, everything: bool = False) -> None:
    """Record that a person begins to watch streams. The events are not known yet.

    `everything`: all streams that the person may read, including future ones.
    """
    more = {"streams": list(streams)} if everything or len(streams) != 1 else {}
    target = "all streams" if everything else f"{plural('stream', len(streams))} {', '.join(streams)}"
    _write_entry(by, target, {"watching": True, **more}, {})


def record_exporting(by: Principal, streams: Sequence[str]) -> None:
    """Record that a person begins to export events of these streams. The events are not known yet."""
    if streams:
        named = f"{plural('stream', len(streams))} {', '.join(streams)}"
        _write_entry(by, named, {"exporting": True, "streams": list(streams)}, {})


def _name_events(ids: Sequence[str], count: int) -> dict[str, Any]:
    return {"events": count, "ids": list(ids[:MOST_RECORDED])}


def _write_entry(by: Principal, target: str, seen: dict[str, Any], more: dict[str, Any]) -> None:
    if by.kind == "person":
        audit.record(by, ACTION, target, after={**seen, "personal": by.rights.has(PERSONAL), **more})


def may_see(request: HttpRequest) -> bool:
    """Say whether the person may see payloads."""
    return bool(request.user.has_perm(VIEW_PAYLOAD))


def check_permission(request: HttpRequest) -> None:
    """Check that the person may see payloads.

    Raises:
        PermissionDenied: when they may not.
    """
    if not may_see(request):
        raise PermissionDenied
