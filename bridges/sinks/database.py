"""Keeps events as rows of the database: one for each event and bridge, however often it is delivered."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Self

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, transaction
from django.utils import timezone

from bridges.archive import archive_bytes, delete_oldest, row_of, row_without_event
from bridges.models import ArchivedEvent
from core.database import close_stale_connections
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.delivery.sink import Delivery, MayBegin, Outcome, Setting, Sink, SinkConfig
from synapse.errors.delivery import NotBegun, SinkAway, SinkBroken, SinkError
from synapse.formats.text import cut

MOST_DAYS = 36_500
# How often what is too old or too much is removed, in seconds, and how many rows at once: others wait for the database
# meanwhile. Removing keeps pace with new rows: this many more are removed than came.
_TIDY_EVERY = 10.0
_TIDIED_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseConfig(SinkConfig):
    """`keep_days`: rows of events that were published longer ago are removed; None keeps them."""

    keep_days: Annotated[
        int | None, Setting("After how many days an event is removed; empty keeps all that the archive has room for.")
    ] = None

    def find_errors(self) -> Iterator[tuple[str, str]]:
        if self.keep_days is not None and not 1 <= self.keep_days <= MOST_DAYS:
            yield "keep_days", f"must be from 1 to {MOST_DAYS}, or left out to keep them"


class DatabaseSink(Sink):
    """Inserts a batch at once. An existing row stays unchanged: the event was delivered before."""

    label = "Archive"
    about = "Keeps each event in the database, to be looked up later."
    Config = DatabaseConfig

    def __init__(
        self,
        config: DatabaseConfig,
        *,
        bridge: int,
        most_bytes: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keep_days = config.keep_days
        self._bridge = bridge
        self._most_bytes = most_bytes
        self._clock = clock
        self._tidied = float("-inf")
        # How many events came since.
        self._came = 0

    @classmethod
    def open(cls, config: Any, bridge: BridgeDefinition, *, stopping: Callable[[], bool]) -> Self:
        if bridge.pk is None:
            raise SinkBroken("Rows belong to a bridge of the catalog, and this one is not in it.")
        return cls(config, bridge=bridge.pk, most_bytes=settings.ARCHIVE_BYTES)

    def deliver(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        if not may_begin():
            return [NotBegun() for _ in batch]
        close_stale_connections()
        try:
            outcomes = self._insert(batch)
            self._tidy(len(batch))
        except (OperationalError, InterfaceError) as error:
            raise SinkAway(f"The database cannot be used: {_in_one_line(error)}") from error
        return outcomes

    def _insert(self, batch: Sequence[Delivery]) -> list[Outcome]:
        try:
            with transaction.atomic():
                ArchivedEvent.objects.bulk_create(
                    [row_of(delivery, bridge=self._bridge) for delivery in batch], ignore_conflicts=True
                )
        except (OperationalError, InterfaceError):
            raise
        except DatabaseError:
            # One of them is refused, and only alone does it turn out which.
            return [self._insert_one(delivery) for delivery in batch]
        return [None] * len(batch)

    def _insert_one(self, delivery: Delivery) -> Outcome:
        refusal: DatabaseError | None = None
        for make in (row_of, row_without_event):
            try:
                with transaction.atomic():
                    ArchivedEvent.objects.bulk_create([make(delivery, bridge=self._bridge)], ignore_conflicts=True)
            except (OperationalError, InterfaceError):
                raise
            except DatabaseError as error:
                refusal = error
            else:
                return None
        return SinkError(f"The database refused it: {_in_one_line(refusal)}")

    def _tidy(self, came: int) -> None:
        """Remove some of the rows that are too old, or too many for their room, if it is time to."""
        self._came += came
        if self._clock() < self._tidied + _TIDY_EVERY:
            return
        times = 1 + self._came // _TIDIED_AT_ONCE
        self._tidied, self._came = self._clock(), 0
        for _ in range(times):
            too_old = self._keep_days is not None and self._remove_older(self._keep_days)
            too_many = self._most_bytes is not None and archive_bytes() > self._most_bytes
            if too_many:
                delete_oldest(_TIDIED_AT_ONCE)
            if not (too_old or too_many):
                break

    def _remove_older(self, days: int) -> bool:
        """Remove some rows of the bridge that were published so many days ago. Return whether there were any."""
        before = timezone.now() - timedelta(days=days)
        # Ids of entries begin with the milliseconds, of 13 digits until the year 2286: found by the index that keeps
        # rows from coming twice, and no other is needed.
        first_kept = str(int(before.timestamp() * 1000))
        old = ArchivedEvent.objects.filter(bridge=self._bridge, entry_id__lt=first_kept, published_at__lt=before)
        found = list(old.order_by("entry_id").values_list("pk", flat=True)[:_TIDIED_AT_ONCE])
        ArchivedEvent.objects.filter(pk__in=found).delete()
        return bool(found)


def _in_one_line(error: BaseException | None) -> str:
    return cut(" ".join(str(error).split()), 300)
