"""The soak's judgement: whether each publish got through, and whether memory stayed flat."""

import pytest

from benchmarks.load.values import Result
from benchmarks.measures.rate import Failed
from benchmarks.soak import EVERY, FLAT, Look, check_memory, check_publishes, minutes


def looks(seconds, server=lambda _: 100.0):
    """Looks as often as the soak takes them, with what the server held at each."""
    moments = [number * EVERY for number in range(int(seconds / EVERY) + 1)]
    return [Look(at=at, server=server(at), redis=2 * server(at), length=0) for at in moments]


def result(*, requests=10, errors=0):
    return Result(requests=requests, seconds=1, errors=errors, p50_ms=0, p99_ms=0)


class TestTheMinutes:
    def test_the_second_minute_is_compared_with_the_last(self):
        held = minutes("server", looks(300, lambda at: at))

        # The first look at 60 s counts, the one at 120 s does not; of the last minute, those after 240 s.
        assert held == [87.5, 272.5]

    def test_the_first_minute_counts_for_nothing(self):
        assert minutes("server", looks(300, lambda at: 900.0 if at < 60 else 100.0)) == [100, 100]

    def test_a_single_peak_counts_for_nothing(self):
        assert minutes("server", looks(300, lambda at: 900.0 if at in (90, 280) else 100.0)) == [100, 100]

    def test_minutes_of_redis_show_the_memory_of_redis(self):
        assert minutes("redis", looks(300)) == [200, 200]

    @pytest.mark.parametrize("seconds", [0, 55, 60, 115, 120])
    def test_a_run_that_is_too_short_has_none(self, seconds):
        assert minutes("server", looks(seconds)) == []

    def test_a_last_minute_never_begins_in_the_second(self):
        assert minutes("server", looks(140, lambda at: at)) == [87.5, 132.5]

    def test_a_run_that_was_over_at_once_has_none(self):
        assert minutes("server", []) == []


class TestMemory:
    @pytest.mark.parametrize("last", [50, 100, 100 + FLAT])
    def test_memory_that_stays_within_the_noise_is_flat(self, last):
        check_memory([100, last])

    def test_memory_that_grows_by_more_than_noise_is_a_failure(self):
        with pytest.raises(Failed, match=r"100 MB in the second minute and 110\.1 MB in the last"):
            check_memory([100, 100.1 + FLAT])

    def test_memory_without_measurements_is_no_failure(self):
        check_memory([])


class TestPublishes:
    @pytest.mark.parametrize("stored", [10, 11])
    def test_all_that_were_answered_are_there(self, stored):
        # One that was under way at the end may be stored, and its answer not counted.
        check_publishes(result(requests=10), stored)

    def test_a_refused_publish_is_a_failure(self):
        with pytest.raises(Failed, match="10 publishes, 1 errors, 10 stored"):
            check_publishes(result(requests=10, errors=1), 10)

    def test_a_publish_missing_from_the_stream_is_a_failure(self):
        with pytest.raises(Failed, match="9 stored"):
            check_publishes(result(requests=10), 9)
