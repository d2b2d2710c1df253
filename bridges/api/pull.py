"""The pull protocol through Django REST framework: the express lane's twin. A long poll takes a thread here, and looks
now and then."""

import random
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiResponse
from rest_framework.request import Request

from bridges.api import shapes
from bridges.pull import groups, poll
from bridges.pull.groups import demand_group, may_use_any_group, stream_of
from core import payload_access
from core.views import ApiView, to_django, to_request
from streams import connections
from streams.access import principal_of
from streams.access.identification import current_rights
from streams.api.openapi import described, example
from streams.api.shapes import publishing as published
from streams.snapshot import holder
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.errors.delivery import NobodyPulls
from synapse.http import exchange
from synapse.http.exchange import json_response
from synapse.pull import acknowledgement, requests
from synapse.pull.cache import memory
from synapse.pull.requests import Place
from synapse.wire.entry import TopLevelTypes

LOOK_EVERY = 0.1
_PLACE = {"stream": "inference-events", "consumer_group": "dashboard"}
_IDS = {**_PLACE, "entry_ids": ["1705314600000-0"]}
_REFUSED = [400, 403, 404, 409, 413, 415, 503]


def _body(shape: dict[str, Any]) -> dict[str, Any]:
    return {exchange.JSON: shape}


class Publish(ApiView):
    """Publish one event."""

    @described(
        "Publish an event, as clients of the sidecar do",
        name="pull_publish",
        tag="pull",
        request=_body(shapes.PUBLISH),
        answers={200: OpenApiResponse(published.Published, "The event is stored.")},
        problems=[400, 403, 409, 413, 415, 422, 503],
        examples=[
            example(
                "an event",
                {
                    "stream": "inference-events",
                    "event_type": "inference-complete",
                    "sender": "cyrex",
                    "payload": {"request_id": "req_123", "model_name": "m", "latency_ms": 45, "confidence": 0.9},
                },
            )
        ],
    )
    def post(self, request: Request) -> HttpResponse:
        """The same as `POST /events/{stream}` for one event, contracts included, in the form of another protocol."""
        sent, catalog = _request(request), holder.current()
        asked = requests.publication(sent)
        executor = connections.executor_for(catalog.streams.get(asked.stream))
        return to_django(executor.run(requests.publish(asked, sent, catalog, connections.tally)))


class Read(ApiView):
    """Take events of a group."""

    @described(
        "Take events of a group",
        name="pull_read",
        tag="pull",
        request=_body(shapes.READ),
        answers={200: shapes.Pulled},
        problems=_REFUSED,
        examples=[example("a long poll", {**_PLACE, "consumer_name": "dashboard-1", "count": 10, "block_ms": 1000})],
    )
    def post(self, request: Request) -> HttpResponse:
        """Answers as soon as there are events, and after `block_ms` without any. The first read makes the group, from
        the beginning of the stream. What is not settled before the group's lease is over is given out again."""
        asked, by = requests.read(_request(request)), principal_of(request)
        _enter(asked, request)
        group = groups.opened(asked, by)
        until = time.monotonic() + asked.block_ms / 1000
        while True:
            demand_group(group, replace(by, rights=current_rights(by)))
            found = connections.executor().run(poll.look(group, asked, memory(), _types_of(asked.stream)))
            left = until - time.monotonic()
            if found.held or left <= 0:
                payload_access.record(
                    by, f"stream {asked.stream}", [one.id for one in found.held], pulled_as=asked.group
                )
                return to_django(found.response())
            if not found.more:
                time.sleep(min(left, LOOK_EVERY))


class Ack(ApiView):
    """Settle events."""

    @described(
        "Settle events",
        name="pull_ack",
        tag="pull",
        request=_body(shapes.ACK),
        answers={200: shapes.Acked},
        problems=_REFUSED,
        examples=[example("one event", _IDS)],
    )
    def post(self, request: Request) -> HttpResponse:
        """They were handled, and are not given out again. What was settled already is not counted."""
        asked = requests.ack(_request(request))
        if not _may_settle(asked, request):
            return to_django(json_response(acknowledgement.NOTHING_ACKED))
        return to_django(json_response(connections.executor().run(acknowledgement.ack(asked))))


class Nack(ApiView):
    """Give events back."""

    @described(
        "Give events back that could not be handled",
        name="pull_nack",
        tag="pull",
        request=_body(shapes.NACK),
        answers={200: shapes.Nacked},
        problems=_REFUSED,
        examples=[example("in a minute again", {**_IDS, "delay_ms": 60_000, "reason": "the printer is out of paper"})],
    )
    def post(self, request: Request) -> HttpResponse:
        """Each comes again, when the request or the group's settings say, or is a dead letter."""
        asked = requests.nack(_request(request))
        conversation = acknowledgement.nack(_group(asked, request), asked, random.random())
        return to_django(json_response(connections.executor().run(conversation)))


class Extend(ApiView):
    """Keep events for longer."""

    @described(
        "Keep events in hand for longer",
        name="pull_extend",
        tag="pull",
        request=_body(shapes.EXTEND),
        answers={200: shapes.Extended},
        problems=_REFUSED,
        examples=[example("ten minutes", {**_IDS, "lease_ms": 600_000})],
    )
    def post(self, request: Request) -> HttpResponse:
        """For work that takes longer than the group's lease. Nobody else gets the events meanwhile."""
        asked = requests.extend(_request(request))
        conversation = acknowledgement.extend(_group(asked, request), asked)
        return to_django(json_response(connections.executor().run(conversation)))


def _request(request: Request) -> exchange.Request:
    return to_request(request._request, principal_of(request))


def _enter(place: Place, request: Request) -> None:
    stream_of(place, principal_of(request))
    groups.follow()


def _group(place: Place, request: Request) -> BridgeDefinition:
    """Return the group in which the caller settles events."""
    _enter(place, request)
    group = groups.find(place)
    demand_group(group, principal_of(request))
    return group


def _may_settle(place: Place, request: Request) -> bool:
    """Say whether there is a group to settle events in, for a caller who may. Who may in all of them is not asked."""
    _enter(place, request)
    if groups.known(place) is None and may_use_any_group(place, principal_of(request)):
        return True
    try:
        _group(place, request)
    except NobodyPulls:
        return False
    return True


def _types_of(stream: str) -> Mapping[str, TopLevelTypes]:
    defined = holder.current().streams.get(stream)
    return defined.types_of if defined else {}
