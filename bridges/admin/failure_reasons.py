"""Reasons why bridges are not running, shown only with the permission to see payloads, which errors quote."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest

from bridges import auto_disable
from core import payload_access

HIDDEN = "The error is shown only with the permission to see payloads: it may quote events."


def attach_reasons(request: HttpRequest, bridges: Sequence[Any]) -> None:
    """Set `why` on each bridge that has its overview: the reason it does not run or its last error, "" for none; and
    `payloads_seen`: whether the person gets a link to its dead letters. One query when any bridge is disabled.
    """
    may_see = payload_access.may_see(request)
    disabled = auto_disable.reasons_of([bridge.name for bridge in bridges if not bridge.enabled])
    for bridge in bridges:
        why = _why(bridge, disabled.get(bridge.name, ""))
        bridge.payloads_seen = may_see
        bridge.why = why if not why or may_see else HIDDEN


def _why(bridge: Any, disabled: str) -> str:
    if not bridge.enabled:
        return f"It was disabled: {disabled}" if disabled else ""
    return bridge.overview.reason if bridge.overview else ""
