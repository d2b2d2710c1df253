"""The HTTP API for silences."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal

from alerts import silences
from alerts.models import Silence as Row
from synapse.auth.permission import Requirement
from synapse.endpoints import Answer, Body, Call, Example, Query, Sentence, about, endpoint, maybe
from synapse.problems import BadParameter

_SILENCE = {
    "id": 7,
    "subject": "orders-to-shop",
    "rule": "*",
    "reason": "The shop moves to another data centre.",
    "begins_at": "2026-11-23T22:00:00Z",
    "ends_at": "2026-11-24T02:00:00Z",
    "created_by": "person:anna",
    "state": "active",
}
_TIME = Sentence("“{name}” is a time in ISO 8601 (without an offset: UTC).")


class Silence(Answer):
    """A time in which some alerts send no notifications."""

    id: int
    subject: str = about("A pattern of the names of streams, bridges, groups (`stream/group`) or services.")
    rule: str = about("A pattern of the names of rules.")
    reason: str
    begins_at: datetime
    ends_at: datetime
    created_by: str
    state: Literal["active", "over", "to come"]


class Silences(Answer):
    """Silences that are active or to come."""

    silences: list[Silence]


class SilenceAsked(Body):
    """A new silence: which alerts it silences, until when, and why."""

    subject: str = about("A name, or a pattern in which `*` stands for any characters.", default="*")
    rule: str = about("The name of a rule, or a pattern in which `*` stands for any characters.", default="*")
    reason: str = about("The reason, which the audit log and the list of silences show.", min_length=1)
    ends_at: Annotated[str, _TIME] = about(
        "A time in ISO 8601, at most 90 days after the silence begins.", min_length=1
    )
    begins_at: Annotated[str | None, _TIME] = maybe("A time in ISO 8601; without `begins_at`, the silence begins now.")


_silences = partial(endpoint, tag="alerts", requires=Requirement(scope=silences.SCOPE))


@_silences(
    "GET",
    "/alerts/silences",
    "List silences",
    Silences,
    query=Query,
    examples=[Example("one silence", {"silences": [_SILENCE]}, 200)],
    has_entity_tag=True,
)
def list_silences(call: Call[Query, None]) -> dict[str, Any]:
    """Silences that are active or to come."""
    return {"silences": [_to_json(row) for row in silences.list_silences(by=call.by)]}


@_silences(
    "POST",
    "/alerts/silences",
    "Silence alerts",
    {201: Silence},
    body=SilenceAsked,
    examples=[
        Example("a bridge, for a night", {k: _SILENCE[k] for k in ("subject", "reason", "begins_at", "ends_at")}),
        Example("made", _SILENCE, 201),
    ],
)
def create_silence(call: Call[None, SilenceAsked]) -> dict[str, Any]:
    """Silenced alerts are still evaluated and shown. An alert that fires when its silence ends is reported then."""
    asked = call.body
    row = silences.create(
        subject=asked.subject,
        rule=asked.rule,
        reason=asked.reason,
        ends_at=_parse_time("ends_at", asked.ends_at),
        begins_at=None if asked.begins_at is None else _parse_time("begins_at", asked.begins_at),
        by=call.by,
    )
    return _to_json(row)


@_silences(
    "DELETE",
    "/alerts/silences/{silence}",
    "End a silence",
    Silence,
    problems={404: "There is no such silence."},
    examples=[Example("ended", {**_SILENCE, "state": "over"}, 200)],
)
def end_silence(call: Call[None, None]) -> dict[str, Any]:
    """The silence ends now. The list in the admin still shows it."""
    text = call.params["silence"]
    # Larger numbers exceed the column's range, which databases refuse with an error.
    pk = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    return _to_json(silences.end(pk, by=call.by))


def _parse_time(name: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadParameter(f"“{name}” is a time in ISO 8601 (without an offset: UTC).", parameter=name) from None


def _to_json(row: Row) -> dict[str, Any]:
    names = ("subject", "rule", "reason", "begins_at", "ends_at", "created_by", "state")
    shown = {name: getattr(row, name) for name in names}
    times = {name: shown[name].isoformat().replace("+00:00", "Z") for name in ("begins_at", "ends_at")}
    return {"id": row.pk, **shown, **times}
