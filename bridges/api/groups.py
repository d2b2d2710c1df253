"""Endpoints that create, delete, pause, resume and move groups."""

from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import Field

from bridges import groups
from bridges.groups import checks
from bridges.groups.actions import REQUIRES
from synapse.endpoints import Answer, Body, Call, Example, Sentence, about, endpoint, maybe, union_model
from synapse.endpoints.declaration import MEANINGS

_PATH = "/streams/{stream}/groups"
_PROBLEMS = {
    400: MEANINGS[400],
    404: "There is no such stream or group.",
    409: "The group's present state does not allow it: `type` names the reason.",
    503: "Redis cannot be used now. The same request again does no harm.",
}
_GROUP = {"stream": "inference-events", "group": "analytics-service"}
_UNSETTLED = {"pending": 0, "waiting": 4, "parked": 0, "dead": 1}
_WHERE = "beginning, end, the id of an event, or a time; an event of that id or time is included."


class CreateAsked(Body):
    """The name of a new group, and its position."""

    name: str
    at: str | None = maybe(f"{_WHERE} Without it: beginning.")


class CreatedGroup(Answer):
    """A group that was created."""

    stream: str
    group: str
    last_delivered_id: str = about("The group begins after this id.")


class DeleteAsked(Body):
    """Options for a group that has live consumers or unacknowledged events."""

    optional: ClassVar[bool] = True
    force: bool | None = maybe("Delete the group nevertheless.")
    reason: str | None = maybe("The reason, for the audit log. Needed with `force`.")


class DeletedGroup(Answer):
    """The events that a deleted group had not acknowledged."""

    stream: str
    group: str
    deleted: bool
    unread: int = about("Unread events, counted to 10,000.")
    pending: int
    waiting: int
    parked: int
    dead: int


class PausedGroup(Answer):
    """Whether a group is paused now."""

    stream: str
    group: str
    bridge: str = about("The bridge that owns the group.")
    paused: bool


class MoveAsked(Body):
    """The new position of a group, and options."""

    to: Annotated[str, Sentence("“{name}” is beginning, end, the id of an event, or a time.")] = about(
        _WHERE, min_length=1
    )
    discard_waiting: bool | None = maybe(
        "Drop the group's unacknowledged events before the new position; otherwise they stay."
    )
    dry_run: bool | None = maybe("Only report the consequences.")


class _FromTo(Answer):
    stream: str
    group: str
    start: str = Field(alias="from", description="The group's position before the move.")
    to: str = about("The group's position after the move.")


class MovedGroup(_FromTo):
    """Result of moving a group."""

    skipped: int = about("Events that the group will not get.")
    unread_again: int = about("Events in flight, scheduled or blocked that the move made unread again.")
    more: bool = about("True when the move is not complete: repeat the request.")


class MovePlan(_FromTo):
    """Result of a dry run of moving a group."""

    dry_run: bool
    skips: int = about("Unread events that would not be delivered.")
    repeats: int = about("Events before the group's position that would be delivered again.")
    exact: bool = about("False when `skips` or `repeats` is higher: counting stops at 10,000.")
    pending: int = about("Events in flight now.")
    waiting: int = about("Events scheduled for retry now.")
    parked: int = about("Events that are blocked by another event of their key now.")
    dead: int = about("Dead letters, which stay.")
    hindrance: str | None = about("Why the group cannot be moved now; null when it can be.")


MovedOrPlan = union_model(MovedGroup, MovePlan, name="MovedOrPlan")


_groups = partial(endpoint, tag="groups", requires=REQUIRES)


@_groups(
    "POST",
    _PATH,
    "Create a group",
    {201: CreatedGroup},
    body=CreateAsked,
    problems=_PROBLEMS,
    examples=[
        Example("from the first event on", {"name": "analytics-service"}),
        Example("from a time on", {"name": "analytics-service", "at": "2026-11-23T10:00:00Z"}),
        Example("made", {**_GROUP, "last_delivered_id": "0-0"}, 201),
    ],
)
def create_group(call: Call[None, CreateAsked]) -> dict[str, Any]:
    """The new group belongs to no bridge: any program may read as it. The groups of bridges, and pulled groups, are
    created automatically."""
    after = groups.create(call.params["stream"], call.body.name, call.body.at or "beginning", by=call.by)
    return {**call.params, "group": call.body.name, "last_delivered_id": after}


