"""Publishers that go on through failures and remember their answers."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import httpx

from tests.patience import eventually


class Publishers:
    """Threads that publish events with numbers. `stored` has the number of each event that was acknowledged."""

    def __init__(self, *urls: str) -> None:
        self._urls = urls
        self._numbers = count()
        self._stop = threading.Event()
        self.stored: dict[str, int] = {}
        self.answers: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._work, args=[url]) for url in urls]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each get its last answer."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60)
            assert not thread.is_alive()

    def more(self, events: int) -> None:
        """Wait until so many events more were acknowledged."""
        until = len(self.stored) + events
        eventually(lambda: len(self.stored) >= until)

    def refused(self) -> None:
        """Wait until one more was refused with 503."""
        until = self.answers["503"] + 1
        eventually(lambda: self.answers["503"] >= until)

    def _work(self, url: str) -> None:
        with httpx.Client(timeout=120) as client:
            while not self._stop.is_set():
                number = next(self._numbers)
                answer = client.post(url, json={"event_type": "order-placed", "n": number})
                self.answers[str(answer.status_code)] += 1
                is_stored = answer.status_code == 201
                if is_stored:
                    self.stored[answer.json()["id"]] = number
                else:
                    assert answer.headers["retry-after"], answer.text
                # No tight loop: other tests need a processor too, and so does the next primary.
                self._stop.wait(0.01 if is_stored else 0.2)


@contextmanager
def publishing(*urls: str) -> Iterator[Publishers]:
    """Publish for as long as the block lasts."""
    publishers = Publishers(*urls)
    try:
        yield publishers
    finally:
        publishers.stop()
