"""Acknowledged events survive the kill of any process, in their order, and the hub recovers by itself."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.patience import eventually

pytestmark = [pytest.mark.process, pytest.mark.nightly]

PUBLISHERS = 4
SINGLE_EVENTS, BATCHED_EVENTS = 10_000, 90_000
BATCH = 500


def event(publisher, number):
    return {
        "event_type": "inference-complete",
        "request_id": f"{publisher}-{number}",
        "model_name": "task-classifier-v2",
        "latency_ms": 45,
        "confidence": 0.92,
    }


class Publisher:
    """Publishes its numbered events in order, repeats failed attempts, and remembers the acknowledged ones."""

    def __init__(self, hub, name, numbers, size):
        self.acknowledged = {}
        self.refusals = []
        self._client = httpx.Client(base_url=hub.url, timeout=30)
        self._name, self._numbers, self._size = name, numbers, size

    def run(self, progress):
        with self._client:
            for first in range(0, self._numbers, self._size):
                numbers = range(first, first + self._size)
                self._until_acknowledged(numbers)
                progress.release(len(numbers))

    def _until_acknowledged(self, numbers):
        events = [event(self._name, number) for number in numbers]
        eventually(lambda: self._publish(numbers, events), despite=httpx.HTTPError)

    def _publish(self, numbers, events):
        answer = self._client.post("/events/inference-events", json=events if self._size > 1 else events[0])
        if answer.status_code not in (200, 201):
            # 503; or 207, when Redis took only a part because it was still loading: the whole batch is sent again.
            self.refusals.append(answer.status_code)
            return False
        ids = [result["id"] for result in answer.json()["results"]] if self._size > 1 else [answer.json()["id"]]
        self.acknowledged.update({f"{self._name}-{number}": id_ for number, id_ in zip(numbers, ids, strict=True)})
        return True


def test_every_event_survives_the_killing_of_web_server_and_valkey(own_hub):
    publishers = [
        *(Publisher(own_hub, f"single{n}", SINGLE_EVENTS // PUBLISHERS, 1) for n in range(PUBLISHERS)),
        *(Publisher(own_hub, f"batch{n}", BATCHED_EVENTS // PUBLISHERS, BATCH) for n in range(PUBLISHERS)),
    ]
    progress = threading.Semaphore(0)

    with ThreadPoolExecutor(len(publishers)) as pool:
        running = [pool.submit(publisher.run, progress) for publisher in publishers]
        for kill in (own_hub.kill_web_server, own_hub.kill_redis, own_hub.kill_web_server, own_hub.kill_redis):
            for _ in range((SINGLE_EVENTS + BATCHED_EVENTS) // 7):
                progress.acquire(timeout=60)
            kill()
        for publisher in running:
            publisher.result()

    stored = [(entry_id.decode(), fields[b"request_id"].decode()) for entry_id, fields in everything(own_hub)]
    place = {entry_id: index for index, (entry_id, _) in enumerate(stored)}
    name = dict(stored)
    for publisher in publishers:
        lost = [item for item in publisher.acknowledged.items() if name.get(item[1]) != item[0]]
        assert not lost, (lost[:3], publisher.refusals[:10])
        places = [place[entry_id] for entry_id in publisher.acknowledged.values()]
        assert places == sorted(places)
    assert sum(len(publisher.acknowledged) for publisher in publishers) == SINGLE_EVENTS + BATCHED_EVENTS


def everything(hub):
    """Read the whole stream in parts."""
    after = "-"
    with hub.redis() as client:
        while part := client.xrange("inference-events", min=after, count=10_000):
            yield from part
            after = f"({part[-1][0].decode()}"
