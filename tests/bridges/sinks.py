"""Each sink of the registry, opened as a bridge would, and a way to see which events arrived there."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridges.models import ArchivedEvent, Bridge
from bridges.sinks import registry
from bridges.sinks.console import ConsoleSink
from bridges.sinks.notification import NotificationConfig, NotificationSink
from bridges.sinks.webhook import WebhookConfig, WebhookSink
from streams import connections
from streams.models import Stream
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.delivery.sink import Delivery, OneByOne, Sink
from synapse.redis.commands import streams as stream_commands
from synapse.wire.encoding import pairs
from tests.bridges.notified import Receivers
from tests.bridges.receiver import Receiver, answer
from tests.definitions import define

# The secret `shop` of the tests, as a variable of the environment.
SECRET = "whsec_c2lnbmVkIGJ5IHRoZSBzaG9wIG9mIHRoZSB0ZXN0cw=="
# The secret `ops-chat`.
CHAT = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
HANDLERS = ["tests.bridges.shop.*"]
# What another stream would take from nobody, the stream sink refuses for good: the strange events, by their names.
REFUSES = {
    "stream": {
        *("no type", "broken bytes", "NUL", "a type that is no name", "thousands of fields", "nothing at all"),
        *("nested as deep as can be", "half a character", "terminal codes", "numbers beyond all bounds"),
    }
}
# What a sink cannot do without. A sink that is not named here needs nothing.
CONFIGS: dict[str, dict[str, Any]] = {
    "handler": {"handler": "tests.bridges.shop.write_down"},
    "webhook": {"url": "https://example.com/events", "secret": "shop"},
    "notification": {"target": "ops-chat"},
    "stream": {"stream": "copies"},
}


@dataclass
class Opened:
    """A sink, and the ids of the events that arrived there so far."""

    name: str
    sink: Sink
    arrived: Callable[[], list[str]]
    close: Callable[[], None]


def delivery(fields: dict[Any, Any], id_: str = "1766570400123-0", attempt: int = 1, **options: Any) -> Delivery:
    """Return the delivery of an entry with these fields."""
    parts = [part if isinstance(part, bytes) else str(part).encode() for pair in fields.items() for part in pair]
    return Delivery(stream="orders", id=id_, attempt=attempt, parts=parts, **options)


class Nowhere(OneByOne):
    """A sink that takes every event and keeps none."""

    @classmethod
    def open(cls, config: Any, bridge: BridgeDefinition, *, stopping: Callable[[], bool]) -> "Nowhere":
        return cls()

    def take(self, delivery: Delivery) -> None:
        return


def definition(sink: str, *, row: bool = False, **columns: Any) -> BridgeDefinition:
    """Return a bridge into a sink; with `row`, one that the database knows."""
    name = columns.pop("name", f"into-{sink}")
    values = {"name": name, "stream": "orders", "group": name, "sink": sink, "handler_timeout_seconds": 5}
    bridge = BridgeDefinition(**{**values, "config": CONFIGS.get(sink, {}), **columns})
    if not row:
        return bridge
    stream, _ = Stream.objects.get_or_create(name="orders")
    return replace(bridge, pk=Bridge.objects.create(name=name, stream=stream, group=bridge.group, sink=sink).pk)


def open_one(name: str, folder: Path, monkeypatch: Any) -> Opened:
    """Open a sink of the registry."""
    written = folder / "written-down"
    if name == "console":
        return _open_console(folder / "console")
    if name == "webhook":
        return _open_webhook()
    if name == "notification":
        return _open_chat(folder, monkeypatch)
    monkeypatch.setenv("SHOP_FILE", str(written))
    if name == "stream":
        define("copies", layout="dual")
    bridge = definition(name, row=True)
    kind = registry.find_sink(name)
    sink = kind.open(kind.Config.read(bridge.config), bridge, stopping=lambda: False)
    arrived: dict[str, Callable[[], list[str]]] = {
        "handler": lambda: [line.split()[0] for line in written.read_text().splitlines()] if written.exists() else [],
        "database": lambda: list(ArchivedEvent.objects.order_by("id").values_list("entry_id", flat=True)),
        "stream": _copied,
    }
    assert name in arrived, f"Say in {__name__} how a test sees which events arrived in the sink “{name}”."
    return Opened(name, sink, arrived[name], sink.close)


def _copied() -> list[str]:
    """Return the ids that the tests' events have as a property of their own."""
    (entries,) = connections.executor().execute([stream_commands.xrange("copies", "-", "+", 10_000)])
    return [pairs(one.parts)[b"from"].decode() for one in entries]


def _open_webhook() -> Opened:
    receiver = Receiver()
    config = WebhookConfig(url=receiver.url, secret="shop")
    sink = WebhookSink.open(config, definition("webhook"), stopping=lambda: False)

    def close() -> None:
        sink.close()
        receiver.close()

    return Opened("webhook", sink, lambda: [one.headers["synapse-event-id"] for one in receiver.got], close)


def _open_chat(folder: Path, monkeypatch: Any) -> Opened:
    receivers = Receivers(folder)
    monkeypatch.setenv("SSL_CERT_FILE", str(receivers.authority.file))
    monkeypatch.syspath_prepend(str(folder))
    chat = receivers.http("hooks.slack.com")
    chat.always(answer(200, body=b"ok"))
    config = NotificationConfig(target="ops-chat")
    sink = NotificationSink.open(config, definition("notification", handler_timeout_seconds=30), stopping=lambda: False)

    def arrived() -> list[str]:
        texts = [one.json["attachments"][0]["text"] for one in chat.got]
        return [text.split()[1] for text in texts]

    def close() -> None:
        sink.close()
        receivers.close()

    return Opened("notification", sink, arrived, close)


def _open_console(path: Path) -> Opened:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    sink = ConsoleSink(descriptor)

    def close() -> None:
        sink.close()
        os.close(descriptor)

    return Opened("console", sink, lambda: [json.loads(line)["id"] for line in path.read_text().splitlines()], close)