@_groups(
    "DELETE",
    f"{_PATH}/{{group}}",
    "Delete a group",
    DeletedGroup,
    body=DeleteAsked,
    problems=_PROBLEMS,
    examples=[
        Example("one without unacknowledged events", {}),
        Example("an unused group", {"force": True, "reason": "the service was retired"}),
        Example("gone", {**_GROUP, "deleted": True, "unread": 12, **_UNSETTLED}, 200),
    ],
)
def delete_group(call: Call[None, DeleteAsked]) -> dict[str, Any]:
    """The group is deleted with everything stored for it, including dead letters. While the group has live consumers or
    unacknowledged events, the request is refused unless `force` is true, which needs a `reason`. While an enabled
    bridge reads as the group, the request is always refused.
    """
    stream, group = call.params["stream"], call.params["group"]
    gone = groups.delete(stream, group, by=call.by, force=bool(call.body.force), reason=call.body.reason or "")
    return {**call.params, "deleted": True, **asdict(gone)}


@_groups(
    "POST",
    f"{_PATH}/{{group}}/pause",
    "Pause a group",
    PausedGroup,
    problems=[404, 409, 503],
    examples=[Example("paused", {**_GROUP, "bridge": "analytics", "paused": True}, 200)],
)
def pause_group(call: Call[None, None]) -> dict[str, Any]:
    """Delivery to the bridge that reads as the group, or to the programs that pull its events, stops until the group is
    resumed. Synapse's processes notice within seconds. A group that belongs to other programs is answered 409."""
    return {**call.params, "bridge": groups.pause(**call.params, by=call.by), "paused": True}


@_groups(
    "POST",
    f"{_PATH}/{{group}}/resume",
    "Resume a group",
    PausedGroup,
    problems=[404, 409, 503],
    examples=[Example("resumed", {**_GROUP, "bridge": "analytics", "paused": False}, 200)],
)
def resume_group(call: Call[None, None]) -> dict[str, Any]:
    """Delivery to a paused group continues where it stopped."""
    return {**call.params, "bridge": groups.resume(**call.params, by=call.by), "paused": False}


@_groups(
    "POST",
    f"{_PATH}/{{group}}/move",
    "Move a group",
    MovedOrPlan,
    body=MoveAsked,
    problems=_PROBLEMS,
    examples=[
        Example("only the consequences", {"to": "2026-11-23T10:00:00Z", "dry_run": True}),
        Example("to the end of the stream", {"to": "end", "discard_waiting": True}),
        Example(
            "moved",
            {**_GROUP, "from": "0-0", "to": "1795432838408-0", "skipped": 3, "unread_again": 0, "more": False},
            200,
        ),
    ],
)
def move_group(call: Call[None, MoveAsked]) -> dict[str, Any]:
    """The group is moved only while none of its events are being delivered: while its bridge is paused or disabled; or,
    when no bridge owns the group, when no consumer has read as it for 10 seconds. When the move takes longer than five
    seconds, `more` is true: send the same request again."""
    stream, group, asked = call.params["stream"], call.params["group"], call.body
    checks.parse_position(asked.to, now=datetime.now(UTC))
    discards = bool(asked.discard_waiting)
    if asked.dry_run:
        plan = asdict(groups.plan_move(stream, group, asked.to, discard_waiting=discards))
        del plan["discards"]
        from_to = {"from": plan.pop("before"), "to": plan.pop("after")}
        return {"dry_run": True, **call.params, **from_to, **plan, "hindrance": plan["hindrance"] or None}
    moved = groups.move(stream, group, asked.to, by=call.by, discard_waiting=discards)
    return {
        **call.params,
        "from": moved.before,
        "to": moved.after,
        "skipped": moved.skipped,
        "unread_again": moved.again,
        "more": moved.more,
    }
