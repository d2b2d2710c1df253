"""A crowd of concurrent publishers that go on through failures and remember their answers."""

import asyncio
import itertools
import secrets
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import orjson

from tests.chaos.profile import FULL
from tests.connection import request
from tests.patience import eventually
from tests.rough.server import Synapse

# Against a server that hangs; an answer takes a fraction of it.
PATIENCE = 30
BREATH = 0.01
# Seconds that a publisher waits before its next event: beside other tests, whose processor a crowd would take whole.
PAUSE = 0.0 if FULL else 0.05
# No two of a run are the same; smaller ones are the tests' own.
FIRST = 1_000_000
_numbers = itertools.count(FIRST)


class Crowd:
    """Publishers on connections of their own, each of which sends its next event a moment after it was answered.

    Every event has a number. Half of the publishers send an `Idempotency-Key`, and the same event again until it is
    acknowledged; the others go on with the next one. `stored` has the id of each number that was acknowledged. After
    `life` requests each comes on another connection.
    """

    def __init__(self, port: int, size: int, life: int) -> None:
        self._port = port
        self._life = life
        self._name = secrets.token_hex(4)
        self._stopping = False
        self._failure: BaseException | None = None
        self.sent: set[int] = set()
        self.stored: dict[int, str] = {}
        self.answers: Counter[int] = Counter()
        self.broken = 0
        self._thread = threading.Thread(target=self._run, args=[size])
        self._thread.start()

    def stop(self) -> None:
        """Let each get its last answer."""
        self._stopping = True
        self._thread.join(timeout=2 * PATIENCE)
        assert not self._thread.is_alive()
        if self._failure:
            raise self._failure

    def more(self, events: int) -> None:
        """Wait until so many events more were acknowledged."""
        wanted = len(self.stored) + events
        self.until(lambda: len(self.stored) >= wanted)

    def refused(self, times: int, *, status: int = 503) -> None:
        """Wait until so many more were refused."""
        wanted = self.answers[status] + times
        self.until(lambda: self.answers[status] >= wanted)

    def until(self, look: Callable[[], object]) -> None:
        """Wait until it is so, or one of the publishers has failed."""
        eventually(lambda: self._failure or look())
        if self._failure:
            raise self._failure

    def check(self, stored: dict[str, int]) -> None:
        """Check that every acknowledged event is stored under its returned id, and none is stored twice."""
        lost = [(number, id_) for number, id_ in self.stored.items() if stored.get(id_) != number]
        assert lost == []
        assert [number for number, times in Counter(stored.values()).items() if times > 1 and number >= FIRST] == []

    def _run(self, size: int) -> None:
        try:
            asyncio.run(self._all(size))
        except BaseException as failure:
            self._failure = failure

    async def _all(self, size: int) -> None:
        async with asyncio.TaskGroup() as group:
            for nth in range(size):
                group.create_task(self._one(has_key=nth % 2 == 0))

    async def _one(self, *, has_key: bool) -> None:
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        number = next(_numbers)
        for nth in itertools.count(1):
            if self._stopping:
                break
            try:
                connection = connection or await asyncio.open_connection("127.0.0.1", self._port)
                async with asyncio.timeout(PATIENCE):
                    acknowledged = await self._ask(*connection, number, has_key=has_key)
            except (OSError, asyncio.IncompleteReadError) as error:
                if isinstance(error, TimeoutError):
                    raise
                self.broken += 1
                acknowledged = False
                if connection:
                    connection[1].close()
                connection = None
            # What is refused at once is not asked for in a tight loop.
            await asyncio.sleep(PAUSE if acknowledged else max(PAUSE, BREATH))
            if acknowledged or not has_key:
                number = next(_numbers)
            if connection and nth % self._life == 0:
                connection[1].close()
                connection = None
        if connection:
            connection[1].close()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, *, has_key: bool
    ) -> bool:
        self.sent.add(number)
        key = [f"idempotency-key: {self._name}-{number}"] if has_key else []
        body = orjson.dumps({"event_type": "order-placed", "n": number})
        writer.write(request("POST", "/events/orders", body, "content-type: application/json", *key))
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status = int(head.split()[1])
        length = int(head.partition("content-length: ")[2].split()[0])
        answer = orjson.loads(await reader.readexactly(length))
        self.answers[status] += 1
        if status in {200, 201}:
            self.stored[number] = answer["id"]
        elif status == 503:
            assert "retry-after: " in head, head
        return status in {200, 201}


@contextmanager
def crowd(synapse: Synapse, size: int, *, life: int = sys.maxsize) -> Iterator[Crowd]:
    """Let them publish for as long as the block lasts."""
    publishers = Crowd(synapse.port, size, life)
    try:
        yield publishers
    finally:
        publishers.stop()
