"""`python -m benchmarks.agreement`: do statistics tell what the metrics tell while processes are killed?

Starts `manage.py up` in a folder of its own, publishes, and kills the web server, the bridges' process and Redis five
times each within ten minutes. What `synapse_events_published_total` grew by between two scrapes has to be what the
samples between them say, but for one sample at each end; and no gap may be longer than ten seconds.
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
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import httpx

from tests.acceptance.hub import Hub, running_hub

STREAM = "inference-events"
EVENT = {"event_type": "inference-complete", "model_name": "m", "latency_ms": 1}
STEP, LONGEST_GAP = 5, 10
# A sample is taken this much after its moment at most, in seconds.
LATE = 1.5
_COUNTED = re.compile(rf'^synapse_events_published_total{{.*stream="{STREAM}".*}} (\S+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Scrape:
    """What the metric was: `at` in seconds since 1970."""

    at: float
    published: float


@dataclass(slots=True)
class Report:
    """How many pairs of scrapes were compared, those that disagree in words, and the longest gap in seconds."""

    compared: int = 0
    wrong: list[str] = field(default_factory=list)
    longest_gap: int = 0


def compare(
    scrapes: Sequence[Scrape], begins: int, published: Sequence[float | None], length: Sequence[float | None]
) -> Report:
    """Compare scrapes with the samples of the same time.

    Args:
        scrapes: in their order.
        begins: when the first sample was taken.
        published: by how much the series grew in each step.
        length: the series of the length, which has a value wherever a sample was taken.
    """
    report = Report()
    for before, after in pairwise(scrapes):
        places = range(len(published))
        # Of the sample at a place, the time that its growth is of.
        spans = [(begins + (place - 1) * STEP, begins + place * STEP) for place in places]
        within = [
            place for place in places if spans[place][0] - LATE >= before.at and spans[place][1] + LATE <= after.at
        ]
        around = [
            place for place in places if spans[place][1] + LATE >= before.at and spans[place][0] - LATE <= after.at
        ]
        values = [published[place] for place in around]
        if not within or None in values:
            continue
        least, most = sum(published[place] or 0 for place in within), sum(value or 0 for value in values)
        report.compared += 1
        if not least <= after.published - before.published <= most:
            report.wrong.append(f"{after.published - before.published} at {after.at:.0f}, not {least} to {most}")
    known = [place for place, value in enumerate(length) if value is not None]
    report.longest_gap = max(((later - place - 1) * STEP for place, later in pairwise(known)), default=0)
    return report


def run(hub: Hub, *, seconds: float, kills: int, say: Callable[[str], None] = print) -> Report:
    """Publish, scrape and kill for some seconds, and compare."""
    begun, stop = time.time(), threading.Event()
    publisher = threading.Thread(target=_publish, args=(hub, stop))
    publisher.start()
    scrapes: list[Scrape] = []
    due = [begun + seconds * (place + 1) / (3 * kills + 1) for place in range(3 * kills)]
    deeds = [hub.kill_web_server, hub.kill_redis, lambda: _kill_bridges(hub)] * kills
    try:
        while time.time() < begun + seconds:
            if due and time.time() >= due[0]:
                due.pop(0)
                deed = deeds.pop(0)
                deed()
                say(f"{time.time() - begun:.0f} s: {getattr(deed, '__name__', 'kill')}")
            with suppress(httpx.HTTPError, TypeError):
                answer = httpx.get(f"{hub.url}/metrics", headers={"accept": "text/plain;version=0.0.4"}, timeout=5)
                found = _COUNTED.search(answer.text) if answer.status_code == 200 else None
                if found:
                    scrapes.append(Scrape(time.time(), float(found[1])))
            time.sleep(STEP)
    finally:
        stop.set()
        publisher.join()
    # The last step has to be over.
    time.sleep(2 * STEP)
    query = {"stream": STREAM, "from": str(int(begun * 1000)), "step": str(STEP), "series": ["published", "length"]}
    found_series = httpx.get(f"{hub.url}/stats", params=query, timeout=30).raise_for_status().json()
    rows = {one["name"]: one["values"] for one in found_series["series"]}
    report = compare(scrapes[:: max(1, 15 // STEP)], found_series["from"], rows["published"], rows["length"])
    say(f"{report.compared} compared, {len(report.wrong)} wrong, longest gap {report.longest_gap} s")
    return report


def _publish(hub: Hub, stop: threading.Event) -> None:
    while not stop.wait(0.02):
        with suppress(httpx.HTTPError):
            httpx.post(f"{hub.url}/events/{STREAM}", json=EVENT, timeout=5)


def _kill_bridges(hub: Hub) -> None:
    rows = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    for row in rows.splitlines():
        if match := re.match(rf"\s*(\d+)\s+{hub.process.pid}\s.*manage\.py consume", row):
            os.kill(int(match[1]), signal.SIGKILL)


def main() -> int:
    """Run it. Return 1 when statistics and metrics disagree, or a gap was too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--kills", type=int, default=5, help="of each process")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_hub(Path(folder)) as hub:
        report = run(hub, seconds=options.seconds, kills=options.kills)
    for sentence in report.wrong:
        print(sentence)
    return int(bool(report.wrong) or not report.compared or report.longest_gap > LONGEST_GAP)


if __name__ == "__main__":
    sys.exit(main())
