"""Endpoints that list dead letters one by one or grouped by error, show one, and export them as lines of JSON.

Actions redrive or discard dead letters in parts: each request processes a limited number.
"""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Literal
from urllib.parse import urlencode

from bridges import dead_letters
from bridges.api import dead_letter_models as models
from bridges.dead_letters import DeadLetterCriteria, Ids, summaries
from bridges.dead_letters.permissions import ACTING, READING
from bridges.dead_letters.queries import MOST_ON_A_PAGE
from core import payload_access
from synapse.auth.principal import Principal
from synapse.dead_letters import FILTERS, read_criteria, summary_json
from synapse.endpoints import Call, Example, Meaning, Query, QueryInt, about, endpoint
from synapse.errors.delivery import NoSuchDeadLetter
from synapse.filters import FILTER_HELP
from synapse.http.exchange import JSON, Request, Response
from synapse.inspection.range_query import MOMENT, Order, parse_entry_id
from synapse.publishing.body import NDJSON

_PATH = "/streams/{stream}/groups/{group}/dead-letters"
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
    """The filter, the page and the format of dead letters."""

    event_type: str = about("Only dead letters whose event is of this type.", default="")
    fingerprint: str = about("Only dead letters whose error has this fingerprint.", default="")
    since: str = about(f"Only dead letters whose last failure was at this time or later. {MOMENT}", default="")
    until: str = about(f"Only dead letters whose last failure was at this time or earlier. {MOMENT}", default="")
    filter: str = about(FILTER_HELP.format("those"), default="")
    order: Order = about("The order of the list.", default="newest")
    count: QueryInt = about("How many dead letters to list.", default=USUAL, ge=1, le=MOST_ON_A_PAGE)
    before: str = about("Order `newest`: the `next` of the previous page.", default="")
    after: str = about("Order `oldest`: the `next` of the previous page.", default="")
    groups: Literal["fingerprint"] | None = about(
        "`fingerprint` groups the dead letters by their errors.", default=None
    )
    format: Literal["json", "ndjson"] = about("`ndjson` exports whole dead letters, one a line.", default="json")

    @property
    def wanted(self) -> DeadLetterCriteria:
        """The criteria in the query."""
        return read_criteria({name: getattr(self, name) for name in FILTERS})


_queries = partial(endpoint, tag="dead letters", requires=READING, problems=PROBLEMS)


@_queries(
    "GET",
    _PATH,
    "List dead letters",
    {
        (200, JSON): models.DeadLettersOrGroups,
        (200, NDJSON): Meaning(
            {"type": "string"},
            "At most 32 MiB of dead letters. The header `Link` (RFC 8288, rel=next) leads to further ones.",
        ),
    },
    query=DeadLettersQuery,
    examples=[Example("a page", models.PAGE, 200), Example("by error", models.GROUPS, 200)],
)
def list_dead_letters(call: Call[DeadLettersQuery, None]) -> dict[str, Any] | Response:
    """Lists a page of dead letters, newest first by default. For the next page, send the same query with `before`
    (newest first) or `after` (oldest first) set to `next`. At most 10,000 are searched for one page: when more are
    left, `complete` is false, and `next` continues the search."""
    stream, group, query = call.params["stream"], call.params["group"], call.query
    wanted = query.wanted
    cursor = "before" if query.order == "newest" else "after"
    past = str(parse_entry_id(given)) if (given := getattr(query, cursor)) else ""
    dead_letters.check_group(stream, group)
    if query.format == "ndjson":
        found = dead_letters.export(stream, group, wanted, order=query.order, past=past, by=call.by)
        _record_access(call.by, stream, group, found.ids, exported=True)
        return _lines_response(call.request, found, cursor)
    if query.groups:
        return _list_by_error(stream, group, wanted, call.by)
    page = dead_letters.read_page(stream, group, wanted, limit=query.count, order=query.order, past=past, by=call.by)
    _record_access(call.by, stream, group, [letter.id for letter in page.letters])
    return {
        **call.params,
        "total": page.total,
        "dead_letters": [summary_json(letter) for letter in page.letters],
        "order": query.order,
        "next": page.next,
        "complete": page.complete,
    }


