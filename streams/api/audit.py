"""The audit record over HTTP, to be read."""

from datetime import UTC, datetime

from django.http import HttpResponse
from rest_framework.request import Request

from core import audit, audit_query
from core.audit_query import Wanted
from core.views import ApiView, to_django, to_request
from streams.access import principal_of
from streams.api.openapi import described, example, query
from streams.api.shapes import audit as shapes
from synapse.http.exchange import json_response
from synapse.inspection.range_query import asked_count, asked_range, check_parameters
from synapse.problems import BadParameter
from synapse.wire.ids import FIRST, LAST

MOST, USUAL = 1000, 50
_MOMENT = "Milliseconds since 1970, or a time in ISO 8601 (without an offset: UTC)."
_COUNT = {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL}
_ENTRY = {
    "id": 812,
    "at": "2026-11-23T16:20:01.512340Z",
    "actor": "person:anna",
    "kind": "person",
    "key": None,
    "address": "192.0.2.7",
    "action": "change",
    "target": "stream orders",
    "before": {"name": "orders", "max_length": 1000},
    "after": {"name": "orders", "max_length": 5000},
}


class Audit(ApiView):
    """Who did what."""

    @described(
        "Read the audit record",
        name="list_audit_entries",
        tag="audit",
        parameters=[
            query("actor", "Only what this one did, such as `person:anna`, `service:shop`, `anonymous`, `synapse`."),
            query("action", "Only this action, such as `change`."),
            query("target", "Only what was done to something whose name holds this, such as `stream orders`."),
            query("key", "Only what was done with the API key of this id."),
            query("since", f"Only then or later. {_MOMENT}"),
            query("until", f"Only then or earlier. {_MOMENT}"),
            query("count", "How many.", _COUNT),
            query("before", "`next` of the page before."),
        ],
        answers={200: shapes.AuditPage},
        problems=[400, 403],
        examples=[example("a page", {"entries": [_ENTRY], "next": None}, status=200)],
    )
    def get(self, request: Request) -> HttpResponse:
        """The newest entries first; for the next page send the same question with `before` set to `next`."""
        asked = to_request(request._request, principal_of(request))
        check_parameters(asked, "actor", "action", "target", "key", "since", "until", "count", "before")
        span = asked_range({name: asked.query.get(name, "").strip() for name in ("since", "until")})
        wanted = Wanted(
            **{name: asked.query.get(name, "").replace("\0", "") for name in ("actor", "action", "target", "key")},
            since=None if span.first == FIRST else _moment(span.first.ms, "since"),
            until=None if span.last == LAST else _moment(span.last.ms + 1, "until"),
        )
        count = asked_count(asked.query, most=MOST, otherwise=USUAL)
        found = audit_query.page(
            wanted, by=asked.principal, count=count, before=_before(asked.query.get("before", "").strip())
        )
        shown = {"entries": [audit.as_dict(entry) for entry in found.entries], "next": found.next}
        return to_django(json_response(shown))


def _moment(ms: int, parameter: str) -> datetime:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadParameter(f"“{parameter}” is no time that a calendar has.", parameter=parameter) from None


def _before(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadParameter("“before” is what the page before gave as its next.", parameter="before")
    return int(text)
