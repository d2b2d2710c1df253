"""Where a group begins, as a person writes it."""

from datetime import UTC, datetime

import pytest

from synapse.errors.delivery import BadPosition
from synapse.wire.ids import start_of
from tests.tables import for_each

NOW = datetime(2025, 12, 24, 12, tzinfo=UTC)
LAST = 2**64 - 1


@for_each(
    "text, start",
    [
        ("beginning", "0"),
        ("new", "$"),
        # The event itself is included: Redis begins after the id that it is given.
        ("1766570400000-5", "1766570400000-4"),
        ("1766570400000-0", f"1766570399999-{LAST}"),
        ("1766570400000", f"1766570399999-{LAST}"),
        ("0-1", "0-0"),
        ("0-0", "0"),
        (f"{LAST}-{LAST}", f"{LAST}-{LAST - 1}"),
        ("2025-12-24T10:00:00Z", f"1766570399999-{LAST}"),
        ("2025-12-24T12:00:00+02:00", f"1766570399999-{LAST}"),
        ("2025-12-24 10:00", f"1766570399999-{LAST}"),
        ("2025-12-24", f"1766534399999-{LAST}"),
        ("1960-01-01", "0"),
    ],
)
def test_a_start_position_is_an_id_or_a_time(text, start):
    assert start_of(text, now=NOW) == start


@for_each(
    "text, reason",
    [
        ("yesterday", "not a start position"),
        ("", "not a start position"),
        ("-5", "not a start position"),
        ("1-2-3", "not a start position"),
        (f"{2**64}-0", "64 bits"),
        ("2025-12-24T12:00:01Z", "is in the future"),
    ],
)
def test_an_invalid_start_position_is_refused_with_a_reason(text, reason):
    with pytest.raises(BadPosition, match=reason):
        start_of(text, now=NOW)


def test_a_group_that_begins_at_an_event_gets_that_event_and_all_later_ones(redis, bridge):
    ids = [redis.xadd("orders", {"n": n}, id=f"1700000000000-{n}").decode() for n in range(4)]

    assert bridge(start=start_of(ids[2], now=NOW)).run_dry().sink.ids == ids[2:]
