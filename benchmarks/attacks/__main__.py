"""Run the attacks that the command line names, all by default, and print a table of their effect on the bystander."""

import argparse
import json
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.attacks.attackers import ATTACKS
from benchmarks.events import EVENT, STREAM, compact
from benchmarks.load.values import Request
from benchmarks.measures.memory import MEGABYTE, resident_bytes
from benchmarks.measures.publishing import PUBLISHER
from benchmarks.running.program import Program
from benchmarks.stage import Stage, staged
from benchmarks.values import QUICK

CATALOG = Path(__file__).with_name("catalog.yaml")
# The service in the catalog whose key the attackers have.
ATTACKER = "rule-engine"
# The person whose session the attackers have.
PERSON = "attacker"
HEALTH_P99_MS, PUBLISH_P99_MS, MEMORY_MB = 50, 100, 50
ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> int:
    """Return 1 when the bystander was refused, waited for too long, or the server's memory grew too far."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with staged(QUICK) as stage:
        print("\n".join(f"{name}: {fact}" for name, fact in machine.facts(stage).items()))
        print(f"{'attack':20} {'healthz p50/p99/max ms':24} {'publish p50/p99/max ms':24} {'failures':10} memory")
        stage.manage("catalog", "apply", str(CATALOG))
        keys = {"key": stage.key_of(PUBLISHER), "hostile_key": stage.key_of(ATTACKER), **_a_person(stage)}
        held = [
            _under(stage, name, {**keys, "seconds": options.seconds})
            for name in ("nothing", *(options.only or ATTACKS))
        ]
    return 0 if all(held) else 1


def _a_person(stage: Stage) -> dict[str, str]:
    """Create a person with the right to log in; return name and password."""
    password = secrets.token_urlsafe(16)
    words = ("createsuperuser", "--noinput", "--username", PERSON, "--email", "attacker@example.com")
    stage.manage(*words, DJANGO_SUPERUSER_PASSWORD=password)
    return {"person": PERSON, "password": password}


def _under(stage: Stage, name: str, order: Mapping[str, Any]) -> bool:
    """Attack a fresh server. Return whether the bystander was served throughout."""
    answers: dict[str, int] = {}
    with stage.another_closed_synapse() as server:
        order = {**order, "url": server.url}
        # Memory that the first requests allocate for caches does not count as growth.
        stage.load.send(
            Request(url=f"{server.url}/events/{STREAM}", method="POST", body=compact(EVENT), key=order["key"]), 32, 3
        )
        _run("bystander", {**order, "seconds": 2})
        memory = _Memory(server)
        attack = threading.Thread(target=lambda: answers.update(_run("attackers", order, name)))
        if name in ATTACKS:
            attack.start()
        seen = _run("bystander", order)
        if name in ATTACKS:
            attack.join()
        grown = memory.stop()
    return _report(name, seen, answers, grown)


def _report(name: str, seen: Mapping[str, Any], answers: Mapping[str, int], grown: float) -> bool:
    health, publish = seen["health"], seen["publish"]
    failures = sum(health["failures"].values()) + sum(publish["failures"].values())
    holds = (
        not failures
        and health["p99_ms"] < HEALTH_P99_MS
        and publish["p99_ms"] < PUBLISH_P99_MS
        and (grown < MEMORY_MB or name not in ATTACKS)
    )
    cells = ["{p50_ms:.1f} / {p99_ms:.1f} / {max_ms:.0f}".format(**kind) for kind in (health, publish)]
    print(f"{name:20} {cells[0]:24} {cells[1]:24} {failures:<10} {grown:+.0f} MB  {'holds' if holds else 'FAILS'}")
    print(f"    attacker: {dict(answers)}" + (f"; bystander: {seen}" if failures else ""), flush=True)
    return holds


class _Memory:
    """The rise of the server's memory since the start, in MB, measured ten times a second."""

    def __init__(self, server: Program) -> None:
        self._pid = server.pid
        self._first = self._most = resident_bytes(self._pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self._most = max(self._most, resident_bytes(self._pid))

    def stop(self) -> float:
        self._over.set()
        self._thread.join()
        return (self._most - self._first) / MEGABYTE


def _run(module: str, order: Mapping[str, Any], *words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.attacks.{module}", *words],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=order["seconds"] + 60,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attacks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="how long each attack lasts (30)")
    parser.add_argument("--only", nargs="+", choices=list(ATTACKS), metavar="ATTACK", help="only these")
    return parser.parse_args()


if __name__ == "__main__":
    started = time.monotonic()
    status = main()
    print(f"{time.monotonic() - started:.0f} s")
    sys.exit(status)
