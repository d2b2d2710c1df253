"""Reading all events without a group. The position is not stored between runs."""

from collections.abc import Sequence

from deepiri_modelkit.errors import Refused
from deepiri_modelkit.streaming.subscription.link import Link
from deepiri_modelkit.streaming.subscription.reader import Delivery, parse_single_stream


class PlainReader:
    """Follows a stream from an entry id on. "$" means new entries only; its id is looked up once."""

    def __init__(self, link: Link, *, stream: str, start: str, count: int, block_ms: int) -> None:
        self.link = link
        self._stream = stream
        self._after = start
        self._count = count
        self._block_ms = block_ms

    async def read(self) -> list[Delivery]:
        if self._after == "$":
            # Sending "$" in every read would skip entries that arrive between two reads.
            self._after = await self._find_newest_id()
        wait = ("COUNT", self._count, "BLOCK", self._block_ms)
        reply = await self.link.call("XREAD", *wait, "STREAMS", self._stream, self._after)
        return [Delivery(entry_id=id_, fields=fields or {}) for id_, fields in parse_single_stream(reply)]

    async def acknowledge(self, delivery: Delivery) -> None:
        self._after = delivery.entry_id

    def is_stale(self, delivery: Delivery) -> bool:
        return False

    async def renew(self, waiting: Sequence[Delivery]) -> list[Delivery]:
        return list(waiting)

    async def give_back(self, waiting: Sequence[Delivery]) -> None:
        """Do nothing, because no other reader shares the entries."""

    async def _find_newest_id(self) -> str:
        try:
            parts = await self.link.call("XINFO", "STREAM", self._stream)
        except Refused as refusal:
            if "no such key" not in refusal.reply:
                raise
            return "0-0"
        newest: bytes = dict(zip(parts[::2], parts[1::2], strict=True))[b"last-generated-id"]
        return newest.decode()
