"""Acting on groups through Django REST framework."""

from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework.request import Request

from bridges import groups
from bridges.api import shapes
from bridges.api.dead_letters.queries import GROUP
from bridges.groups import Paused, Plan, checks
from core.views import ApiView, to_django, to_request
from streams.access import principal_of
from streams.api import inspect
from streams.api.openapi import STREAM, described, example
from synapse.http import json_body as body
from synapse.http.exchange import json_response
from synapse.problems import BadParameter

PROBLEMS = {
    400: "The request cannot be used: `parameter` says what of it, or it names no place.",
    404: "There is no such stream or group.",
    409: "It cannot be done as things are: `type` says why.",
    413: "The request is too large.",
    415: "The request is not JSON.",
    503: "Redis cannot be used now. The same request again does no harm.",
}
_PLACE = {"stream": "inference-events", "group": "analytics-service"}
_UNSETTLED = {"pending": 0, "waiting": 4, "parked": 0, "dead": 1}


class Groups(inspect.Groups):
    """The groups of a stream: read as streams shows them, and made."""

    @described(
        "Create a group",
        name="create_group",
        tag="groups",
        parameters=[STREAM],
        request=shapes.CreateAsked,
        answers={201: shapes.CreatedGroup},
        problems=PROBLEMS,
        examples=[
            example("from the first event on", {"name": "analytics-service"}),
            example("from a time on", {"name": "analytics-service", "at": "2026-11-23T10:00:00Z"}),
            example("made", {**_PLACE, "last_delivered_id": "0-0"}, status=201),
        ],
    )
    def post(self, request: Request, stream: str) -> HttpResponse:
        """A group that no bridge owns: any program may read as it. The groups of bridges, and those that are pulled,
        make themselves."""
        question = to_request(request._request, principal_of(request))
        groups.permit(question.principal, stream)
        values = body.read(question, known=("name", "at"))
        name, at = body.text(values, "name"), body.text(values, "at") or "beginning"
        made = groups.create(stream, name, at, by=question.principal)
        shown = {"stream": made.stream, "group": made.group, "last_delivered_id": made.after}
        return to_django(json_response(shown, status=201))


class OneGroup(ApiView):
    """One group."""

    @described(
        "Delete a group",
        name="delete_group",
        tag="groups",
        parameters=[STREAM, GROUP],
        request=shapes.DeleteAsked,
        answers={200: shapes.DeletedGroup},
        problems=PROBLEMS,
        examples=[
            example("one that is owed nothing", {}),
            example("one that nobody needs", {"force": True, "reason": "the service was retired"}),
            example("gone", {**_PLACE, "deleted": True, "unread": 12, **_UNSETTLED}, status=200),
        ],
    )
    def delete(self, request: Request, stream: str, group: str) -> HttpResponse:
        """It goes with all that is kept of it, dead letters too. Refused while it has live consumers or is owed events,
        unless `force` is true, which needs a `reason`; and while an enabled bridge reads as it, in any case."""
        question = to_request(request._request, principal_of(request))
        groups.permit(question.principal, stream)
        values = body.read(question, known=("force", "reason"), required=False)
        force, reason = body.flag(values, "force"), body.text(values, "reason")
        gone = groups.delete(stream, group, by=question.principal, force=force, reason=reason)
        return _answer(
            {
                "stream": stream,
                "group": group,
                "deleted": True,
                "unread": gone.unread,
                "pending": gone.pending,
                "waiting": gone.waiting,
                "parked": gone.parked,
                "dead": gone.dead,
            }
        )


class Pause(ApiView):
    """Let a group rest."""

    @described(
        "Pause a group",
        name="pause_group",
        tag="groups",
        parameters=[STREAM, GROUP],
        answers={200: shapes.PausedGroup},
        problems=[404, 409, 503],
        examples=[example("it rests", {**_PLACE, "bridge": "analytics", "paused": True}, status=200)],
    )
    def post(self, request: Request, stream: str, group: str) -> HttpResponse:
        """The bridge that reads as the group, or those who pull as it, get nothing until it goes on. Its processes
        notice within seconds. 409 where Synapse does not read for the group."""
        question = to_request(request._request, principal_of(request))
        groups.permit(question.principal, stream)
        return _paused(groups.pause(stream, group, by=question.principal))


class Resume(ApiView):
    """Let a group go on."""

    @described(
        "Resume a group",
        name="resume_group",
        tag="groups",
        parameters=[STREAM, GROUP],
        answers={200: shapes.PausedGroup},
        problems=[404, 409, 503],
        examples=[example("it goes on", {**_PLACE, "bridge": "analytics", "paused": False}, status=200)],
    )
    def post(self, request: Request, stream: str, group: str) -> HttpResponse:
        """The other way round."""
        question = to_request(request._request, principal_of(request))
        groups.permit(question.principal, stream)
        return _paused(groups.resume(stream, group, by=question.principal))


class Move(ApiView):
    """Give a group another place."""

    @described(
        "Move a group",
        name="move_group",
        tag="groups",
        parameters=[STREAM, GROUP],
        request=shapes.MoveAsked,
        answers={200: PolymorphicProxySerializer("MovedOrPlan", [shapes.MovedGroup, shapes.MovePlan], None)},
        problems=PROBLEMS,
        examples=[
            example("what it would do", {"to": "2026-11-23T10:00:00Z", "dry_run": True}),
            example("past all that is there", {"to": "end", "discard_waiting": True}),
            example(
                "moved",
                {**_PLACE, "from": "0-0", "to": "1795432838408-0", "skipped": 3, "unread_again": 0, "more": False},
                status=200,
            ),
        ],
    )
    def post(self, request: Request, stream: str, group: str) -> HttpResponse:
        """Only while nobody delivers its events: its bridge is paused or disabled, or, of a group that no bridge owns,
        no consumer asked for the last 10 seconds. `more` is true when that took longer than five seconds: send the
        same again."""
        question = to_request(request._request, principal_of(request))
        groups.permit(question.principal, stream)
        values = body.read(question, known=("to", "discard_waiting", "dry_run"))
        to, discards = body.text(values, "to"), body.flag(values, "discard_waiting")
        only_count = body.flag(values, "dry_run")
        if not to:
            raise BadParameter("“to” is beginning, end, the id of an event, or a time.", parameter="to")
        checks.asked(to, now=datetime.now(UTC))
        if only_count:
            return _answer(_planned(stream, group, groups.plan(stream, group, to, discard_waiting=discards)))
        moved = groups.move(stream, group, to, by=question.principal, discard_waiting=discards)
        return _answer(
            {
                "stream": stream,
                "group": group,
                "from": moved.before,
                "to": moved.after,
                "skipped": moved.skipped,
                "unread_again": moved.again,
                "more": moved.more,
            }
        )


def _planned(stream: str, group: str, plan: Plan) -> dict[str, Any]:
    return {
        "dry_run": True,
        "stream": stream,
        "group": group,
        "from": plan.before,
        "to": plan.after,
        "skips": plan.skips,
        "repeats": plan.repeats,
        "exact": plan.exact,
        "pending": plan.pending,
        "waiting": plan.waiting,
        "parked": plan.parked,
        "dead": plan.dead,
        "hindrance": plan.hindrance or None,
    }


def _paused(found: Paused) -> HttpResponse:
    shown = {"stream": found.stream, "group": found.group, "bridge": found.bridge, "paused": found.paused}
    return _answer(shown)


def _answer(value: dict[str, Any]) -> HttpResponse:
    return to_django(json_response(value))
