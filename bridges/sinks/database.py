"""A sink that stores events as rows of the database: one row for each event and bridge, however often it is
delivered.
"""

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
# The interval in seconds at which rows that are too old or too many are removed, and the number of rows removed in one
# statement, for which other writers wait. Each time, at least this many more rows are removed than were added.
_TIDY_EVERY = 10.0
_TIDIED_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseConfig(SinkConfig):
    """`keep_days`: the days after which rows are removed, by their publishing time; None keeps them."""

    keep_days: Annotated[
        int | None, Setting("After how many days an event is removed; empty keeps all that the archive has room for.")
    ] = None

    def find_errors(self) -> Iterator[tuple[str, str]]:
        if self.keep_days is not None and not 1 <= self.keep_days <= MOST_DAYS:
            yield "keep_days", f"must be from 1 to {MOST_DAYS}, or left out to keep them"


class DatabaseSink(Sink):
    """Inserts each batch with one statement. Existing rows, of events that were delivered before, stay unchanged."""

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
        # The number of events since rows were last removed.
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
            outcomes = self._insert_batch(batch)
            self._remove_excess(len(batch))
        except (OperationalError, InterfaceError) as error:
            raise SinkAway(f"The database cannot be used: {_join_lines(error)}") from error
        return outcomes

    def _insert_batch(self, batch: Sequence[Delivery]) -> list[Outcome]:
        try:
            with transaction.atomic():
                ArchivedEvent.objects.bulk_create(
                    [row_of(delivery, bridge=self._bridge) for delivery in batch], ignore_conflicts=True
                )
        except (OperationalError, InterfaceError):
            raise
        except DatabaseError:
            # One of the events is refused; inserting each alone shows which.
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
        return SinkError(f"The database refused it: {_join_lines(refusal)}")

    def _remove_excess(self, came: int) -> None:
        """If it is due, remove some of the rows that are too old or exceed the archive's size."""
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
        """Remove some rows of the bridge that were published more than `days` days ago. Return whether there were
        any.
        """
        before = timezone.now() - timedelta(days=days)
        # Ids begin with milliseconds, which have 13 digits until the year 2286. So the index of the unique constraint
        # finds old rows, and no other index is needed.
        first_kept = str(int(before.timestamp() * 1000))
        old = ArchivedEvent.objects.filter(bridge=self._bridge, entry_id__lt=first_kept, published_at__lt=before)
        found = list(old.order_by("entry_id").values_list("pk", flat=True)[:_TIDIED_AT_ONCE])
        ArchivedEvent.objects.filter(pk__in=found).delete()
        return bool(found)


def _join_lines(error: BaseException | None) -> str:
    return cut(" ".join(str(error).split()), 300)
