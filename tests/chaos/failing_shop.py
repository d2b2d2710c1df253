"""A receiver that fails half of the time and checks every signature, and a publisher that knows the stored events."""

import random
import threading
from collections import Counter
from collections.abc import Set

import httpx

from tests.acceptance.hub import Hub
from tests.bridges.receiver import Answer, Receiver, Request, answer
from tests.bridges.sinks import SECRET
from tests.patience import eventually

AT_ONCE = 20
# A sound event fails no more often than this: the attempts that are left to it are for those that a kill ends.
MOST_FAILURES = 4

CATALOG = """
streams:
  - name: orders
bridges:
  - name: orders-to-shop
    stream: orders
    group: shop
    sink: webhook
    config: {{url: "{url}", secret: shop}}
    concurrency: 16
    max_attempts: {attempts}
    retry_schedule: [0.2]
    lease_seconds: 10
    handler_timeout_seconds: 5
"""


class FailingShop:
    """Refuses every second request at random, and each that brings a poison event, until it is healed."""

    def __init__(self, *, seed: int, poison: Set[int]) -> None:
        self.poison = poison
        self.healed = False
        self.requests = 0
        self.badly_signed = 0
        # By the number that an event bears: how often it was taken, and how often refused.
        self.taken: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self.receiver = Receiver()
        self.receiver.answers = lambda number: self._answer(self.receiver.got[number])

    def catalog(self, attempts: int) -> str:
        """Return the catalog file of a bridge that delivers here."""
        return CATALOG.format(url=self.receiver.url, attempts=attempts)

    def _answer(self, request: Request) -> Answer:
        number = request.json["data"]["n"]
        with self._lock:
            self.requests += 1
            try:
                request.is_signed_with(SECRET)
            except Exception:
                self.badly_signed += 1
            if self._refuses(number):
                self.refused[number] += 1
                return answer(500, body=b"not now")
            self.taken[number] += 1
            return answer(204)

    def _refuses(self, number: int) -> bool:
        if self.healed:
            return False
        is_poison = number in self.poison
        return is_poison or (self._chance.random() < 0.5 and self.refused[number] < MOST_FAILURES)


class Publisher(threading.Thread):
    """Publishes numbered events over HTTP, each lot again under its key until it is known to be stored."""

    def __init__(self, hub: Hub, events: int) -> None:
        super().__init__(daemon=True)
        self._hub, self._events = hub, events
        self.acknowledged: set[int] = set()

    def run(self) -> None:
        with httpx.Client(base_url=self._hub.url, timeout=60) as client:
            for first in range(0, self._events, AT_ONCE):
                lot = range(first, min(first + AT_ONCE, self._events))
                eventually(lambda lot=lot: self._publish(client, lot), despite=httpx.HTTPError)
                self.acknowledged.update(lot)

    def _publish(self, client: httpx.Client, lot: range) -> bool:
        events = [{"event_type": "order-placed", "n": n} for n in lot]
        sent = client.post("/events/orders", json=events, headers={"Idempotency-Key": f"lot-{lot.start}"})
        return sent.status_code in (200, 201)
