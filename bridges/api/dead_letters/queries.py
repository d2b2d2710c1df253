"""Looking at dead letters: a page of them, together by error, one with all that is known of it, lines of JSON."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal
from urllib.parse import urlencode

from bridges import dead_letters
from bridges.api.dead_letters import models
from bridges.dead_letters import DeadLetterCriteria, summaries
from bridges.dead_letters.permissions import READING
from bridges.dead_letters.queries import MOST_ON_A_PAGE
from core import payload_access
from synapse.auth.principal import Principal
from synapse.dead_letters import FILTERS, read_criteria
from synapse.endpoints import Call, Example, Meaning, Query, QueryInt, about, endpoint
from synapse.http.exchange import JSON, Request, Response
from synapse.inspection.range_query import MOMENT, Order, asked_id
from synapse.publishing.body import NDJSON

PATH = "/streams/{stream}/groups/{group}/dead-letters"
ID = {
    "in": "path",
    "name": "id",
    "schema": {"type": "string"},
    "description": "The dead letter's id.",
    "required": True,
}
PROBLEMS = {
    404: "There is no such stream, group or dead letter.",
    409: "Redis holds something else under the name of the stream or of its dead letters.",
    503: "Redis cannot be used now.",
}
USUAL = 50


class DeadLettersQuery(Query):
    """Which dead letters are asked for, and in which form."""

    event_type: str = about("Only those whose event is of this type.", default="")
    fingerprint: str = about("Only those whose error has this fingerprint.", default="")
    since: str = about(f"Only those whose last failure was then or later. {MOMENT}", default="")
    until: str = about(f"Only those whose last failure was then or earlier. {MOMENT}", default="")
    order: Order = about("Which come first.", default="newest")
    count: QueryInt = about("How many.", default=USUAL, ge=1, le=MOST_ON_A_PAGE)
    before: str = about("Newest first: `next` of the page before.", default="")
    after: str = about("Oldest first: `next` of the page before.", default="")
    groups: Literal["fingerprint"] | None = about(
        "`fingerprint`: not one by one, but together by their errors.", default=None
    )
    format: Literal["json", "ndjson"] = about(
        "`ndjson`: each with all that is known of it, a line each.", default="json"
    )

    @property
    def wanted(self) -> DeadLetterCriteria:
        """The filter that the query is."""
        return read_criteria({name: getattr(self, name) for name in FILTERS})


_queries = partial(endpoint, tag="dead letters", requires=READING, problems=PROBLEMS)


@_queries(
    "GET",
    PATH,
    "List dead letters",
    {
        (200, JSON): models.DeadLettersOrGroups,
        (200, NDJSON): Meaning(
            {"type": "string"},
            "32 MiB at most. Where there is more, the header `Link` (RFC 8288, rel=next) leads to it.",
        ),
    },
    query=DeadLettersQuery,
    examples=[Example("a page", models.PAGE, 200), Example("by error", models.GROUPS, 200)],
)
def list_dead_letters(call: Call[DeadLettersQuery, None]) -> dict[str, Any] | Response:
    """A page of them, newest first unless asked otherwise; for the next page send the same query with `before` (newest
    first) or `after` (oldest first) set to `next`. At most 10,000 are looked at for one page: `complete` is false when
    that was not enough, and `next` continues there."""
    stream, group, query = call.params["stream"], call.params["group"], call.query
    wanted = query.wanted
    cursor = "before" if query.order == "newest" else "after"
    past = str(asked_id(given)) if (given := getattr(query, cursor)) else ""
    dead_letters.check_place(stream, group)
    if query.format == "ndjson":
        found = dead_letters.export(stream, group, wanted, order=query.order, past=past, by=call.by)
        _record(call.by, stream, group, found.ids, exported=True)
        return _lines(call.request, found, cursor)
    if query.groups:
        return _together(stream, group, wanted, call.by)
    page = dead_letters.page(stream, group, wanted, limit=query.count, order=query.order, past=past, by=call.by)
    _record(call.by, stream, group, [letter.id for letter in page.letters])
    return {
        **call.params,
        "total": page.total,
        "dead_letters": [summaries.summary(letter) for letter in page.letters],
        "order": query.order,
        "next": page.next,
        "complete": page.complete,
    }


@_queries(
    "GET",
    f"{PATH}/{{id}}",
    "Show a dead letter",
    models.DeadLetter,
    query=Query,
    parameters=[ID],
    examples=[Example("a dead letter", models.WHOLE, 200)],
)
def show_dead_letter(call: Call[Query, None]) -> dict[str, Any]:
    """The event and its fields, each of the last ten attempts, and the result of checking the event now."""
    stream, group, id_ = call.params["stream"], call.params["group"], str(asked_id(call.params["id"]))
    dead_letters.check_place(stream, group)
    letter = dead_letters.get(stream, group, id_)
    _record(call.by, stream, group, [letter.id])
    verdict = dead_letters.judge(stream, dict(letter.event), letter=letter, by=call.by)
    shown = summaries.whole(dead_letters.seen_by(letter, call.by))
    return {**shown, "check": verdict.as_dict()}


def _together(stream: str, group: str, wanted: DeadLetterCriteria, by: Principal) -> dict[str, Any]:
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


def _lines(request: Request, found: dead_letters.Export, cursor: str) -> Response:
    headers = {}
    if found.next:
        following = urlencode({**request.query, cursor: found.next})
        headers["Link"] = f'<?{following}>; rel="next"'
    return Response(body=found.lines, content_type=NDJSON, headers=headers)
