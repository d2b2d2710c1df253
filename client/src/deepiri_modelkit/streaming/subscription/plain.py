"""Reading without a group: everything, for this reader alone; nothing is remembered between runs."""

from collections.abc import Sequence

from deepiri_modelkit.errors import Refused
from deepiri_modelkit.streaming.subscription.link import Link
from deepiri_modelkit.streaming.subscription.reader import Delivery, rows_of_only_stream


class PlainReader:
    """Follows a stream from an entry id on. "$" means from now on, and is looked up once."""

    def __init__(self, link: Link, *, stream: str, start: str, count: int, block_ms: int) -> None:
        self.link = link
        self._stream = stream
        self._after = start
        self._count = count
        self._block_ms = block_ms

    async def read(self) -> list[Delivery]:
        if self._after == "$":
            # Asking Redis for "$" in every read would skip what arrives between two of them.
            self._after = await self._newest()
        wait = ("COUNT", self._count, "BLOCK", self._block_ms)
        reply = await self.link.call("XREAD", *wait, "STREAMS", self._stream, self._after)
        return [Delivery(entry_id=id_, fields=fields or {}) for id_, fields in rows_of_only_stream(reply)]

    async def settle(self, delivery: Delivery) -> None:
        self._after = delivery.entry_id

    def is_stale(self, delivery: Delivery) -> bool:
        return False

    async def still_ours(self, waiting: Sequence[Delivery]) -> list[Delivery]:
        return list(waiting)

    async def give_back(self, waiting: Sequence[Delivery]) -> None:
        """Nobody else reads them: nothing to do."""

    async def _newest(self) -> str:
        try:
            parts = await self.link.call("XINFO", "STREAM", self._stream)
        except Refused as refusal:
            if "no such key" not in refusal.reply:
                raise
            return "0-0"
        newest: bytes = dict(zip(parts[::2], parts[1::2], strict=True))[b"last-generated-id"]
        return newest.decode()
