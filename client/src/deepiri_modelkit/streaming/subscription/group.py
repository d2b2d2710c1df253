"""Reading as a consumer of a group: first its own pending entries, then those of dead consumers, then new ones."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from deepiri_modelkit.errors import Refused
from deepiri_modelkit.streaming.subscription.link import Interrupted, Link
from deepiri_modelkit.streaming.subscription.reader import Delivery, parse_rows, parse_single_stream

log = logging.getLogger("deepiri_modelkit.streaming")

# Assumed for other consumers if this one does not take over entries itself.
USUAL_CLAIM_IDLE_MS = 60_000
_LONGEST_BETWEEN_TAKEOVERS = 15.0


class GroupReader:
    """One consumer of one group. An entry stays pending in the group until it is acknowledged.

    `claim_idle_ms`: the milliseconds that an entry must be pending before this consumer takes it over; None: never.
    `start`: the position of the group if it has to be created.
    """

    def __init__(
        self,
        link: Link,
        *,
        stream: str,
        group: str,
        consumer: str,
        start: str,
        count: int,
        block_ms: int,
        claim_idle_ms: int | None,
        look_for_twin: bool,
    ) -> None:
        self.link = link
        self._stream = stream
        self._group = group
        self._consumer = consumer
        self._start = start
        self._count = count
        self._block_ms = block_ms
        self._claim_idle_ms = claim_idle_ms
        self._renew_after_ms = (claim_idle_ms or USUAL_CLAIM_IDLE_MS) / 2
        self._look_for_twin = look_for_twin
        self._begun = False
        # Own entries may be pending from an earlier run, or because the reply with them was lost.
        self._recovering = True
        self._next_takeover = 0.0

    async def read(self) -> list[Delivery]:
        try:
            if not self._begun:
                await self._prepare_group()
            return await self._read_next()
        except Interrupted:
            self._recovering = True
            raise
        except Refused as refusal:
            if not refusal.reply.startswith("NOGROUP"):
                raise
            log.warning("%s: the group is gone; it is made again from the beginning of the stream.", self.link.title)
            self._recovering = True
            await self._make_group("0")
            return []

    async def acknowledge(self, delivery: Delivery) -> None:
        await self.link.call("XACK", self._stream, self._group, delivery.entry_id)

    def is_stale(self, delivery: Delivery) -> bool:
        return (time.monotonic() - delivery.read_at) * 1000 >= self._renew_after_ms

    async def renew(self, waiting: Sequence[Delivery]) -> list[Delivery]:
        """Reset the idle time of entries that were read long ago, before another consumer claims them. Drop those
        already claimed.
        """
        now = time.monotonic()
        ids = [delivery.entry_id for delivery in waiting]
        try:
            found = await self._query_pending(ids[0], ids[-1], len(ids))
            ours = [row[0].decode() for row in found]
            if ours:
                # The minimum idle time prevents taking back an entry that another consumer has just claimed.
                least = int(self._renew_after_ms / 2)
                await self.link.call("XCLAIM", self._stream, self._group, self._consumer, least, *ours, "JUSTID")
        except Refused as refusal:
            if not refusal.reply.startswith("NOGROUP"):
                raise
            # The group is lost, and perhaps the stream: this may be the last copy of the events.
            ours = ids
        kept = [replace(delivery, read_at=now) for delivery in waiting if delivery.entry_id in ours]
        if len(kept) < len(ids):
            log.warning("%s: %d events waited too long, and others took them.", self.link.title, len(ids) - len(kept))
        return kept

    async def give_back(self, waiting: Sequence[Delivery]) -> None:
        """Set a high idle time for the entries, so that the next consumer claims them at once."""
        # Another consumer may have claimed a stale entry.
        if waiting and not self.is_stale(waiting[0]):
            ids = [delivery.entry_id for delivery in waiting]
            idle = ("IDLE", self._claim_idle_ms or USUAL_CLAIM_IDLE_MS, "JUSTID")
            await self.link.call("XCLAIM", self._stream, self._group, self._consumer, 0, *ids, *idle)

    async def _prepare_group(self) -> None:
        await self._make_group(self._start)
        if self._look_for_twin:
            await self._warn_of_twin()
        self._begun = True

    async def _make_group(self, start: str) -> None:
        try:
            await self.link.call("XGROUP", "CREATE", self._stream, self._group, start, "MKSTREAM")
        except Refused as refusal:
            if not refusal.reply.startswith("BUSYGROUP"):
                raise

    async def _warn_of_twin(self) -> None:
        try:
            clients: bytes = await self.link.call("CLIENT", "LIST")
        except Refused:
            # An access list forbids CLIENT LIST, so no warning is possible.
            return
        if clients.count(f" name={self.link.title} ".encode()) > 1:
            log.warning(
                "%s: another connection reads under this name. Each will be handed events that the other is working "
                "on; give every consumer of a group a name of its own.",
                self.link.title,
            )

    async def _read_next(self) -> list[Delivery]:
        if self._recovering:
            if left := await self._read_own_pending():
                return left
            self._recovering = False
        if self._claim_idle_ms is not None and time.monotonic() >= self._next_takeover:
            if taken := await self._take_over(self._claim_idle_ms):
                return taken
            self._next_takeover = time.monotonic() + min(self._claim_idle_ms / 4000, _LONGEST_BETWEEN_TAKEOVERS)
        reply = await self._read_group(">", "BLOCK", self._block_time_ms())
        return [Delivery(entry_id=id_, fields=fields or {}) for id_, fields in reply]

    def _block_time_ms(self) -> int:
        if self._claim_idle_ms is None:
            return self._block_ms
        return max(1, min(self._block_ms, int((self._next_takeover - time.monotonic()) * 1000)))

    async def _read_own_pending(self) -> list[Delivery]:
        """Read own pending entries from the oldest on. Those returned before have been acknowledged by now."""
        while found := await self._read_group("0"):
            await self._acknowledge_trimmed([id_ for id_, fields in found if fields is None])
            present = [(id_, fields) for id_, fields in found if fields is not None]
            if present:
                first, last = present[0][0], present[-1][0]
                pending = await self._query_pending(first, last, len(found))
                attempts = {row[0].decode(): int(row[3]) for row in pending}
                return [Delivery(entry_id=id_, fields=fields, attempts=attempts.get(id_, 1)) for id_, fields in present]
        return []

    async def _take_over(self, idle_ms: int) -> list[Delivery]:
        """Claim entries that have been pending too long. XAUTOCLAIM would not reach the end of a long list."""
        span = ("IDLE", idle_ms, "-", "+", self._count)
        pending = await self.link.call("XPENDING", self._stream, self._group, *span)
        attempts = {row[0].decode(): int(row[3]) + 1 for row in pending}
        if not attempts:
            return []
        reply = await self.link.call("XCLAIM", self._stream, self._group, self._consumer, idle_ms, *attempts)
        claimed = {id_: fields for id_, fields in parse_rows(reply) if fields is not None}
        await self._acknowledge_trimmed([id_ for id_ in attempts if id_ not in claimed and await self._is_gone(id_)])
        if claimed:
            log.info("%s: %d abandoned events taken over.", self.link.title, len(claimed))
        return [Delivery(entry_id=id_, fields=fields, attempts=attempts[id_]) for id_, fields in claimed.items()]

    async def _query_pending(self, first: str, last: str, count: int) -> list[tuple[bytes, bytes, int, int]]:
        """Return id, consumer, idle time (ms) and delivery count of this consumer's pending entries between two ids."""
        words = ("XPENDING", self._stream, self._group, first, last, count, self._consumer)
        rows_: list[tuple[bytes, bytes, int, int]] = await self.link.call(*words)
        return rows_

    async def _read_group(self, after: str, *wait: str | int) -> list[tuple[str, dict[bytes, bytes] | None]]:
        words = ("XREADGROUP", "GROUP", self._group, self._consumer, "COUNT", self._count, *wait)
        return parse_single_stream(await self.link.call(*words, "STREAMS", self._stream, after))

    async def _is_gone(self, entry_id: str) -> bool:
        return not await self.link.call("XRANGE", self._stream, entry_id, entry_id)

    async def _acknowledge_trimmed(self, ids: Sequence[str]) -> None:
        """Acknowledge entries that were trimmed while pending, since they cannot be delivered any more."""
        if ids:
            log.warning("%s: trimmed before they were handled, and lost: %s", self.link.title, ", ".join(ids))
            await self.link.call("XACK", self._stream, self._group, *ids)
