"""CloudEvents round trips with the SDKs for Python and JavaScript, through a running server: published in three modes,
and read as messages, by pull and by webhooks. `SYNAPSE_TESTS=full` generates 1,000 events for each.
"""

import json
import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http, to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from dateutil.parser import isoparse

from bridges.models import Bridge
from bridges.sinks.webhook import WebhookConfig, WebhookSink
from bridges.snapshot import holder as bridges
from streams.models import Stream
from streams.snapshot import holder
from synapse.cloudevents.attributes import BATCH, STRUCTURED
from synapse.delivery.sink import Delivery
from synapse.delivery.webhooks import target
from tests.bridges.cast import always
from tests.bridges.receiver import Receiver
from tests.bridges.sinks import SECRET, definition
from tests.chaos.profile import FULL
from tests.cloudevents.generated import Generator
from tests.conftest import need
from tests.live.server import running_server

COUNT = 1000 if FULL else 20
MODES = ("structured", "binary", "batch")
NODE = Path(__file__).parent.parent / "acceptance" / "node"


@pytest.fixture
def server(define, redis, settings):
    """A server with a stream and a group for each mode, which may send webhooks to this machine."""
    settings.WEBHOOK_ALLOW = target.read_allowed(["127.0.0.1"])
    settings.BRIDGE_SECRETS = {"SYNAPSE_SECRET_SHOP": SECRET}
    for mode in MODES:
        define(mode)
        stream = Stream.objects.get(name=mode)
        Bridge.objects.create(name=mode, stream=stream, group="readers", sink="pull", lease_seconds=300, batch_size=100)
    holder.refresh()
    bridges.current()
    with running_server() as running, httpx.Client(base_url=running.url) as client:
        yield client


def messages(client, stream):
    """Return the bodies of all pages of a stream's messages, oldest first."""
    url, pages = f"/streams/{stream}/messages?order=oldest&count=100", []
    while url:
        answer = client.get(url, headers={"accept": BATCH})
        assert answer.headers["content-type"] == BATCH
        pages.append(answer.text)
        url = str(answer.url.join(answer.links["next"]["url"])) if "next" in answer.links else ""
    return pages


def pulled(client, stream):
    """Return the bodies of all reads of a group, whose events are acknowledged."""
    place = {"stream": stream, "consumer_group": "readers"}
    found = []
    while True:
        read = {**place, "consumer_name": "r-1", "count": 100, "block_ms": 0}
        answer = client.post("/v1/read", json=read, headers={"accept": STRUCTURED})
        ids = [event["synapseentryid"] for event in answer.json()]
        if not ids:
            return found
        assert client.post("/v1/ack", json={**place, "entry_ids": ids}).json() == {"acked": len(ids)}
        found.append(answer.text)


def received(redis, stream, body):
    """Return the requests that a webhook's receiver gets for all entries of a stream, in order."""
    receiver = Receiver()
    config = WebhookConfig(url=receiver.url, secret="shop", body=body)
    sink = WebhookSink.open(config, definition("webhook", handler_timeout_seconds=60), stopping=lambda: False)
    batch = [
        Delivery(stream=stream, id=id_.decode(), attempt=1, parts=[part for pair in fields.items() for part in pair])
        for id_, fields in redis.xrange(stream)
    ]
    try:
        assert sink.deliver(batch, always) == [None] * len(batch)
        return receiver.got
    finally:
        sink.close()
        receiver.close()


