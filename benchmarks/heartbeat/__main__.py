"""Send each kind of request, or those that the command line names, and print how long it delayed all others.

The longest gap by the clock includes the time taken by other programs of the machine; the processor time of the event
loop's thread between two beats does not. Each kind is sent for some seconds; the result is the median of several tries.
"""

import argparse
import asyncio
import contextlib
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import redis
import uvloop
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from benchmarks import machine
from benchmarks.events import STREAM, entry_fields
from benchmarks.heartbeat.requests import KINDS, LARGE, Kind
from benchmarks.heartbeat.server import Gaps
from benchmarks.running import heartbeat
from benchmarks.running.many import Crowd
from benchmarks.stage import staged
from benchmarks.values import QUICK

# The longest time for which a request may delay the others.
LIMIT_MS = 25.0
ENTRIES, LARGE_ENTRIES = 20_000, 1_000
CATALOG = Path(__file__).with_name("catalog.yaml")


def main() -> int:
    """Run the benchmark. Return 1 when the event loop's processor time between two beats exceeds the limit."""
    options = _options()
    with staged(QUICK) as stage, TemporaryDirectory(prefix="synapse-heartbeat-") as folder:
        stage.manage("catalog", "apply", str(CATALOG))
        crowd: Crowd = stage.crowd(options.streams)
        _fill(crowd.valkey.client)
        with heartbeat.serving("heartbeat", Path(folder), crowd.settings) as (server, gaps):
            print("\n".join(f"{name}: {fact}" for name, fact in machine.facts(stage).items()))
            print(f"{'requests':24} {'longest gap, ms':>16} {'of the loop, ms':>16}  answers", flush=True)
            held = [_measure(kind, server.url, gaps, options) for kind in KINDS if _is_asked(kind, options.only)]
    return 0 if all(held) else 1


def _is_asked(kind: Kind, only: list[str] | None) -> bool:
    return not only or any(words in kind.name for words in only)


def _fill(client: "redis.Redis") -> None:
    """Store many events, and some large ones."""
    fields = entry_fields()
    large = {"event_type": "free-form", "text": "x" * 60_000, "list": b"[" + b"1," * 5000 + b"1]", "synapse_version": 0}
    with client.pipeline(transaction=False) as pipeline:
        for _ in range(ENTRIES):
            pipeline.xadd(STREAM, {**fields, "synapse_version": 1})
        for _ in range(LARGE_ENTRIES):
            pipeline.xadd(LARGE, large)  # type: ignore[arg-type]
        pipeline.execute()


def _measure(kind: Kind, url: str, gaps: Gaps, options: argparse.Namespace) -> bool:
    answers: Counter[str] = Counter()
    found = []
    for _ in range(options.tries):
        time.sleep(0.2)
        gaps.clear()
        answers += uvloop.run(_send(kind, url, options.seconds))
        found.append(gaps.read())
    elapsed, taken = (statistics.median(each) * 1000 for each in zip(*found, strict=True))
    is_expected = all(answer.isdigit() and int(answer) in kind.expected for answer in answers)
    holds = taken <= LIMIT_MS
    said = "" if holds else "  TOO LONG"
    said += "" if is_expected else "  UNEXPECTED"
    print(f"{kind.name:24} {elapsed:16.1f} {taken:16.1f}  {dict(answers)}{said}", flush=True)
    return holds and is_expected


async def _send(kind: Kind, url: str, seconds: float) -> Counter[str]:
    answers: Counter[str] = Counter()
    until = time.monotonic() + seconds

    async def repeat(session: ClientSession) -> None:
        while True:
            answers[await _ask(kind, url, session)] += 1
            if time.monotonic() >= until:
                return

    async with ClientSession(connector=TCPConnector(limit=0), timeout=ClientTimeout(total=120)) as session:
        await asyncio.gather(*(repeat(session) for _ in range(kind.callers)))
    return answers


async def _ask(kind: Kind, url: str, session: ClientSession) -> str:
    headers = {"Content-Type": kind.content_type}
    try:
        async with session.request(kind.method, url + kind.path, data=kind.body or None, headers=headers) as answer:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(kind.seconds):
                    async for _ in answer.content.iter_any():
                        pass
            return str(answer.status)
    except (ClientError, OSError, TimeoutError) as error:
        return type(error).__name__


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.heartbeat", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2, help="how long each kind is sent in a try (2)")
    parser.add_argument("--tries", type=int, default=3, help="how often each kind is tried (3)")
    parser.add_argument("--streams", type=int, default=1000, help="how many streams there are (1,000)")
    parser.add_argument("--only", nargs="+", metavar="WORDS", help="only kinds whose names hold one of these")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
