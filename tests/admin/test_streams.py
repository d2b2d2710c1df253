"""The list of streams shows their traffic, read in two pipelines, and works without Redis."""

import time

import pytest
from django.core.management import call_command

from streams import connections
from streams.models import Stream
from synapse.statistics.sampler import Sampler
from tests.admin.pages import text_of, url
from tests.definitions import define


@pytest.fixture
def busy(redis):
    """A stream with 150 events of the last seconds, a group that read 130 of them, and one that read none."""
    define("orders", {"order-placed": None}, purpose="What customers buy")
    now = int(time.time() * 1000)
    for place in range(150):
        redis.xadd("orders", {"event_type": "order-placed"}, id=f"{now - 3000 + place}-0")
    redis.xgroup_create("orders", "quick", f"{now - 3000 + 129}-0")
    redis.xgroup_create("orders", "slow", "0")
    return now


def rows(page):
    return {stream.name: stream.overview for stream in page.context["cl"].result_list}


def test_the_list_shows_live_statistics(admin_client, busy):
    page = admin_client.get(url("streams.stream"))

    overview = rows(page)["orders"]
    assert (overview.figures.length, overview.figures.groups) == (150, 2)
    assert overview.last_ms == busy - 3000 + 149
    assert not overview.rate.exact
    assert overview.rate.per_minute >= 100
    assert (overview.worst.events, overview.worst.exact) == (150, True)
    assert 3 <= overview.behind_seconds < 30
    assert "orders What customers buy" in text_of(page)


def test_few_events_are_counted_exactly(admin_client, redis):
    define("orders")
    now = int(time.time() * 1000)
    for age in (3_600_000, 30_000, 20_000):
        redis.xadd("orders", {"n": 1}, id=f"{now - age}-0")
    redis.xgroup_create("orders", "half", f"{now - 30_000}-0")

    overview = rows(admin_client.get(url("streams.stream")))["orders"]

    assert (overview.rate.per_minute, overview.rate.exact) == (2, True)
    assert (overview.worst.events, overview.worst.exact) == (1, True)
    assert 20 <= overview.behind_seconds < 50


def test_a_lag_beyond_the_counted_events_is_shown_as_a_lower_bound(admin_client, redis):
    define("orders")
    ids = [redis.xadd("orders", {"n": place}).decode() for place in range(300)]
    redis.xgroup_create("orders", "late", ids[0])

    page = admin_client.get(url("streams.stream"))

    assert (rows(page)["orders"].worst.events, rows(page)["orders"].worst.exact) == (100, False)
    assert "over 100 events" in text_of(page)


def test_a_stream_that_redis_does_not_hold_yet_is_shown_as_empty(admin_client, redis):
    define("orders")

    overview = rows(admin_client.get(url("streams.stream")))["orders"]

    assert (overview.figures.length, overview.last_ms, overview.rate.per_minute, overview.worst) == (0, None, 0, None)


def test_the_sampled_lag_is_shown_where_counting_would_end_early(admin_client, redis):
    define("orders")
    first = int(time.time() * 1000) - 1_500_000
    ids = [redis.xadd("orders", {"n": place}, id=f"{first + place}-0").decode() for place in range(300)]
    redis.xgroup_create("orders", "late", ids[0])
    clock = [time.time() - 20]
    sampler = Sampler(connections.executor, lambda: ["orders"], clock=lambda: clock[0])
    for _ in range(3):
        sampler.step()
        clock[0] += 5

    text = text_of(admin_client.get(url("streams.stream")))

    assert "299 events" in text
    assert "over 100 events" not in text


def test_the_whole_list_is_read_in_one_pipeline(admin_client, round_trips):
    for place in range(20):
        define(f"stream-{place}")

    admin_client.get(url("streams.stream"))

    # Beside the pipeline, each page asks for the number of alerts in its sidebar when it is some seconds old.
    assert len(round_trips) <= 2


def test_a_list_of_twenty_streams_takes_a_bounded_number_of_queries(admin_client, redis, django_assert_max_num_queries):
    for place in range(20):
        define(f"stream-{place}")

    with django_assert_max_num_queries(8):
        admin_client.get(url("streams.stream"))


def test_a_redis_key_of_another_type_does_not_hide_other_streams(admin_client, redis):
    define("orders")
    define("returns")
    redis.set("orders", "somebody else's")
    redis.xadd("returns", {"n": 1})

    found = rows(admin_client.get(url("streams.stream")))

    assert "does not hold a stream" in found["orders"].problem.detail
    assert found["returns"].figures.length == 1


@pytest.mark.parametrize("page", ["changelist", "messages", "groups", "change"])
def test_every_page_of_a_stream_without_redis_reports_that_it_cannot_be_reached(admin_client, no_redis, page):
    stream = define("orders", {"order-placed": None})

    shown = admin_client.get(url("streams.stream", page, *([] if page == "changelist" else [stream.pk])), follow=True)

    assert shown.status_code == 200
    assert "Redis cannot be reached" in text_of(shown)
    assert "orders" in text_of(shown)


def test_a_stream_in_the_list_links_to_its_messages(admin_client, redis):
    stream = define("orders")

    page = admin_client.get(url("streams.stream"))

    assert f'href="{url("streams.stream", "messages", stream.pk)}"' in page.content.decode()


def test_the_admin_shows_a_stream_as_the_catalog_file_defined_it(admin_client, redis, tmp_path):
    file = tmp_path / "orders.yaml"
    file.write_text("streams: [{name: orders, purpose: From the file}]")
    call_command("catalog", "apply", str(file), verbosity=0)

    assert "orders From the file" in text_of(admin_client.get(url("streams.stream")))
    assert Stream.objects.get().purpose == "From the file"
