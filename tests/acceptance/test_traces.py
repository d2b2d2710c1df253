"""One event's way through a whole installation is one linked story for a collector: tried, dead, redriven, copied."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.hub import Hub, running_hub
from tests.bridges.receiver import Receiver, answer
from tests.bridges.sinks import SECRET
from tests.patience import eventually
from tests.tracing.collector import Collector, attributes_of

pytestmark = pytest.mark.process

CATALOG = """
streams: [{name: orders}, {name: copies}]
bridges:
  - name: orders-to-shop
    stream: orders
    group: shop
    sink: webhook
    config: {url: "%(shop)s", secret: shop}
    max_attempts: 2
    backoff_base_seconds: 0
  - {name: orders-to-copies, stream: orders, group: copies, sink: stream, config: {stream: copies}}
  - name: copies-to-archive
    stream: copies
    group: archive
    sink: webhook
    config: {url: "%(archive)s", secret: shop}
    tracing: parent
"""
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def receivers() -> Iterator[tuple[Receiver, Receiver]]:
    shop, archive = Receiver(), Receiver()
    # Two attempts fail, then the event is a dead letter; once it is redriven, it is taken.
    shop.answers = lambda number: answer(503 if number < 2 else 204)
    yield shop, archive
    shop.close()
    archive.close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture
def hub(tmp_path: Path, collector: Collector, receivers: tuple[Receiver, Receiver]) -> Iterator[Hub]:
    shop, archive = receivers
    file = tmp_path / "catalog.yaml"
    file.write_text(CATALOG % {"shop": shop.url, "archive": archive.url})
    others = {
        "SYNAPSE_CATALOG": str(file),
        "SYNAPSE_WEBHOOK_ALLOW": "127.0.0.1",
        "SYNAPSE_SECRET_SHOP": SECRET,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with running_hub(tmp_path, others) as running:
        yield running


def ids(span: Any) -> tuple[str, str]:
    return span.trace_id.hex(), span.span_id.hex()


def links(span: Any) -> list[tuple[str, str]]:
    return [ids(link) for link in span.links]


def test_a_collector_sees_the_whole_way_of_an_event(
    hub: Hub, collector: Collector, receivers: tuple[Receiver, Receiver]
) -> None:
    shop, archive = receivers
    event = {"event_type": "order-placed", "customer": "anna@example.org"}

    def spans(name: str, group: str = "") -> list[Any]:
        found = [span for span in collector.spans if span.name == name]
        if group:
            found = [one for one in found if attributes_of(one)["messaging.consumer.group.name"] == group]
        return sorted(found, key=lambda span: span.start_time_unix_nano)

    published = httpx.post(f"{hub.url}/events/orders", json=event, headers={"traceparent": CALLER})
    eventually(lambda: len(spans("process orders", "shop")) == 2 and len(archive.got) == 1)
    letters = httpx.get(f"{hub.url}/streams/orders/groups/shop/dead-letters").json()["dead_letters"]
    redriven = httpx.post(
        f"{hub.url}/streams/orders/groups/shop/dead-letters/redrive", json={"ids": [letters[0]["id"]]}
    )
    eventually(lambda: len(spans("process orders", "shop")) == 3 and spans("process copies"))

    assert (published.status_code, redriven.status_code) == (201, 200)
    (send,), (copied,), (forwarded,), (arrived,) = (
        spans("send orders"),
        spans("process orders", "copies"),
        spans("send copies"),
        spans("process copies"),
    )
    attempts = spans("process orders", "shop")
    assert ids(send)[0] == CALLER.split("-")[1]
    assert send.parent_span_id.hex() == CALLER.split("-")[2]
    assert [attributes_of(span)["synapse.delivery.outcome"] for span in attempts] == ["retry", "dead", "delivered"]
    assert all(links(span) == [ids(send)] for span in [*attempts, copied])
    assert (forwarded.trace_id, forwarded.parent_span_id) == (copied.trace_id, copied.span_id)
    assert (arrived.trace_id, arrived.parent_span_id) == (forwarded.trace_id, forwarded.span_id)
    # What the receivers got belongs to the attempts.
    assert [request.headers["traceparent"].split("-")[1:3] for request in [*shop.got, *archive.got]] == [
        list(ids(span)) for span in [*attempts, arrived]
    ]
    assert letters[0]["trace_id"] == ids(send)[0]
    assert any(span.name.startswith("POST /streams/") and span.kind == 2 for span in collector.spans)
    assert b"anna" not in b"".join(span.SerializeToString() for span in collector.spans)
    eventually(lambda: any(metric.name == "synapse_events_published_total" for metric in collector.metrics))
