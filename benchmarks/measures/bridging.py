"""How fast bridges deliver events to sinks."""

import json
import secrets
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from benchmarks.events import EVENT, STREAM, compact
from benchmarks.load.values import Result
from benchmarks.measures.rate import Contender, Failed, compare
from benchmarks.running.bridge import HANDLER
from benchmarks.running.program import LOOPBACK
from benchmarks.running.synapse import run_module
from benchmarks.stage import Stage
from benchmarks.values import Measured, NotMeasured

# The events of a round, for each of its seconds: about as many as a bridge delivers in a second.
EVENTS_A_SECOND = 25_000
# The same for webhooks.
POSTS_A_SECOND = 8_000
IN_FLIGHT = 64
_ALLOWED = {"SYNAPSE_HANDLERS": HANDLER, "SYNAPSE_WEBHOOK_ALLOW": LOOPBACK}
_SECRET = {"SYNAPSE_SECRET_BENCHMARK": "whsec_YSBzZWNyZXQgdGhhdCBub2JvZHkgaGFzIHRvIGtlZXA="}
_AT_ONCE = 10_000


def handler(stage: Stage) -> Measured:
    """Read, decode, call a Python function in its own process, acknowledge; compared with only reading and
    acknowledging.
    """
    words = ["benchmarks.peers.bare_reader", stage.valkey.endpoint.url, STREAM]
    return compare(stage, "events/s", lambda: _bridge(stage), lambda: _reader(stage, "bare loop", words))


def beside_client_loop(stage: Stage) -> Measured:
    """Read and acknowledge, compared with a loop that reads ten events at a time and acknowledges each separately."""
    return compare(stage, "events/s", lambda: _bridge(stage), lambda: _one_by_one(stage, "client_loop", 10_000))


def beside_faststream(stage: Stage) -> Measured:
    """Deliver to a handler, compared with a stream subscriber of FastStream."""

    def peer() -> Contender:
        if find_spec("faststream") is None:
            raise NotMeasured("FastStream is not installed (requirements-bench.txt)")
        return _one_by_one(stage, "faststream_reader", 5_000)

    return compare(stage, "events/s", lambda: _bridge(stage), peer)


def in_order(stage: Stage) -> Measured:
    """Read, deliver to a sink that does nothing, acknowledge, in the order of the stream; compared with no order."""

    def contender(order: str) -> Contender:
        return _reader(stage, f"order: {order}", ["benchmarks.running.bridge", STREAM, "nowhere", order])

    return compare(stage, "events/s", lambda: contender("stream"), lambda: contender("none"))


def with_a_log(log: str, *, fails: bool = False) -> Callable[[Stage], Measured]:
    """Return the measure of a bridge with a delivery log, compared with none: to a handler or, where one in twenty
    events `fails` once, to a sink in the bridge's process.
    """
    chosen, suffix = (["nowhere", "none"], ",fail") if fails else ([], "")

    def contender(stage: Stage, mode: str) -> Contender:
        words = ["benchmarks.running.bridge", f"log={mode}{suffix}", STREAM, *chosen]
        return _reader(stage, f"delivery_log: {mode}", words)

    return lambda stage: compare(stage, "events/s", lambda: contender(stage, log), lambda: contender(stage, "off"))


def webhook(stage: Stage) -> Measured:
    """Read, decode, sign, post, acknowledge; compared with only posting, with the same client and as many requests in
    flight.
    """
    config = {"url": f"{stage.receiver.url}/", "secret": "benchmark", "body": "event", "concurrency": IN_FLIGHT}

    def ours() -> Contender:
        return _reader(
            stage,
            "bridge",
            ["benchmarks.running.bridge", STREAM, "webhook", json.dumps(config)],
            a_second=POSTS_A_SECOND,
        )

    def peer() -> Contender:
        return Contender(name="bare loop", send=lambda seconds: _posted(stage, POSTS_A_SECOND * seconds))

    return compare(stage, "events/s", ours, peer)


def _bridge(stage: Stage) -> Contender:
    return _reader(stage, "bridge", ["benchmarks.running.bridge", STREAM])


def _reader(stage: Stage, name: str, words: Sequence[str], *, a_second: int = EVENTS_A_SECOND) -> Contender:
    """Return a consumer that reads the stream to its end in a new group."""

    def send(seconds: int) -> Result:
        _fill(stage, a_second * seconds)
        return _done(stage, [*words, _new_group()], count=stage.valkey.added(STREAM))

    return Contender(name=name, send=send, stream=STREAM)


def _one_by_one(stage: Stage, program: str, most_a_second: int) -> Contender:
    """Return a peer that acknowledges each event separately, at the speed of the disk, so that it runs for a time and
    not for a number of events.
    """

    def send(seconds: int) -> Result:
        _fill(stage, most_a_second * seconds)
        words = [f"benchmarks.peers.{program}", str(seconds), stage.valkey.endpoint.url, STREAM, _new_group()]
        return _done(stage, words, count=1)

    return Contender(name=program, send=send, stream=STREAM)


def _fill(stage: Stage, left: int) -> None:
    while left > 0:
        stage.valkey.fill(STREAM, [stage.stored_fields] * min(left, _AT_ONCE))
        left -= _AT_ONCE


def _new_group() -> str:
    return f"group-{secrets.token_hex(4)}"


def _posted(stage: Stage, count: int) -> Result:
    """Post a number of equal events to the receiver."""
    words = ["benchmarks.peers.bare_poster", f"{stage.receiver.url}/", str(count), str(IN_FLIGHT)]
    return _done(stage, words, count=count, said=compact(EVENT).decode())


def _done(stage: Stage, words: Sequence[str], *, count: int, said: str = "") -> Result:
    found = json.loads(run_module({**stage.settings, **_SECRET, **_ALLOWED}, *words, said=said))
    if found["events"] < count:
        raise Failed(f"{words[0]} did {found['events']} events of {count}")
    return Result(requests=found["events"], seconds=found["seconds"], errors=0, p50_ms=0, p99_ms=0)
