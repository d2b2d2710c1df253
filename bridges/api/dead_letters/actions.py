"""Acting on dead letters: delivering them again, or throwing them away. Each request does a part that is soon done."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiResponse, PolymorphicProxySerializer
from rest_framework.request import Request

from bridges import dead_letters
from bridges.api.dead_letters import shapes
from bridges.api.dead_letters.queries import GROUP, ID
from bridges.api.dead_letters.queries import PROBLEMS as SEEN
from bridges.dead_letters import Ids, Meant
from bridges.dead_letters.actions import MOST_AT_ONCE
from core.views import ApiView, to_django, to_request
from streams.access import principal_of
from streams.api.openapi import STREAM, described, example
from synapse.dead_letters import filters
from synapse.errors.delivery import NoSuchDeadLetter
from synapse.http import exchange
from synapse.http import json_body as body
from synapse.http.exchange import json_response
from synapse.inspection.range_query import asked_id

PROBLEMS = {
    **SEEN,
    400: "The request cannot be used: `parameter` says what of it.",
    409: "So many events wait in the group already that no more can be added; or Redis holds something else there.",
    413: "The request is too large.",
    415: "The request is not JSON.",
    503: "Redis cannot be used now. The same request again does no harm.",
}
_WHICH = ("ids", "filter", "all", "dry_run", "count", "cursor")
_PART = {"gone": 0, "left": 112, "cursor": "1795432911042-0"}


class Redrive(ApiView):
    """Deliver dead letters again."""

    @described(
        "Redrive dead letters",
        name="redrive_dead_letters",
        tag="dead letters",
        parameters=[STREAM, GROUP],
        request=shapes.RedriveAsked,
        answers={200: PolymorphicProxySerializer("RedrivenOrMeant", [shapes.Redriven, shapes.DeadLettersMeant], None)},
        problems=PROBLEMS,
        examples=[
            example("named ones", {"ids": [shapes.ID]}),
            example("those of one error, ten a second", {"filter": {"fingerprint": "5e5f1b5b8c3d"}, "rate": 10}),
            example("how many that would be", {"all": True, "dry_run": True}),
            example("a part", {"redriven": 1000, "waiting": 0, "broken": 0, **_PART}, status=200),
        ],
    )
    def post(self, request: Request, stream: str, group: str) -> HttpResponse:
        """They go out again with all attempts before them, the newest first, up to 1,000 in a request. To go on, send
        the same with the answer's `cursor`, until that is null. What dies again meanwhile is not met again. One that
        is not there (any more) is counted as `gone`."""
        question = to_request(request._request, principal_of(request))
        dead_letters.permit_acting(question.principal, stream)
        values = body.read(question, known=(*_WHICH, "rate"))
        what, rate = filters.meant(values), filters.rate(values.get("rate"))
        only_count, cursor = body.flag(values, "dry_run"), body.text(values, "cursor")
        most = body.whole_number(values, "count", most=MOST_AT_ONCE)
        dead_letters.check_place(stream, group)
        if only_count:
            return _answer(_counted(dead_letters.meant(stream, group, what)))
        redriven = dead_letters.redrive(stream, group, what, by=question.principal, rate=rate, cursor=cursor, most=most)
        each = [{"id": id_, "result": _word(result)} for id_, result in redriven.results]
        return _answer(
            {
                "redriven": redriven.moved,
                "gone": redriven.gone,
                "waiting": redriven.waiting,
                "broken": redriven.broken,
                **({"results": each} if isinstance(what, Ids) else {}),
                "left": dead_letters.count(stream, group),
                "cursor": redriven.cursor,
            }
        )


class Discard(ApiView):
    """Throw dead letters away."""

    @described(
        "Discard dead letters",
        name="discard_dead_letters",
        tag="dead letters",
        parameters=[STREAM, GROUP],
        request=shapes.DiscardAsked,
        answers={
            200: PolymorphicProxySerializer("DiscardedOrMeant", [shapes.Discarded, shapes.DeadLettersMeant], None)
        },
        problems={**PROBLEMS, 422: "No reason was given."},
        examples=[
            example("named ones", {"ids": [shapes.ID], "reason": "test orders"}),
            example("a part", {"discarded": 1000, **_PART}, status=200),
        ],
    )
    def post(self, request: Request, stream: str, group: str) -> HttpResponse:
        """They are gone for good. In parts, as redriving; the reason is recorded with each."""
        question = to_request(request._request, principal_of(request))
        dead_letters.permit_acting(question.principal, stream)
        values = body.read(question, known=(*_WHICH, "reason"))
        what, reason = filters.meant(values), body.text(values, "reason")
        only_count, cursor = body.flag(values, "dry_run"), body.text(values, "cursor")
        most = body.whole_number(values, "count", most=MOST_AT_ONCE)
        dead_letters.check_place(stream, group)
        if only_count:
            return _answer(_counted(dead_letters.meant(stream, group, what)))
        done = dead_letters.discard(stream, group, what, by=question.principal, reason=reason, cursor=cursor, most=most)
        left = dead_letters.count(stream, group)
        return _answer({"discarded": done.count, "gone": done.gone, "left": left, "cursor": done.cursor})


class RedriveOne(ApiView):
    """Deliver a dead letter again."""

    @described(
        "Redrive a dead letter, as it is or edited",
        name="redrive_dead_letter",
        tag="dead letters",
        parameters=[STREAM, GROUP, ID],
        request=shapes.RedriveOneAsked,
        answers={200: shapes.RedrivenOne},
        problems={**PROBLEMS, 422: "The event breaks its contract, or does not say what it is."},
        examples=[
            example("as it is", {}),
            example("edited", {"event": {**shapes.EVENT, "confidence": 0.92}}),
            example("on its way", {"id": shapes.ID, "result": "redriven"}, status=200),
        ],
    )
    def post(self, request: Request, stream: str, group: str, id: str) -> HttpResponse:
        """With an `event`, that one goes out in its place, under its id, if publishing it would be accepted. One that
        is not there (any more) is answered with the result `gone`."""
        question = to_request(request._request, principal_of(request))
        dead_letters.permit_acting(question.principal, stream)
        id_ = str(asked_id(id))
        values = body.read(question, known=("event", "dry_run"), required=False)
        only_check = body.flag(values, "dry_run")
        dead_letters.check_place(stream, group)
        try:
            letter = dead_letters.get(stream, group, id_)
            if only_check:
                if "event" in values:
                    dead_letters.demand_editing(letter, question.principal)
                event = values.get("event", dict(letter.event))
                verdict = dead_letters.judge(stream, event, letter=letter, by=question.principal)
                return _answer({"id": id_, "dry_run": True, "check": verdict.as_dict()})
            if "event" in values:
                return _answer(_edited(stream, group, id_, values["event"], question))
        except NoSuchDeadLetter:
            return _answer({"id": id_, "result": "gone"})
        redriven = dead_letters.redrive(stream, group, Ids((id_,)), by=question.principal)
        return _answer({"id": id_, "result": _word(redriven.results[0][1])})


class DiscardOne(ApiView):
    """Throw a dead letter away."""

    @described(
        "Discard a dead letter",
        name="discard_dead_letter",
        tag="dead letters",
        parameters=[STREAM, GROUP, ID],
        request=shapes.DiscardOneAsked,
        answers={200: OpenApiResponse(shapes.DiscardedOne)},
        problems={**PROBLEMS, 422: "No reason was given."},
        examples=[
            example("why", {"reason": "a test order"}),
            example("gone for good", {"id": shapes.ID, "result": "discarded"}, status=200),
        ],
    )
    def post(self, request: Request, stream: str, group: str, id: str) -> HttpResponse:
        """It is gone for good; the reason is recorded."""
        question = to_request(request._request, principal_of(request))
        dead_letters.permit_acting(question.principal, stream)
        id_ = str(asked_id(id))
        reason = body.text(body.read(question, known=("reason",)), "reason")
        dead_letters.check_place(stream, group)
        done = dead_letters.discard(stream, group, Ids((id_,)), by=question.principal, reason=reason)
        return _answer({"id": id_, "result": "discarded" if done.count else "gone"})


def _edited(stream: str, group: str, id_: str, event: Any, question: exchange.Request) -> dict[str, Any]:
    edited = dead_letters.redrive_edited(stream, group, id_, event, by=question.principal)
    ((_, result),) = edited.redriven.results
    verdict = dead_letters.Verdict(problem=None, contract_version=edited.contract_version, violations=edited.warnings)
    return {"id": id_, "result": _word(result), "check": verdict.as_dict()}


def _counted(found: Meant) -> dict[str, Any]:
    return {
        "dry_run": True,
        "count": found.count,
        "exact": found.exact,
        "gone": found.gone,
        "sample": list(found.sample),
    }


def _word(result: str) -> str:
    return "redriven" if result == "retry" else result


def _answer(value: dict[str, Any]) -> HttpResponse:
    return to_django(json_response(value))
