"""Why a bridge does not do what it should, told to those who may hear it: errors and answers quote events."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest

from bridges import auto_disable
from core import payload_access

HIDDEN = "What went wrong is told to those who may see the payloads of events: it may quote them."


def attach_reasons(request: HttpRequest, bridges: Sequence[Any]) -> None:
    """Give each bridge, whose overview is there already, `why`: what keeps it from running or went wrong last; "" when
    nothing did, and `payloads_seen`, whether the person is led to its dead letters. One query, when any is disabled."""
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
