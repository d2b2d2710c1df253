"""`python -m benchmarks.gateway`: does each connection that watches five streams get every event, even while the web
server is killed again and again?

1,000 connections watch five streams each, to which 100 events a second are stored, in turn. At first the server runs
undisturbed; then it is killed (SIGKILL) and restarted 20 times, and every connection resumes at its position. Each must
get each event, once and in the order of its stream. Prints the latencies of events, and the server's memory.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import SubprocessError
from typing import Any

from redis import RedisError

from benchmarks import machine
from benchmarks.load.gateway_client import TRANSPORTS
from benchmarks.measures.live import MEGABYTE
from benchmarks.measures.memory import resident_bytes
from benchmarks.measures.rate import Failed
from benchmarks.report import RESULTS
from benchmarks.running import processor
from benchmarks.running.program import DidNotStart, Program, free_port
from benchmarks.running.synapse import ROOT
from benchmarks.stage import Stage, staged
from benchmarks.values import FULL

STREAMS = ["agi-decisions", "inference-events", "model-events", "platform-events", "training-events"]
SOCKETS, RATE, KILLS = 1000, 100, 20
# The limit of the 99th percentile of latency, for events stored while the server ran undisturbed.
MOST_MS = 100
# The limit of the growth of memory while the server runs undisturbed, in MB.
FLAT = 10
# Connections resume within 3 s after a kill (the longest `retry`); the rest is a margin.
_BETWEEN_KILLS = 6.0


def main() -> int:
    """Run the benchmark and print its results. Return 1 when a connection missed an event or got it late, or memory
    grew."""
    options = _options()
    # A terminated run still has to end the programs that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with staged(FULL) as stage:
        facts = machine.facts(stage)
        try:
            found = measure(stage, options)
        except (Failed, DidNotStart, SubprocessError, RedisError, OSError) as fault:
            print(f"FAILED: {fault}", file=sys.stderr)
            return 1
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-gateway.json"
    path.write_text(json.dumps({"machine": facts, **found}, indent=1))
    print(json.dumps(found, indent=1))
    return 1 if found["faults"] else 0


def measure(stage: Stage, options: argparse.Namespace) -> dict[str, Any]:
    """Open all connections, and kill the server while they watch."""
    port, server_mb, cpu = free_port(), list[float](), 0.0
    order = {
        "url": f"http://127.0.0.1:{port}",
        "redis": stage.valkey.endpoint.url,
        "streams": STREAMS,
        "sockets": options.sockets,
        "rate": RATE,
        "transport": options.transport,
    }
    # All connections belong to one caller.
    shares = {"SYNAPSE_SHARES": "open-connections=100:100,live-seats=100:100", "SYNAPSE_CONNECTIONS": "4096"}
    shares["SYNAPSE_LIVE_WATCHERS"] = str(max(options.sockets, SOCKETS))
    for stream in STREAMS:
        stage.valkey.fresh(stream)
    with stage.another_synapse(port, **shares) as server, _clients(order) as client:
        _line(client)
        server_mb, cpu = _left_alone(server, options.seconds)
        if options.kills:
            os.kill(server.pid, signal.SIGKILL)
        after_kills = [server_mb[-1]]
        for number in range(options.kills):
            with stage.another_synapse(port, **shares) as again:
                time.sleep(_BETWEEN_KILLS)
                after_kills.append(resident_bytes(again.pid) / MEGABYTE)
                print(f"kill {number + 1}: {after_kills[-1]:.0f} MB", file=sys.stderr, flush=True)
                if number + 1 < options.kills:
                    os.kill(again.pid, signal.SIGKILL)
                    continue
                found = _result(client)
        if not options.kills:
            found = _result(client)
    return {
        "transport": options.transport,
        "sockets": options.sockets,
        **found,
        "kills": options.kills,
        "server, MB (left alone: first, last)": [round(server_mb[0], 1), round(server_mb[-1], 1)],
        "server, MB (after the kills: least, most)": [round(min(after_kills), 1), round(max(after_kills), 1)],
        "processor time of the server, left alone, share": round(cpu / options.seconds, 2),
        "faults": _faults(found, options, server_mb),
    }


def _left_alone(server: Program, seconds: float) -> tuple[list[float], float]:
    """Return the server's memory at the start and each second, in MB, and its processor time."""
    used, held = processor.seconds(server.pid), list[float]()
    end = time.monotonic() + seconds
    # Connections allocate some memory only with the first events.
    time.sleep(min(5.0, seconds / 4))
    while not held or time.monotonic() < end:
        held.append(resident_bytes(server.pid) / MEGABYTE)
        time.sleep(1)
    return held, processor.seconds(server.pid) - used


def _faults(found: dict[str, Any], options: argparse.Namespace, held: list[float]) -> list[str]:
    faults = []
    if found["received"] != found["published"] * options.sockets or found["out_of_order"]:
        faults.append("a connection did not get each event once and in order")
    if found["steady_p99_ms"] > MOST_MS:
        faults.append(f"the 99th percentile is above {MOST_MS} ms")
    if held[-1] > held[0] + FLAT:
        faults.append("memory grew")
    return faults


@contextmanager
def _clients(order: dict[str, Any]) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "benchmarks.load.gateway_client"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdin is not None
        try:
            client.stdin.write(json.dumps(order) + "\n")
            client.stdin.flush()
            yield client
        finally:
            client.terminate()


def _line(client: "subprocess.Popen[str]") -> str:
    assert client.stdout is not None
    if not (line := client.stdout.readline()):
        raise Failed("the clients ended early")
    return line


def _result(client: "subprocess.Popen[str]") -> dict[str, Any]:
    assert client.stdin is not None
    client.stdin.write("end\n")
    client.stdin.flush()
    found: dict[str, Any] = json.loads(_line(client))
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--sockets", type=int, default=SOCKETS, help=f"how many connections ({SOCKETS})")
    parser.add_argument("--seconds", type=float, default=30, help="how long the server is left alone first (30)")
    parser.add_argument("--kills", type=int, default=KILLS, help=f"how often it is killed then ({KILLS})")
    parser.add_argument("--transport", choices=sorted(TRANSPORTS), default="sse", help="how connections watch (sse)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
