"""Looking at dead letters: a page of them, together by error, one with all that is known of it, lines of JSON."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, PolymorphicProxySerializer
from rest_framework.request import Request

from bridges import dead_letters
from bridges.api.dead_letters import shapes
from bridges.dead_letters import Wanted, summaries
from bridges.dead_letters.queries import MOST_ON_A_PAGE
from core import payload_access
from core.views import ApiView, to_django, to_request
from streams.access import principal_of
from streams.api.openapi import STREAM, described, example, query
from synapse.auth.principal import Principal
from synapse.dead_letters import filters
from synapse.http import exchange
from synapse.http.exchange import json_response
from synapse.inspection.range_query import (
    asked_count,
    asked_id,
    asked_order,
    check_parameters,
)
from synapse.problems import BadParameter
from synapse.publishing.body import NDJSON

GROUP = OpenApiParameter("group", str, OpenApiParameter.PATH, description="The consumer group's name.")
ID = OpenApiParameter("id", str, OpenApiParameter.PATH, description="The dead letter's id.")
PROBLEMS = {
    400: "A parameter cannot be used.",
    404: "There is no such stream, group or dead letter.",
    409: "Redis holds something else under the name of the stream or of its dead letters.",
    503: "Redis cannot be used now.",
}
USUAL = 50
_MOMENT = "An entry id, milliseconds since 1970, or a time in ISO 8601 (without an offset: UTC)."
_COUNT = {"type": "integer", "minimum": 1, "maximum": MOST_ON_A_PAGE, "default": USUAL}


class DeadLetters(ApiView):
    """The dead letters of a group."""

    @described(
        "List dead letters",
        name="list_dead_letters",
        tag="dead letters",
        parameters=[
            STREAM,
            GROUP,
            query("event_type", "Only those whose event is of this type."),
            query("fingerprint", "Only those whose error has this fingerprint."),
            query("since", f"Only those whose last failure was then or later. {_MOMENT}"),
            query("until", f"Only those whose last failure was then or earlier. {_MOMENT}"),
            query("order", "Which come first.", enum=["newest", "oldest"], default="newest"),
            query("count", "How many.", _COUNT),
            query("before", "Newest first: `next` of the page before."),
            query("after", "Oldest first: `next` of the page before."),
            query("groups", "`fingerprint`: not one by one, but together by their errors.", enum=["fingerprint"]),
            query("format", "`ndjson`: each with all that is known of it, a line each.", enum=["json", "ndjson"]),
        ],
        answers={
            (200, exchange.JSON): PolymorphicProxySerializer(
                "DeadLettersOrGroups", [shapes.DeadLetterPage, shapes.DeadLettersByError], None
            ),
            (200, NDJSON): OpenApiResponse(
                str, "32 MiB at most. Where there is more, the header `Link` (RFC 8288, rel=next) leads to it."
            ),
        },
        problems=PROBLEMS,
        examples=[
            example("a page", shapes.PAGE, status=200),
            example("by error", shapes.GROUPS, status=200),
        ],
    )
    def get(self, request: Request, stream: str, group: str) -> HttpResponse:
        """A page of them, newest first unless asked otherwise; for the next page send the same question with `before`
        (newest first) or `after` (oldest first) set to `next`. At most 10,000 are looked at for one page: `complete`
        is false when that was not enough, and `next` goes on from there."""
        question = to_request(request._request, principal_of(request))
        dead_letters.permit_reading(question.principal, stream)
        check_parameters(question, *filters.FILTERS, "order", "count", "before", "after", "groups", "format")
        wanted = filters.wanted(question.query)
        together, form = _word(question, "groups", "fingerprint"), _word(question, "format", "json", "ndjson")
        order = asked_order(question.query)
        cursor = "before" if order == "newest" else "after"
        past = str(asked_id(question.query[cursor])) if question.query.get(cursor) else ""
        limit = asked_count(question.query, most=MOST_ON_A_PAGE, otherwise=USUAL)
        dead_letters.check_place(stream, group)
        if form == "ndjson":
            found = dead_letters.export(stream, group, wanted, order=order, past=past, by=question.principal)
            _record(question.principal, stream, group, found.ids, exported=True)
            return _lines(question, found, cursor)
        if together:
            return to_django(json_response(_together(stream, group, wanted, question.principal)))
        page = dead_letters.page(stream, group, wanted, limit=limit, order=order, past=past, by=question.principal)
        _record(question.principal, stream, group, [letter.id for letter in page.letters])
        shown = {
            "stream": stream,
            "group": group,
            "total": page.total,
            "dead_letters": [summaries.summary(letter) for letter in page.letters],
            "order": order,
            "next": page.next,
            "complete": page.complete,
        }
        return to_django(json_response(shown))


class OneDeadLetter(ApiView):
    """One dead letter."""

    @described(
        "Show a dead letter",
        name="show_dead_letter",
        tag="dead letters",
        parameters=[STREAM, GROUP, ID],
        answers={200: shapes.DeadLetter},
        problems=PROBLEMS,
        examples=[example("a dead letter", shapes.WHOLE, status=200)],
    )
    def get(self, request: Request, stream: str, group: str, id: str) -> HttpResponse:
        """The event and its fields, each of the last ten attempts, and what publishing the event now would say."""
        dead_letters.permit_reading(principal_of(request), stream)
        check_parameters(to_request(request._request))
        id_ = str(asked_id(id))
        dead_letters.check_place(stream, group)
        letter = dead_letters.get(stream, group, id_)
        by = principal_of(request)
        _record(by, stream, group, [letter.id])
        verdict = dead_letters.judge(stream, dict(letter.event), letter=letter, by=by)
        shown = summaries.whole(dead_letters.seen_by(letter, by))
        return to_django(json_response({**shown, "check": verdict.as_dict()}))


def _together(stream: str, group: str, wanted: Wanted, by: Principal) -> dict[str, Any]:
    errors = dead_letters.by_error(stream, group, wanted, by=by)
    events = sum(found.count for found in errors.groups)
    _record(by, stream, group, [found.newest for found in errors.groups], events=events)
    return {
        "stream": stream,
        "group": group,
        "total": dead_letters.count(stream, group),
        "groups": [summaries.error_group(found) for found in errors.groups],
        "complete": errors.complete,
    }


def _record(by: Principal, stream: str, group: str, ids: Sequence[str], **more: Any) -> None:
    payload_access.record(by, f"dead letters {stream}/{group}", ids, **more)


def _lines(question: exchange.Request, found: dead_letters.Export, cursor: str) -> HttpResponse:
    headers = {}
    if found.next:
        following = urlencode({**question.query, cursor: found.next})
        headers["Link"] = f'<?{following}>; rel="next"'
    return to_django(exchange.Response(body=found.lines, content_type=NDJSON, headers=headers))


def _word(question: exchange.Request, name: str, *words: str) -> str:
    """Return a parameter that is one of some words, "" when it is not given."""
    given = question.query.get(name, "")
    if given and given not in words:
        raise BadParameter(f"“{name}” is {' or '.join(words)}.", parameter=name)
    return given