def as_texts(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as binary mode carries it."""
    texts = {
        name: value if isinstance(value, str) or name == "data" else json.dumps(value) for name, value in event.items()
    }
    return {**texts, **({"datacontenttype": "application/json"} if "data" in event else {}), **_content_type(event)}


def _content_type(event: dict[str, Any]) -> dict[str, Any]:
    return {name: event[name] for name in ("datacontenttype",) if name in event}


class PythonSdk:
    """The SDK for Python, which reads and writes one event at a time."""

    def close(self) -> None:
        """Leave nothing open."""

    @staticmethod
    def events(seed: int, mode: str) -> list[dict[str, Any]]:
        return Generator(seed).events(COUNT, mode)

    @staticmethod
    def publish(client: httpx.Client, mode: str, events: list[dict[str, Any]]) -> None:
        made = [PythonSdk._made(event) for event in events]
        if mode == "batch":
            for at in range(0, len(made), 100):
                written = b",".join(JSONFormat().write(event) for event in made[at : at + 100])
                answer = client.post(f"/events/{mode}", content=b"[" + written + b"]", headers={"content-type": BATCH})
                assert answer.status_code == 200, answer.text
            return
        write = {"structured": to_structured_event, "binary": to_binary_event}[mode]
        for event in made:
            message = write(event)
            answer = client.post(f"/events/{mode}", content=message.body, headers=message.headers)
            assert answer.status_code == 201, answer.text

    @staticmethod
    def of_batches(bodies: list[str]) -> list[dict[str, Any]]:
        return [
            PythonSdk._read({"content-type": STRUCTURED}, json.dumps(event).encode())
            for body in bodies
            for event in json.loads(body)
        ]

    @staticmethod
    def of_requests(requests: list[Any]) -> list[dict[str, Any]]:
        return [PythonSdk._read(request.headers, request.body) for request in requests]

    @staticmethod
    def comparable(event: dict[str, Any]) -> dict[str, Any]:
        """Return an event as the SDK holds it."""
        return {**event, "time": isoparse(event["time"])}

    @staticmethod
    def _made(event: dict[str, Any]) -> CloudEvent:
        attributes = {name: value for name, value in PythonSdk.comparable(event).items() if name != "data"}
        return CloudEvent(attributes, event.get("data"))

    @staticmethod
    def _read(headers: Any, body: bytes) -> dict[str, Any]:
        event = from_http(HTTPMessage(headers=dict(headers), body=body), JSONFormat(), CloudEvent)
        data = event.get_data()
        return {**event.get_attributes(), **({} if data is None else {"data": data})}


class JavaScriptSdk:
    """The SDK for JavaScript in a program of Node, which writes texts into headers as they are."""

    def __init__(self) -> None:
        need(shutil.which("node"), "Node")
        need((NODE / "node_modules" / "cloudevents").is_dir(), "cloudevents (npm install, as `make test` does)")
        self._program = subprocess.Popen(
            ["node", "cloudevents.mjs"], cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    @staticmethod
    def events(seed: int, mode: str) -> list[dict[str, Any]]:
        return Generator(seed, is_plain=True).events(COUNT, mode)

    def publish(self, client: httpx.Client, mode: str, events: list[dict[str, Any]]) -> None:
        assert self._ask(given=events, mode=mode, url=f"{client.base_url}/events/{mode}") == events

    def of_batches(self, bodies: list[str]) -> list[dict[str, Any]]:
        return self._ask(given=[{"headers": {"content-type": BATCH}, "body": body} for body in bodies])

    def of_requests(self, requests: list[Any]) -> list[dict[str, Any]]:
        bodies = [{"body": request.body.decode()} if request.body else {} for request in requests]
        return self._ask(
            given=[{"headers": dict(one.headers), **body} for one, body in zip(requests, bodies, strict=True)]
        )

    @staticmethod
    def comparable(event: dict[str, Any]) -> dict[str, Any]:
        return event

    def close(self) -> None:
        self._program.communicate(timeout=60)

    def _ask(self, **question: Any) -> Any:
        self._program.stdin.write(json.dumps(question) + "\n")
        self._program.stdin.flush()
        answer = self._program.stdout.readline()
        assert answer, "the program has ended: its output says why"
        return json.loads(answer)


@pytest.fixture(params=[PythonSdk, pytest.param(JavaScriptSdk, marks=pytest.mark.nightly)])
def sdk(request):
    with closing(request.param()) as sdk:
        yield sdk


def test_events_of_an_sdk_come_back_equal_from_messages_pull_and_webhooks(server, redis, sdk):
    for seed, mode in enumerate(MODES):
        events = sdk.events(seed, mode)
        sdk.publish(server, mode, events)

        expected = [sdk.comparable(event) for event in events]
        as_headers = [sdk.comparable(as_texts(event)) for event in events]
        taken = sdk.of_batches(pulled(server, mode))
        attempts = [(event.pop("synapseattempt"), bool(event.pop("synapseentryid"))) for event in taken]
        assert sdk.of_batches(messages(server, mode)) == expected
        assert taken == expected
        assert set(attempts) == {(1, True)}
        assert sdk.of_requests(received(redis, mode, "cloudevents")) == expected
        assert sdk.of_requests(received(redis, mode, "cloudevents-binary")) == as_headers