@_queries(
    "GET",
    f"{_PATH}/{{id}}",
    "Show a dead letter",
    models.DeadLetter,
    query=Query,
    parameters=[ID],
    examples=[Example("a dead letter", models.WHOLE, 200)],
)
def show_dead_letter(call: Call[Query, None]) -> dict[str, Any]:
    """The event and its fields, each of the last ten attempts, and the result of checking the event now."""
    stream, group, id_ = call.params["stream"], call.params["group"], str(parse_entry_id(call.params["id"]))
    dead_letters.check_group(stream, group)
    letter = dead_letters.get(stream, group, id_)
    _record_access(call.by, stream, group, [letter.id])
    verdict = dead_letters.revalidate(stream, dict(letter.event), letter=letter, by=call.by)
    shown = summaries.letter_json(dead_letters.mask_for_reader(letter, call.by))
    return {**shown, "check": verdict.as_dict()}


def _list_by_error(stream: str, group: str, wanted: DeadLetterCriteria, by: Principal) -> dict[str, Any]:
    errors = dead_letters.by_error(stream, group, wanted, by=by)
    events = sum(found.count for found in errors.groups)
    _record_access(by, stream, group, [found.newest for found in errors.groups], events=events)
    return {
        "stream": stream,
        "group": group,
        "total": dead_letters.count(stream, group),
        "groups": [summaries.error_group(found) for found in errors.groups],
        "complete": errors.complete,
    }


def _record_access(by: Principal, stream: str, group: str, ids: Sequence[str], **more: Any) -> None:
    payload_access.record(by, f"dead letters {stream}/{group}", ids, **more)


def _lines_response(request: Request, found: dead_letters.Export, cursor: str) -> Response:
    headers = {}
    if found.next:
        following = urlencode({**request.query, cursor: found.next})
        headers["Link"] = f'<?{following}>; rel="next"'
    return Response(body=found.lines, content_type=NDJSON, headers=headers)


_PROBLEMS_OF_ACTIONS = {
    **PROBLEMS,
    409: "The group can take no more scheduled or blocked events, or Redis holds something else there.",
    503: "Redis cannot be used now. The same request again does no harm.",
}
_PART = {"gone": 0, "left": 112, "cursor": "1795432911042-0"}


_acts = partial(endpoint, tag="dead letters", requires=ACTING)


@_acts(
    "POST",
    f"{_PATH}/redrive",
    "Redrive dead letters",
    models.RedrivenOrMeant,
    body=models.RedriveAsked,
    problems=_PROBLEMS_OF_ACTIONS,
    examples=[
        Example("named ones", {"ids": [models.ID]}),
        Example("dead letters of one error, ten a second", {"filter": {"fingerprint": "5e5f1b5b8c3d"}, "rate": 10}),
        Example("dead letters of large orders", {"filter": {"filter": "event.total > 1000 && attempts >= 3"}}),
        Example("how many that would be", {"all": True, "dry_run": True}),
        Example("a part", {"redriven": 1000, "waiting": 0, "broken": 0, **_PART}, 200),
    ],
)
def redrive_dead_letters(call: Call[None, models.RedriveAsked]) -> dict[str, Any]:
    """The dead letters are delivered again with all attempts available, the newest first, up to 1,000 in a request. To
    continue, repeat the request with the answer's `cursor`, until that is null. Events that fail again meanwhile are
    not redriven twice. One that is not there (any more) is counted as `gone`."""
    stream, group, asked = call.params["stream"], call.params["group"], call.body
    which = asked.to_selection()
    if preview := _answer_dry_run(stream, group, asked, which, call.by):
        return preview
    redriven = dead_letters.redrive(
        stream, group, which, by=call.by, rate=asked.rate, cursor=asked.cursor, most=asked.count
    )
    each = [{"id": id_, "result": _word_of(result)} for id_, result in redriven.results]
    return {
        "redriven": redriven.moved,
        "gone": redriven.gone,
        "waiting": redriven.waiting,
        "broken": redriven.broken,
        **({"results": each} if isinstance(which, Ids) else {}),
        "left": dead_letters.count(stream, group),
        "cursor": redriven.cursor,
    }


