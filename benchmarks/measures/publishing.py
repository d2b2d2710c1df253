"""How fast events are checked and stored."""

from collections.abc import Sequence

from benchmarks import events
from benchmarks.load import redis_benchmark
from benchmarks.load.values import NUMBER, Request
from benchmarks.measures.rate import Contender, Failed, compare, over_http
from benchmarks.running import fastapi, webdis
from benchmarks.running.program import Program
from benchmarks.stage import Stage
from benchmarks.values import Measured

CONNECTIONS = 32
# Few connections, because a batch keeps a worker busy for long, and more would only wait.
BATCH_CONNECTIONS = 4
RATE = "events/s"
# A service of the catalog that may publish to the stream.
PUBLISHER = "cyrex"
WEBDIS_KIND = "application/x-www-form-urlencoded"


def event_loop_client(stage: Stage) -> Measured:
    """One event a request, answered on the event loop."""
    body = events.compact(events.EVENT)
    return compare(stage, RATE, lambda: _synapse(stage, stage.synapse, body), lambda: _fastapi(stage, body))


def with_a_key(stage: Stage) -> Measured:
    """One event a request with a required key, compared with the same server with open access."""
    body = events.compact(events.EVENT)

    def ours() -> Contender:
        key = stage.key_of(PUBLISHER)
        request = Request(url=_url(stage.closed_synapse), method="POST", body=body, key=key)
        return over_http(stage, stage.closed_synapse, request, connections=CONNECTIONS, stream=events.STREAM)

    return compare(stage, RATE, ours, lambda: _synapse(stage, stage.synapse, body))


def cloudevents(stage: Stage) -> Measured:
    """The same event as a CloudEvent, each with another id and stored once, beside the event, stored each time."""
    plain = events.compact(events.EVENT)
    return compare(stage, RATE, lambda: _cloudevent(stage), lambda: _synapse(stage, stage.synapse, plain))


def cloudevents_beside_once(stage: Stage) -> Measured:
    """The same CloudEvent beside the event with an Idempotency-Key: both are stored once."""
    return compare(stage, RATE, lambda: _cloudevent(stage), lambda: _once(stage))


def event_loop_client_spaced(stage: Stage) -> Measured:
    """One event a request, from clients whose JSON has spaces."""
    body = events.spaced(events.EVENT)
    return compare(stage, RATE, lambda: _synapse(stage, stage.synapse, body), lambda: _fastapi(stage, body))


def django_way(stage: Stage) -> Measured:
    """One event a request, answered by Django REST framework in the pool of threads."""
    body = events.compact(events.EVENT)
    return compare(stage, RATE, lambda: _synapse(stage, stage.django_only, body), lambda: _fastapi(stage, body))


def beside_webdis(stage: Stage) -> Measured:
    """One event a request, compared with a server in C that checks nothing."""

    def peer() -> Contender:
        url = f"{stage.webdis.url}/"
        request = Request(url=url, method="POST", body=webdis.xadd(stage.stored_fields), kind=WEBDIS_KIND)
        return over_http(stage, stage.webdis, request, connections=CONNECTIONS, stream=webdis.STREAM)

    body = events.compact(events.EVENT)
    return compare(stage, RATE, lambda: _synapse(stage, stage.synapse, body), peer)


def batches(stage: Stage) -> Measured:
    """Many events a request, compared with the rate of a pipeline into Redis."""

    def ours() -> Contender:
        body = events.compact(events.varied(events.BATCH))
        request = Request(url=_url(stage.synapse), method="POST", body=body)
        size = events.BATCH
        return over_http(
            stage, stage.synapse, request, connections=BATCH_CONNECTIONS, stream=events.STREAM, events=size
        )

    def peer() -> Contender:
        stream = "bare-inference-events"
        load = redis_benchmark.PipelinedAdd(
            program=redis_benchmark.binary(),
            redis=stage.valkey.endpoint,
            stream=stream,
            fields=stage.stored_fields,
            pipeline=50,
        )
        return Contender(name="redis-benchmark", send=load.send, stream=stream)

    return compare(stage, RATE, ours, peer)


def _synapse(stage: Stage, server: Program, body: bytes) -> Contender:
    request = Request(url=_url(server), method="POST", body=body)
    return over_http(stage, server, request, connections=CONNECTIONS, stream=events.STREAM)


def _cloudevent(stage: Stage) -> Contender:
    body = events.compact(events.cloudevent(NUMBER))
    request = Request(url=_url(stage.synapse), method="POST", body=body, kind="application/cloudevents+json")
    return over_http(stage, stage.synapse, request, connections=CONNECTIONS, stream=events.STREAM)


def _once(stage: Stage) -> Contender:
    body = events.compact(events.EVENT)
    request = Request(url=_url(stage.synapse), method="POST", body=body, idempotency_key=NUMBER)
    return over_http(stage, stage.synapse, request, connections=CONNECTIONS, stream=events.STREAM)


def _fastapi(stage: Stage, body: bytes) -> Contender:
    _check_same_work(stage, body)
    request = Request(url=_url(stage.fastapi), method="POST", body=body)
    return over_http(stage, stage.fastapi, request, connections=CONNECTIONS, stream=fastapi.STREAM)


def _check_same_work(stage: Stage, body: bytes) -> None:
    """Check that the peer stores the same fields as Synapse."""
    status, answer = stage.fastapi.ask("POST", f"/events/{events.STREAM}", body)
    if status != 201:
        raise Failed(f"fastapi answered a publish with {status}: {answer[:200].decode(errors='replace')}")
    theirs, ours = (_as_pairs(parts) for parts in (stage.valkey.last_fields(fastapi.STREAM), stage.stored_fields))
    if theirs != ours:
        raise Failed(f"fastapi stores {theirs}, Synapse {ours}")


def _as_pairs(parts: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _url(server: Program) -> str:
    return f"{server.url}/events/{events.STREAM}"
