"""Inspecting streams through Django REST framework: on some routes the express lane's twin, on others alone."""

from collections.abc import Callable

import orjson
from django.http import HttpResponse
from rest_framework.request import Request

from core import payload_access
from core.views import ApiView, to_django, to_request
from streams import connections
from streams.access import principal_of
from streams.api.openapi import STREAM, described, example, query
from streams.api.shapes import streams as shapes
from streams.snapshot import holder
from synapse import inspection
from synapse.catalog.stream_definitions import Snapshot
from synapse.http import exchange
from synapse.inspection.messages import MOST_MESSAGES, USUAL_MESSAGES
from synapse.redis import Conversation

_MOMENT = "An entry id, milliseconds since 1970, or a time in ISO 8601 (without an offset: UTC)."
_COUNT = {"type": "integer", "minimum": 1, "maximum": MOST_MESSAGES, "default": USUAL_MESSAGES}
_MESSAGE = {
    "id": "1705314600000-0",
    "data": {
        "event_type": "inference-complete",
        "latency_ms": "45",
        "event": "inference-complete",
        "timestamp": "2024-01-15T10:30:00.000Z",
        "source": "anonymous",
        "synapse_version": "1",
        "synapse_added": "ets",
    },
    "event": {"event_type": "inference-complete", "latency_ms": 45},
    "event_type": "inference-complete",
    "timestamp": "2024-01-15T10:30:00.000Z",
    "source": "anonymous",
    "contract_version": 1,
    "layout": "flat",
}


class InspectView(ApiView):
    """A view that answers GET by holding a conversation with Redis."""

    def answer(
        self,
        request: Request,
        conversation: Callable[[exchange.Request, Snapshot], Conversation[exchange.Response]],
        **params: str,
    ) -> HttpResponse:
        return to_django(self.answered(request, conversation, **params))

    def answered(
        self,
        request: Request,
        conversation: Callable[[exchange.Request, Snapshot], Conversation[exchange.Response]],
        **params: str,
    ) -> exchange.Response:
        asked = to_request(request._request, principal_of(request), **params)
        return connections.executor().run(conversation(asked, holder.current()))


def _recorded(answer: exchange.Response, request: Request, stream: str) -> HttpResponse:
    """Return the answer, after a person's look at the messages in it was recorded."""
    by = principal_of(request)
    if by.kind == "person":
        found = orjson.loads(answer.body)
        payload_access.record(by, f"stream {stream}", [each["id"] for each in found.get("messages", [found])])
    return to_django(answer)


class Streams(InspectView):
    @described(
        "List the streams", name="list_streams", tag="streams", answers={200: shapes.Streams}, problems=[400, 503]
    )
    def get(self, request: Request) -> HttpResponse:
        """Every defined stream with its definition and its figures, by name. A stream that Redis cannot tell of
        says why in `error`; the others are there all the same."""
        return self.answer(request, inspection.streams)


class OneStream(InspectView):
    @described(
        "Show a stream",
        name="show_stream",
        tag="streams",
        parameters=[STREAM],
        answers={200: shapes.Stream},
        problems=[400, 404, 409, 503],
    )
    def get(self, request: Request, stream: str) -> HttpResponse:
        """A stream's definition and its figures."""
        return self.answer(request, inspection.one_stream, stream=stream)


class Info(InspectView):
    @described(
        "Show what Redis knows of a stream",
        name="stream_info",
        tag="streams",
        parameters=[STREAM],
        answers={200: shapes.Info},
        problems=[400, 404, 409, 503],
    )
    def get(self, request: Request, stream: str) -> HttpResponse:
        """The answer of XINFO STREAM by Redis' own names, and what Synapse knows of the stream in `synapse`. Older
        servers leave some of the names out; they are 0 here then."""
        return self.answer(request, inspection.info, stream=stream)


class Messages(InspectView):
    @described(
        "Read a stream's messages",
        name="list_messages",
        tag="streams",
        parameters=[
            STREAM,
            query("count", "How many.", _COUNT),
            query("order", "Which come first.", enum=["newest", "oldest"], default="newest"),
            query("event_type", "Only messages of this event type."),
            query("since", f"From here on, this one included. {_MOMENT}"),
            query("until", f"Up to here, this one included. {_MOMENT}"),
            query("after", f"Later than this. {_MOMENT}"),
            query("before", f"Earlier than this. {_MOMENT}"),
        ],
        answers={200: shapes.Messages},
        problems=[400, 404, 409, 503],
        examples=[
            example(
                "a page",
                {
                    "stream": "inference-events",
                    "messages": [_MESSAGE],
                    "order": "newest",
                    "next": None,
                    "scanned": 1,
                    "complete": True,
                },
                status=200,
            )
        ],
    )
    def get(self, request: Request, stream: str) -> HttpResponse:
        """A page of messages, newest first unless asked otherwise. For the next page send the same question with
        `before` (newest first) or `after` (oldest first) set to `next`. With `event_type` at most 10,000 entries are
        looked at for one page: `complete` is false when that was not enough, and `next` goes on from there."""
        return _recorded(self.answered(request, inspection.messages, stream=stream), request, stream)


class OneMessage(InspectView):
    @described(
        "Read one message",
        name="show_message",
        tag="streams",
        parameters=[STREAM],
        answers={200: shapes.OneMessage},
        problems=[400, 404, 409, 503],
        examples=[example("a message", {"stream": "inference-events", **_MESSAGE}, status=200)],
    )
    def get(self, request: Request, stream: str, id: str) -> HttpResponse:
        """The message with this entry id."""
        return _recorded(self.answered(request, inspection.message, stream=stream, id=id), request, stream)


class Groups(InspectView):
    @described(
        "List a stream's consumer groups",
        name="list_groups",
        tag="streams",
        parameters=[STREAM],
        answers={200: shapes.Groups},
        problems=[400, 404, 409, 503],
    )
    def get(self, request: Request, stream: str) -> HttpResponse:
        """Who reads the stream, what they still have to settle, and how far behind they are. Lag is counted up to
        10,000 events; `lag_exact` is false when there are more."""
        return self.answer(request, inspection.groups, stream=stream)
