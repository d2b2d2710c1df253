"""How much room archived events take in the database, and making some of it free."""

from django.db import connection

from bridges.models import ArchivedEvent

# What a row of PostgreSQL takes beside its values: its header, its place in the page, and its part of the indexes.
_POSTGRESQL_OVERHEAD = 200
_SAMPLE = 1_000


def archive_bytes() -> int:
    """Return how many bytes archived events take.

    On SQLite it is what the whole database holds, which is hardly anything else where events are archived. On
    PostgreSQL, which gives no room of deleted rows back, it is the number of rows times the mean size of the newest.
    """
    table = ArchivedEvent._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            pages = []
            for pragma in ("page_count", "freelist_count", "page_size"):
                cursor.execute(f"PRAGMA {pragma}")
                pages.append(int(cursor.fetchone()[0]))
            count, free, size = pages
            return (count - free) * size
        cursor.execute("SELECT n_live_tup FROM pg_stat_user_tables WHERE relid = %s::regclass", [table])
        (rows,) = cursor.fetchone()
        newest = f"SELECT * FROM {table} ORDER BY id DESC LIMIT %s"  # noqa: S608  # the name is the model's
        cursor.execute(f"SELECT avg(pg_column_size(newest)) FROM ({newest}) AS newest", [_SAMPLE])  # noqa: S608
        (mean,) = cursor.fetchone()
    return int(rows * (float(mean or 0) + _POSTGRESQL_OVERHEAD))


def delete_oldest(count: int) -> int:
    """Delete the events that were archived first, of whichever bridge. Return how many there were."""
    oldest = list(ArchivedEvent.objects.order_by("id").values_list("id", flat=True)[:count])
    if not oldest:
        return 0
    deleted, _ = ArchivedEvent.objects.filter(id__lte=oldest[-1]).delete()
    return deleted
