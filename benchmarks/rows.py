"""The table: every comparison that is made. The bars and their reasons are in docs/performance.md."""

from benchmarks.measures import bridging, contracts, latency, live, many, memory, publishing, reads, size, waiting
from benchmarks.row import Row
from benchmarks.values import Bar

FASTAPI = "FastAPI + Pydantic + redis.asyncio"

ROWS = (
    Row("memory", "idle memory of the server", FASTAPI, Bar(at_most=150), memory.idle),
    Row(
        "size",
        "memory of an entry in Redis (flat layout)",
        "bare XADD of the same stored fields",
        Bar(ratio_at_most=1.1),
        size.entry,
    ),
    Row(
        "publish",
        "validated publish, event loop, 32 connections",
        FASTAPI,
        Bar(ratio_at_least=5),
        publishing.event_loop_client,
    ),
    Row(
        "publish-keyed",
        "validated publish, with a key, where one is required",
        "the same server without a key, where access is open",
        Bar(ratio_at_least=0.9),
        publishing.with_a_key,
    ),
    Row(
        "publish-webdis",
        "validated publish, event loop, 32 connections",
        "webdis XADD (no validation)",
        Bar(ratio_at_least=0.4),
        publishing.beside_webdis,
    ),
    Row(
        "batch",
        "validated publish, 500 events a request",
        "redis-benchmark -P 50 XADD",
        Bar(ratio_at_least=0.3, at_least=100_000),
        publishing.batches,
    ),
    Row("messages", "GET /streams/{stream}/messages?count=10", FASTAPI, Bar(ratio_at_least=1), reads.messages),
    Row("info", "GET /streams/{stream}/info", FASTAPI, Bar(ratio_at_least=1), reads.info),
    Row("health", "GET /health", FASTAPI, Bar(ratio_at_least=1), reads.health),
    Row(
        "bridge",
        "bridge to a Python handler: read, decode, call, acknowledge",
        "bare redis-py XREADGROUP/XACK loop, COUNT 500",
        Bar(ratio_at_least=0.25),
        bridging.handler,
    ),
    Row(
        "bridge-client",
        "bridge to a Python handler: read, decode, call, acknowledge",
        "redis-py client loop, COUNT 10, an XACK for each",
        Bar(ratio_at_least=7),
        bridging.beside_client_loop,
    ),
    Row(
        "bridge-faststream",
        "bridge to a Python handler: read, decode, call, acknowledge",
        "FastStream, a stream subscriber",
        Bar(ratio_at_least=15),
        bridging.beside_faststream,
    ),
    Row(
        "bridge-ordered",
        "bridge with order: stream to a sink that does nothing: read, deliver one by one, acknowledge",
        "the same without an order",
        Bar(at_least=10_000),
        bridging.in_order,
    ),
    Row(
        "latency",
        "500 events/s: from when an event was due to the call of a bridge's handler, median",
        "-",
        Bar(at_most=5),
        latency.median,
    ),
    Row(
        "latency-p99",
        "500 events/s: from when an event was due to the call of a bridge's handler, 99th percentile",
        "-",
        Bar(at_most=25),
        latency.worst,
    ),
    Row(
        "live",
        "live tail, 500 who watch, 100 events/s: from publish to received, 99th percentile",
        "-",
        Bar(at_most=100),
        live.tail,
    ),
    Row(
        "webhook",
        "bridge to a webhook, 64 in flight: read, decode, sign, post, acknowledge",
        "bare loop of the same HTTP client, 64 in flight",
        Bar(ratio_at_least=0.7),
        bridging.webhook,
    ),
    Row(
        "publish-1000",
        "validated publish, by a server that has 1,000 streams and contracts",
        "the same with 10",
        Bar(ratio_at_least=0.9),
        many.publish(1_000),
    ),
    Row(
        "publish-10000",
        "validated publish, by a server that has 10,000 streams and contracts",
        "the same with 10",
        Bar(ratio_at_least=0.9),
        many.publish(many.MANY),
    ),
    Row(
        "start",
        "start of a server that has 10,000 streams and contracts, until it takes an event",
        "-",
        Bar(at_most=10),
        many.start,
    ),
    Row(
        "waiting",
        "giving out ten events that are due again, with 1,000,000 waiting",
        "the same with 10,000 waiting",
        Bar(ratio_at_most=1.2),
        waiting.lease,
    ),
    Row(
        "contract-check",
        "compatibility of two versions of the guide's largest schema, both ways",
        "-",
        Bar(at_most=5),
        contracts.check,
    ),
    Row(
        "contract-register", "registering a version against 100 earlier ones", "-", Bar(at_most=250), contracts.register
    ),
    Row(
        "contract-lookup",
        "GET /registry/schemas/ids/{id}",
        "GET /streams/{stream}/groups, another read by Django",
        Bar(ratio_at_least=1),
        contracts.lookup,
    ),
    Row(
        "back-test",
        "back-test of 10,000 events that all break a candidate",
        "-",
        Bar(at_most=2000),
        contracts.back_test,
    ),
    Row(
        "publish-spaced",
        "validated publish, JSON with spaces as Python's json writes it",
        FASTAPI,
        Bar(),
        publishing.event_loop_client_spaced,
    ),
    Row("publish-django", "validated publish, through Django REST framework", FASTAPI, Bar(), publishing.django_way),
)
