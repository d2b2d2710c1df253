"""`python -m benchmarks.agreement`: do statistics and metrics agree while processes are killed?

Starts `manage.py up` in a temporary folder with a webhook whose receiver fails half of the time, publishes valid and
invalid events, and kills the web server, the bridges' process and Redis five times each within ten minutes. The growth
of each counter of `/metrics` between two scrapes has to equal that of the samples between them, except for one sample
at each end; and no gap may be longer than ten seconds.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from synapse.statistics.series import SERIES
from tests.acceptance.hub import Hub
from tests.bridges.receiver import Answer, Receiver, answer
from tests.ports import free_port

STREAM = "orders"
CATALOG = """
streams:
  - name: orders
bridges:
  - name: orders-to-shop
    stream: orders
    group: shop
    sink: webhook
    config: {{url: "{url}", secret: shop}}
    max_attempts: 3
    retry_schedule: [1]
    lease_seconds: 10
    handler_timeout_seconds: 5
"""
STEP, LONGEST_GAP = 5, 10
# The seconds by which a sample may be late on a busy machine.
LATE = 4.0
# The compared series by their metric, both as sums over labels. In this benchmark, the length only grows.
COMPARED = {each.metric: each.name for each in SERIES if each.metric and each.kind == "counter"} | {
    "synapse_stream_events": "length"
}
Row = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Scrape:
    """The metrics, by their series: `asked` and `answered` in seconds since 1970."""

    asked: float
    answered: float
    values: Mapping[str, float]


@dataclass(slots=True)
class Report:
    """The result: the number of comparisons and the total growth, by series; a sentence on each disagreement; and the
    longest gap in seconds.
    """

    compared: Counter[str] = field(default_factory=Counter)
    growth: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    longest_gap: int = 0


def compare(scrapes: Sequence[Scrape], begins: int, rows: Mapping[str, Row]) -> Report:
    """Compare scrapes with the samples of the same time.

    Args:
        scrapes: the scrapes, in the order of time.
        begins: when the first sample was taken.
        rows: the growth of each series in the step before each sample, None where that is unknown.
    """
    report = Report()
    for before, after in pairwise(scrapes):
        for name, row in rows.items():
            # The earliest and the latest time at which the step of each value began and ended.
            ends = [begins + place * STEP for place in range(len(row))]
            timed = [(end - STEP, end + LATE, value) for end, value in zip(ends, row, strict=True)]
            within = [value for begun, ended, value in timed if begun >= before.answered and ended <= after.asked]
            around = [value for begun, ended, value in timed if ended >= before.asked and begun <= after.answered]
            if not within or None in around:
                continue
            least, most = sum(filter(None, within)), sum(filter(None, around))
            grown = after.values.get(name, 0) - before.values.get(name, 0)
            report.compared[name] += 1
            report.growth[name] += round(grown)
            if not least <= grown <= most:
                expected = f"{least:.0f} to {most:.0f}"
                report.wrong.append(f"{name} grew by {grown:.0f} until {after.asked:.0f}, not by {expected}")
    return report


def longest_gap(row: Row) -> int:
    """Return the longest time between two samples, in seconds."""
    known = [place for place, value in enumerate(row) if value is not None]
    return max(((later - place - 1) * STEP for place, later in pairwise(known)), default=0)


def run(folder: Path, *, seconds: float, kills: int, say: Callable[[str], None] = print) -> Report:
    """Publish, scrape and kill processes for some seconds, and compare."""
    receiver = Receiver()
    receiver.answers = _fails_often
    catalog = folder / "catalog.yaml"
    catalog.write_text(CATALOG.format(url=receiver.url))
    secret = f"whsec_{b64encode(bytes(32)).decode()}"
    others = {"SYNAPSE_CATALOG": str(catalog), "SYNAPSE_WEBHOOK_ALLOW": "127.0.0.1", "SYNAPSE_SECRET_SHOP": secret}
    hub = Hub(folder=folder, port=free_port(), others=others, from_nothing=True)
    hub.start()
    try:
        return _run(hub, seconds=seconds, kills=kills, say=say)
    finally:
        hub.stop()
        receiver.close()


def _fails_often(number: int) -> Answer:
    """Refuse every third attempt, so that a few events become dead letters."""
    return answer(500 if number % 3 == 0 else 204)


def _run(hub: Hub, *, seconds: float, kills: int, say: Callable[[str], None]) -> Report:
    begun, stop = time.time(), threading.Event()
    publisher = threading.Thread(target=_publish, args=(hub, stop))
    publisher.start()
    scrapes: list[Scrape] = []
    due = [begun + seconds * (place + 1) / (3 * kills + 1) for place in range(3 * kills)]
    deeds = [hub.kill_web_server, hub.kill_redis, partial(_kill_bridges, hub)] * kills
    try:
        while time.time() < begun + seconds:
            if due and time.time() >= due[0]:
                due.pop(0)
                deed = deeds.pop(0)
                deed()
                say(f"{time.time() - begun:.0f} s: {getattr(deed, '__name__', 'kill_bridges')}")
            with suppress(httpx.HTTPError):
                scrapes.append(_scrape(hub))
            time.sleep(STEP)
    finally:
        stop.set()
        publisher.join()
    # Wait until the last step is complete.
    time.sleep(2 * STEP)
    query = {"stream": STREAM, "from": str(int(begun * 1000)), "step": str(STEP)}
    found = httpx.get(f"{hub.url}/stats", params=query, timeout=30).raise_for_status().json()
    report = compare(scrapes[:: 20 // STEP], found["from"], _growth(found["series"]))
    # Of the stream, and of its group.
    report.longest_gap = max(
        longest_gap(each["values"]) for each in found["series"] if each["name"] in ("length", "in_flight")
    )
    return report


def _scrape(hub: Hub) -> Scrape:
    asked = time.time()
    answer = httpx.get(f"{hub.url}/metrics", headers={"accept": "text/plain;version=0.0.4"}, timeout=5)
    answered = time.time()
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(answer.raise_for_status().text):
        for sample in family.samples:
            if sample.name in COMPARED and sample.labels.get("stream") == STREAM:
                found[COMPARED[sample.name]] += sample.value
    return Scrape(asked, answered, found)


def _growth(found: Sequence[Mapping[str, Any]]) -> dict[str, Row]:
    """Return the growth of each compared series, as sums over labels."""
    plain = {each["name"]: each["values"] for each in found if not each.keys() & {"reason", "class"}}
    rows: dict[str, Row] = {name: row for name, row in plain.items() if name in COMPARED.values()}
    length = plain["length"]
    rows["length"] = [None, *(None if None in pair else pair[1] - pair[0] for pair in pairwise(length))]
    for each in found:
        if (name := each["name"]) in COMPARED.values() and name not in plain:
            # A label that did not exist yet counts as 0, not as a gap.
            sampled = plain["retried" if "group" in each else "published"]
            before = rows.get(name, [0] * len(sampled))
            rows[name] = [
                None if known is None else (one or 0) + (other or 0)
                for known, one, other in zip(sampled, before, each["values"], strict=True)
            ]
    return rows


def _publish(hub: Hub, stop: threading.Event) -> None:
    with httpx.Client(base_url=hub.url, timeout=5) as client:
        for number in count():
            if stop.wait(0.02):
                return
            # Every tenth event is refused.
            event = {"n": number} if number % 10 == 0 else {"event_type": "order-placed", "n": number}
            with suppress(httpx.HTTPError):
                client.post(f"/events/{STREAM}", json=event)


def _kill_bridges(hub: Hub) -> None:
    rows = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    for row in rows.splitlines():
        if match := re.match(rf"\s*(\d+)\s+{hub.process.pid}\s.*manage\.py consume", row):
            os.kill(int(match[1]), signal.SIGKILL)


def main() -> int:
    """Run the benchmark. Return 1 when statistics and metrics disagree, or a gap was too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--kills", type=int, default=5, help="of each process")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(Path(folder), seconds=options.seconds, kills=options.kills)
    for name, times in report.compared.items():
        print(f"{name:12} compared {times:3} times, grew by {report.growth[name]:,}")
    print(f"{len(report.wrong)} wrong, longest gap {report.longest_gap} s")
    for sentence in report.wrong:
        print(sentence)
    return int(bool(report.wrong) or not report.compared or report.longest_gap > LONGEST_GAP)


if __name__ == "__main__":
    sys.exit(main())
