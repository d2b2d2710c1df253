"""The states of bridges as the admin shows them: overviews, trends of backlogs, and why a bridge does not run."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.http import HttpRequest

from bridges import auto_disable
from bridges.models import Bridge
from bridges.snapshot import definition_of
from core import payload_access
from synapse.delivery import status
from synapse.delivery.status import Overview
from synapse.redis import Conversation, together
from synapse.statistics.overview import read_failures, read_trend

DISABLED = "It was disabled: "
HIDDEN = "The error is shown only with the permission to see payloads: it may quote events."


def read_overviews(bridges: Sequence[Bridge]) -> Conversation[dict[str, Overview]]:
    """Read the overviews of bridges by name, with the failed attempts of the last two minutes from statistics."""
    asked = {
        "overviews": status.read_overviews([definition_of(bridge) for bridge in bridges]),
        "failed": read_failures(sorted({bridge.stream.name for bridge in bridges})),
    }
    found = yield from together(asked, failures=())
    return {
        name: replace(one, failed_lately=found["failed"].get((one.bridge.stream, one.bridge.group), 0))
        for name, one in found["overviews"].items()
    }


def read_trends(bridges: Sequence[Bridge]) -> Conversation[dict[str, str]]:
    """Read descriptions of how the backlogs of bridges develop, by the bridges' names."""
    now = int(time.time())
    asked = {bridge.name: read_trend(bridge.stream.name, bridge.group, now=now) for bridge in bridges}
    return (yield from together(asked, failures=()))


def attach_reasons(request: HttpRequest, bridges: Sequence[Any]) -> None:
    """Set two attributes on bridges that have an overview: `why`, the reason for not running or the last error ("" for
    none), and `payloads_seen`, whether the person may see payloads and so gets a link to dead letters. Makes one query
    when a bridge is disabled.
    """
    may_see = payload_access.may_see(request)
    disabled = auto_disable.reasons_of_disabling([bridge.name for bridge in bridges if not bridge.enabled])
    for bridge in bridges:
        why = _reason_of(bridge, disabled.get(bridge.name, ""))
        bridge.payloads_seen = may_see
        bridge.why = why if not why or may_see else HIDDEN


def _reason_of(bridge: Any, disabled: str) -> str:
    if not bridge.enabled:
        return f"{DISABLED}{disabled}" if disabled else ""
    return bridge.overview.reason if bridge.overview else ""
