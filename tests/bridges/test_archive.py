"""Archived events: one row for each event and bridge, for any event and any number of deliveries."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DataError, OperationalError, connection
from django.utils import timezone

from bridges.archive import archive_bytes, delete_oldest
from bridges.models import ArchivedEvent, Bridge
from bridges.sinks import database
from bridges.sinks.database import DatabaseConfig, DatabaseSink
from synapse.errors.delivery import SinkAway, SinkBroken, SinkError
from synapse.wire import encoding
from tests.bridges.cast import STREAM, always, places, publish
from tests.bridges.sinks import definition, delivery

pytestmark = pytest.mark.django_db
EVENT = {"event_type": "order-placed", "n": 7, "paid": True, "lines": [{"sku": "a", "count": 2}]}


@pytest.fixture
def archive():
    """Open the sink of a new bridge: `archive(keep_days=1)`."""

    def archive(name="into-database", *, clock=None, most_bytes=None, **config):
        bridge = definition("database", row=True, name=name)
        options = {"most_bytes": most_bytes, **({"clock": clock} if clock else {})}
        return DatabaseSink(DatabaseConfig.read(config), bridge=bridge.pk, **options)

    return archive


def own(event, timestamp="2025-12-24T10:00:00+02:00", id_="1766570400123-4", **options):
    """Return the delivery of an event that Synapse published."""
    parts = encoding.encode(event, layout="flat", timestamp=timestamp, source="shop", contract_version=1)
    return delivery(encoding.pairs(parts), id_, **options)


def only_row():
    return ArchivedEvent.objects.get()


def test_a_row_has_the_whole_event_and_what_is_known_of_it(archive):
    sink = archive()

    assert sink.deliver([own(EVENT)], always) == [None]

    row = only_row()
    assert row.event == EVENT
    assert (row.stream, row.entry_id, row.event_type, row.source) == (
        "orders",
        "1766570400123-4",
        "order-placed",
        "shop",
    )
    assert row.occurred_at == datetime(2025, 12, 24, 8, tzinfo=UTC)
    assert row.published_at == datetime(2025, 12, 24, 10, 0, 0, 123000, tzinfo=UTC)
    assert row.note == ""
    assert row.bridge.name == "into-database"


@pytest.mark.parametrize("timestamp", ["yesterday", "", "2025-13-01", "9" * 30, "0001-01-01T00:00:00+14:00"])
def test_an_event_without_a_time_of_its_own_occurred_when_it_was_published(archive, timestamp):
    archive().deliver([delivery({"event_type": "order-placed", "timestamp": timestamp})], always)

    assert only_row().occurred_at == only_row().published_at


def test_an_id_of_no_calendar_is_kept_all_the_same(archive):
    assert archive().deliver([delivery(EVENT, f"{2**64 - 1}-{2**64 - 1}")], always) == [None]

    assert only_row().entry_id == "18446744073709551615-18446744073709551615"
    assert timezone.now() - only_row().published_at < timedelta(minutes=1)


def test_an_event_is_one_row_however_often_it_is_delivered(archive):
    sink = archive()
    batch = [own({**EVENT, "n": n}, id_=f"17-{n}") for n in range(300)]

    for part in (batch[:200], batch[100:], batch):
        assert sink.deliver(part, always) == [None] * len(part)

    assert ArchivedEvent.objects.count() == 300
    assert {row.event["n"] for row in ArchivedEvent.objects.all()} == set(range(300))


def test_each_bridge_keeps_a_row_of_its_own_for_an_event(archive):
    for sink in (archive("one"), archive("other")):
        sink.deliver([own(EVENT)], always)

    assert ArchivedEvent.objects.count() == 2


def test_the_rows_of_a_bridge_that_is_deleted_stay(archive):
    archive().deliver([own(EVENT)], always)

    Bridge.objects.all().delete()

    assert only_row().bridge is None


def test_nul_characters_are_replaced_and_the_row_says_so(archive):
    fields = {
        b"na\x00me": b"te\x00xt",
        b"event_type": b"a\x00b",
        b"deep": b'[{"\\u0000": "\\u0000"}]',
        b"source": b"\x00",
    }

    archive().deliver([delivery(fields)], always)

    row = only_row()
    assert row.event == {"event_type": "a�b", "na�me": "te�xt", "deep": [{"�": "�"}], "source": "�"}
    assert (row.event_type, row.source) == ("a�b", "�")
    assert row.note == "NUL characters were replaced by U+FFFD."


def test_a_text_that_only_looks_like_nul_is_left_as_it_is(archive):
    archive().deliver([delivery({"event_type": "order-placed", "text": "\\u0000"})], always)

    assert only_row().event["text"] == "\\u0000"
    assert only_row().note == ""


def test_values_too_long_for_a_column_are_cut_there_and_whole_in_the_event(archive):
    archive().deliver([delivery({"event_type": "x" * 1000, "source": "ü" * 1000})], always)

    row = only_row()
    assert (row.event_type, row.source) == ("x" * 200, "ü" * 200)
    assert row.event["source"] == "ü" * 1000


def test_an_event_that_the_database_refuses_is_kept_as_a_text_and_its_neighbours_as_they_are(archive, monkeypatch):
    sink = archive()
    bulk_create = ArchivedEvent.objects.bulk_create

    def refuse(rows, **options):
        if any(row.event.get("n") == 2 for row in rows):
            raise DataError("numbers like this\nare too large")
        return bulk_create(rows, **options)

    monkeypatch.setattr(ArchivedEvent.objects, "bulk_create", refuse)
    batch = [own({**EVENT, "n": n}, id_=f"17-{n}") for n in range(4)]

    assert sink.deliver(batch, always) == [None] * 4

    kept = {row.entry_id: row for row in ArchivedEvent.objects.all()}
    assert [kept[f"17-{n}"].event["n"] for n in (0, 1, 3)] == [0, 1, 3]
    assert '"n":2' in kept["17-2"].event["refused_by_database"]
    assert kept["17-2"].note


def test_an_event_that_the_database_refuses_as_a_text_too_is_a_failed_attempt(archive, monkeypatch):
    def refuse(*_, **__):
        raise DataError("not\nthis one")

    monkeypatch.setattr(ArchivedEvent.objects, "bulk_create", refuse)

    (outcome,) = archive().deliver([own(EVENT)], always)

    assert isinstance(outcome, SinkError)
    assert str(outcome) == "The database refused it: not this one"


def test_a_database_that_is_away_is_waited_for(archive, monkeypatch):
    def away(*_, **__):
        raise OperationalError("connection refused\nIs the server running?")

    monkeypatch.setattr(ArchivedEvent.objects, "bulk_create", away)

    with pytest.raises(SinkAway, match=r"^The database cannot be used: connection refused Is the server running\?$"):
        archive().deliver([own(EVENT)], always)


def test_rows_older_than_the_bridge_keeps_them_are_removed_from_time_to_time(archive):
    now = [0.0]
    sink, other = archive("one", keep_days=7, clock=lambda: now[0]), archive("other")
    old, young = (int((timezone.now() - timedelta(days=days)).timestamp() * 1000) for days in (8, 6))
    batch = [own(EVENT, id_=f"{old}-0"), own(EVENT, id_=f"{young}-0")]
    other.deliver(batch, always)
    sink.deliver(batch[1:], always)

    sink.deliver(batch, always)
    assert ArchivedEvent.objects.count() == 4
    now[0] = 11.0
    sink.deliver(batch[1:], always)

    assert [row.entry_id for row in ArchivedEvent.objects.filter(bridge__name="one")] == [f"{young}-0"]
    assert ArchivedEvent.objects.filter(bridge__name="other").count() == 2


def test_rows_of_entries_with_ids_of_a_programs_own_are_removed_like_others(archive):
    now = [0.0]
    sink = archive(keep_days=7, clock=lambda: now[0])
    sink.deliver([own(EVENT, id_="1-1"), own(EVENT, id_="1-2"), own(EVENT, id_="99999999999999-1")], always)

    now[0] = 11.0
    sink.deliver([], always)

    assert [row.entry_id for row in ArchivedEvent.objects.all()] == ["99999999999999-1"]


class TestRoom:
    """Archived events take no more room than they may: those that were archived first go."""

    @pytest.fixture
    def room(self, monkeypatch):
        """A thousand bytes a row, and two rows at once."""
        monkeypatch.setattr(database, "archive_bytes", lambda: 1000 * ArchivedEvent.objects.count())
        monkeypatch.setattr(database, "_TIDIED_AT_ONCE", 2)

    def kept(self):
        return [int(row.entry_id.partition("-")[2]) for row in ArchivedEvent.objects.order_by("id")]

    def batch(self, first, count):
        return [own(EVENT, id_=f"1766570400123-{n}") for n in range(first, first + count)]

    def test_the_oldest_rows_beyond_the_bound_are_removed(self, archive, room):
        now = [0.0]
        sink = archive(clock=lambda: now[0], most_bytes=3000)
        sink.deliver(self.batch(0, 3), always)
        assert self.kept() == [0, 1, 2]

        now[0] = 11.0
        sink.deliver(self.batch(3, 1), always)

        assert self.kept() == [2, 3]

    def test_rows_that_a_large_batch_pushes_beyond_the_bound_are_removed(self, archive, room):
        now = [0.0]
        sink = archive(clock=lambda: now[0], most_bytes=3000)
        sink.deliver(self.batch(0, 1), always)

        now[0] = 11.0
        sink.deliver(self.batch(1, 20), always)

        assert self.kept() == [18, 19, 20]

    def test_without_a_bound_no_row_is_removed(self, archive, room):
        now = [0.0]
        sink = archive(clock=lambda: now[0])
        sink.deliver(self.batch(0, 9), always)

        now[0] = 11.0
        sink.deliver(self.batch(9, 1), always)

        assert self.kept() == list(range(10))

    def test_rows_of_other_bridges_count_towards_the_bound_and_are_removed(self, archive, room):
        now = [0.0]
        archive("other").deliver(self.batch(0, 3), always)
        sink = archive("one", clock=lambda: now[0], most_bytes=3000)

        sink.deliver(self.batch(3, 1), always)

        assert self.kept() == [2, 3]


@pytest.mark.django_db(transaction=True)  # PostgreSQL counts only rows that are committed
def test_the_measured_bytes_of_the_archive_grow_and_shrink_with_its_events(archive):
    empty = archive_bytes()
    archive().deliver([own({**EVENT, "text": "x" * 500}, id_=f"17-{n}") for n in range(2000)], always)
    analyze()
    full = archive_bytes()

    delete_oldest(2000)
    analyze()

    assert full - empty > 2000 * 500
    assert archive_bytes() - empty < 2000 * 100


def analyze():
    """Let PostgreSQL count its rows now: else it does so some time later."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE bridges_archivedevent")


@pytest.mark.parametrize("days", [0, -1, 1_000_000])
def test_days_that_make_no_sense_are_refused(days):
    with pytest.raises(Exception, match="keep_days: must be from 1 to 36500"):
        DatabaseConfig.read({"keep_days": days})


def test_a_bridge_that_no_row_defines_has_no_rows_to_write():
    with pytest.raises(SinkBroken):
        DatabaseSink.open(DatabaseConfig(), definition("database"), stopping=always)


def test_a_worker_archives_a_stream(redis, bridge, archive):
    ids = publish(redis, 250)

    bridge(archive(), batch=500).run_dry()

    assert set(ArchivedEvent.objects.values_list("entry_id", flat=True)) == set(ids)
    assert places(redis) == {"done": 250}
    assert set(ArchivedEvent.objects.values_list("stream", flat=True)) == {STREAM}


def test_archiving_a_batch_takes_few_database_queries(archive, django_assert_max_num_queries):
    sink = archive()
    batch = [own(EVENT, id_=f"17-{n}") for n in range(500)]

    # SQLite takes no more than 999 values a statement; the rest is the transaction's.
    with django_assert_max_num_queries(8 if connection.vendor == "sqlite" else 4):
        sink.deliver(batch, always)
