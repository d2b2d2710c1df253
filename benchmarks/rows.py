"""The table: every comparison that is made. The bars and their reasons are in docs/performance.md."""

from benchmarks.measures import bridging, contracts, live, memory, publishing, reads, size
from benchmarks.values import Bar, Row

FASTAPI = "FastAPI + Pydantic + redis.asyncio"

ROWS = (
    Row(
        name="memory",
        work="idle memory of the server",
        peer=FASTAPI,
        bar=Bar(at_most=150),
        measure=memory.idle,
    ),
    Row(
        name="size",
        work="memory of an entry in Redis (flat layout)",
        peer="bare XADD of the same stored fields",
        bar=Bar(ratio_at_most=1.1),
        measure=size.entry,
    ),
    Row(
        name="publish",
        work="validated publish, express lane, 32 connections",
        peer=FASTAPI,
        bar=Bar(ratio_at_least=5),
        measure=publishing.express_lane,
    ),
    Row(
        name="publish-keyed",
        work="same, with a key, where one is required",
        peer="the same server without a key, where access is open",
        bar=Bar(ratio_at_least=0.9),
        measure=publishing.with_a_key,
    ),
    Row(
        name="publish-spaced",
        work="same, JSON with spaces as Python's json writes it",
        peer=FASTAPI,
        bar=Bar(),
        measure=publishing.express_lane_spaced,
    ),
    Row(
        name="publish-django",
        work="same, through Django REST framework",
        peer=FASTAPI,
        bar=Bar(),
        measure=publishing.django_lane,
    ),
    Row(
        name="publish-webdis",
        work="validated publish, express lane, 32 connections",
        peer="webdis XADD (no validation)",
        bar=Bar(ratio_at_least=0.4),
        measure=publishing.beside_webdis,
    ),
    Row(
        name="batch",
        work="validated publish, 500 events a request",
        peer="redis-benchmark -P 50 XADD",
        bar=Bar(ratio_at_least=0.3, at_least=100_000),
        measure=publishing.batches,
    ),
    Row(
        name="messages",
        work="GET /streams/{stream}/messages?count=10",
        peer=FASTAPI,
        bar=Bar(ratio_at_least=1),
        measure=reads.messages,
    ),
    Row(
        name="info",
        work="GET /streams/{stream}/info",
        peer=FASTAPI,
        bar=Bar(ratio_at_least=1),
        measure=reads.info,
    ),
    Row(
        name="health",
        work="GET /health",
        peer=FASTAPI,
        bar=Bar(ratio_at_least=1),
        measure=reads.health,
    ),
    Row(
        name="bridge",
        work="bridge to a Python handler: read, decode, call, settle",
        peer="bare redis-py XREADGROUP/XACK loop, COUNT 500",
        bar=Bar(ratio_at_least=0.25),
        measure=bridging.handler,
    ),
    Row(
        name="bridge-client",
        work="the same",
        peer="redis-py client loop, COUNT 10, an XACK for each",
        bar=Bar(ratio_at_least=7),
        measure=bridging.beside_client_loop,
    ),
    Row(
        name="bridge-faststream",
        work="the same",
        peer="FastStream, a stream subscriber",
        bar=Bar(ratio_at_least=15),
        measure=bridging.beside_faststream,
    ),
    Row(
        name="live",
        work="live tail, 500 who watch, 100 events/s: from publish to received, 99th percentile",
        peer="-",
        bar=Bar(at_most=100),
        measure=live.tail,
    ),
    Row(
        name="webhook",
        work="bridge to a webhook, 64 in flight: read, decode, sign, post, settle",
        peer="bare loop of the same HTTP client, 64 in flight",
        bar=Bar(ratio_at_least=0.7),
        measure=bridging.webhook,
    ),
    Row(
        name="contract-check",
        work="compatibility of two versions of the guide's largest schema, both ways",
        peer="-",
        bar=Bar(at_most=5),
        measure=contracts.check,
    ),
    Row(
        name="contract-register",
        work="registering a version against 100 earlier ones",
        peer="-",
        bar=Bar(at_most=250),
        measure=contracts.register,
    ),
    Row(
        name="contract-lookup",
        work="GET /registry/schemas/ids/{id}",
        peer="GET /streams/{stream}/groups, another read by Django",
        bar=Bar(ratio_at_least=1),
        measure=contracts.lookup,
    ),
    Row(
        name="back-test",
        work="back-test of 10,000 events that all break a candidate",
        peer="-",
        bar=Bar(at_most=2000),
        measure=contracts.back_test,
    ),
)