@_acts(
    "POST",
    f"{_PATH}/discard",
    "Discard dead letters",
    models.DiscardedOrMeant,
    body=models.DiscardAsked,
    problems={**_PROBLEMS_OF_ACTIONS, 422: "No reason was given."},
    examples=[
        Example("named ones", {"ids": [models.ID], "reason": "test orders"}),
        Example("a part", {"discarded": 1000, **_PART}, 200),
    ],
)
def discard_dead_letters(call: Call[None, models.DiscardAsked]) -> dict[str, Any]:
    """The dead letters are deleted for good, in parts, as redriving takes them; the reason is recorded with each."""
    stream, group, asked = call.params["stream"], call.params["group"], call.body
    which = asked.to_selection()
    if preview := _answer_dry_run(stream, group, asked, which, call.by):
        return preview
    done = dead_letters.discard(
        stream, group, which, by=call.by, reason=asked.reason, cursor=asked.cursor, most=asked.count
    )
    left = dead_letters.count(stream, group)
    return {"discarded": done.count, "gone": done.gone, "left": left, "cursor": done.cursor}


@_acts(
    "POST",
    f"{_PATH}/{{id}}/redrive",
    "Redrive a dead letter, as it is or edited",
    models.RedrivenOne,
    body=models.RedriveOneAsked,
    parameters=[ID],
    problems={**_PROBLEMS_OF_ACTIONS, 422: "The event breaks its contract, or does not name its type."},
    examples=[
        Example("as it is", {}),
        Example("edited", {"event": {**models.EVENT, "confidence": 0.92}}),
        Example("on its way", {"id": models.ID, "result": "redriven"}, 200),
    ],
)
def redrive_dead_letter(call: Call[None, models.RedriveOneAsked]) -> dict[str, Any]:
    """An `event` is delivered in place of the stored one, with its id, if publishing it would be accepted. The result
    is `gone` when the dead letter is not there (any more)."""
    stream, group, id_ = call.params["stream"], call.params["group"], str(parse_entry_id(call.params["id"]))
    is_edited = "event" in call.body.model_fields_set
    dead_letters.check_group(stream, group)
    try:
        letter = dead_letters.get(stream, group, id_)
        if call.body.dry_run:
            if is_edited:
                dead_letters.demand_editing(letter, call.by)
            event = call.body.event if is_edited else dict(letter.event)
            verdict = dead_letters.revalidate(stream, event, letter=letter, by=call.by)
            return {"id": id_, "dry_run": True, "check": verdict.as_dict()}
        if is_edited:
            return _redrive_edited(call, id_)
    except NoSuchDeadLetter:
        return {"id": id_, "result": "gone"}
    redriven = dead_letters.redrive(stream, group, Ids((id_,)), by=call.by)
    return {"id": id_, "result": _word_of(redriven.results[0][1])}


@_acts(
    "POST",
    f"{_PATH}/{{id}}/discard",
    "Discard a dead letter",
    models.DiscardedOne,
    body=models.DiscardOneAsked,
    problems={**_PROBLEMS_OF_ACTIONS, 422: "No reason was given."},
    parameters=[ID],
    examples=[
        Example("why", {"reason": "a test order"}),
        Example("deleted for good", {"id": models.ID, "result": "discarded"}, 200),
    ],
)
def discard_dead_letter(call: Call[None, models.DiscardOneAsked]) -> dict[str, Any]:
    """The dead letter is deleted for good; the reason is recorded."""
    stream, group, id_ = call.params["stream"], call.params["group"], str(parse_entry_id(call.params["id"]))
    dead_letters.check_group(stream, group)
    done = dead_letters.discard(stream, group, Ids((id_,)), by=call.by, reason=call.body.reason)
    return {"id": id_, "result": "discarded" if done.count else "gone"}


def _redrive_edited(call: Call[None, models.RedriveOneAsked], id_: str) -> dict[str, Any]:
    stream, group = call.params["stream"], call.params["group"]
    edited = dead_letters.redrive_edited(stream, group, id_, call.body.event, by=call.by)
    ((_, result),) = edited.redriven.results
    verdict = dead_letters.Revalidation(
        problem=None, contract_version=edited.contract_version, violations=edited.warnings
    )
    return {"id": id_, "result": _word_of(result), "check": verdict.as_dict()}


def _answer_dry_run(
    stream: str, group: str, asked: models.WhichAsked, which: Ids | DeadLetterCriteria, by: Principal
) -> dict[str, Any] | None:
    """Check that the group exists. Return the answer to a dry run, None for any other request."""
    dead_letters.check_group(stream, group)
    return {"dry_run": True, **asdict(dead_letters.preview(stream, group, which, by=by))} if asked.dry_run else None


def _word_of(result: str) -> str:
    return "redriven" if result == "retry" else result
