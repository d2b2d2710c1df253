"""Contracts and the events that are there: testing one, and drafting one. On Django's lane alone: both take a while."""

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from core import payload_access
from core.views import ApiView, to_django, to_request
from streams import candidate_schemas, connections
from streams.access import principal_of
from streams.api.openapi import STREAM, described, query
from streams.api.schemas import JSON_SCHEMA
from streams.api.shapes import contracts as shapes
from streams.candidate_schemas import subject_of
from streams.snapshot import holder
from synapse.auth.permission import demand_right
from synapse.http.exchange import JSON, json_response
from synapse.inspection import backtest, draft_from_traffic
from synapse.inspection.range_query import check_parameters
from synapse.inspection.recent_events import (
    MOST_EVENTS,
    USUAL_EVENTS,
    asked_last,
    defined,
)
from synapse.problems import UnsupportedMediaType

_SCHEMA_JSON = "application/schema+json"
_EVENT_TYPE = OpenApiParameter("event_type", str, OpenApiParameter.PATH, description="The event type's name.")
_LAST = query(
    "last",
    "How many of the newest events of the type are looked at.",
    {"type": "integer", "minimum": 1, "maximum": MOST_EVENTS, "default": USUAL_EVENTS},
)


class BackTest(ApiView):
    @described(
        "Test a schema on the events that are there",
        name="back_test",
        tag="contracts",
        parameters=[STREAM, _EVENT_TYPE, _LAST],
        request={JSON: JSON_SCHEMA, _SCHEMA_JSON: JSON_SCHEMA},
        answers={200: shapes.BackTested},
        problems=[400, 404, 409, 413, 415, 422, 503],
    )
    def post(self, request: Request, stream: str, event_type: str) -> HttpResponse:
        """How many of the newest events the schema would refuse, grouped by what they break. Without a body, the draft
        of the event type's contract is tested. Nothing is changed. Who may not see what is personal has masked events
        tested, and `masked` says so."""
        check_parameters(to_request(request._request), "last")
        last = asked_last(request._request.GET.get("last", ""))
        by = principal_of(request)
        demand_right(by, "read", stream, event_type)
        catalog = holder.current()
        subject = subject_of(defined(catalog, stream).name, event_type)
        text = _text(request)
        candidate = candidate_schemas.of_text(subject, text) if text else candidate_schemas.of_draft(subject)
        with candidate_schemas.trial(candidate) as trial:
            test = backtest.back_test(catalog, stream, event_type, trial, by=by, last=last)
            tested = connections.executor().run(test)
        payload_access.record(
            by, f"stream {stream}", tested.example_ids, events=tested.walk.events, back_test=event_type
        )
        return to_django(json_response(tested.as_dict()))


class Draft(ApiView):
    @described(
        "Propose a contract from the events that are there",
        name="draft_from_traffic",
        tag="contracts",
        parameters=[STREAM, _EVENT_TYPE, _LAST],
        answers={200: shapes.Drafted},
        problems=[400, 404, 409, 503],
    )
    def post(self, request: Request, stream: str, event_type: str) -> HttpResponse:
        """A schema that accepts the newest events of a type, whether it is defined or not, and how it differs from the
        active version. Nothing is saved."""
        check_parameters(to_request(request._request), "last")
        last = asked_last(request._request.GET.get("last", ""))
        by = principal_of(request)
        demand_right(by, "read", stream, event_type)
        proposal = connections.executor().run(
            draft_from_traffic.draft(holder.current(), stream, event_type, by=by, last=last)
        )
        payload_access.record(by, f"stream {stream}", [], events=proposal.walk.events, draft=event_type)
        return to_django(json_response({**proposal.as_dict(), "subject": subject_of(stream, event_type)}))


def _text(request: Request) -> bytes:
    body = request._request.body.strip()
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if body and kind not in (JSON, _SCHEMA_JSON):
        raise UnsupportedMediaType(f"Send a schema with Content-Type {JSON} or {_SCHEMA_JSON}.")
    return body
