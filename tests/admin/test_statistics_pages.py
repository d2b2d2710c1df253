"""The pages of statistics: charts of streams, bridges and groups, with marks for changes of definitions."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from bridges.admin.bridge_states import read_overviews
from bridges.models import Bridge
from core import audit
from core.admin import home
from core.templatetags.synapse import sparkline
from streams import connections
from synapse.auth.principal import SYSTEM, Principal
from synapse.delivery.status import Status, pack
from synapse.redis import keyspace
from synapse.redis.commands import participants
from synapse.statistics.sampler import Sampler
from tests.admin.pages import text_of
from tests.definitions import define

HOSTILE = "</script><script>alert(1)</script>"
# Without a slash, for its name to stand in an address.
GROUP = "<script>alert(1)<b>"


@pytest.fixture
def stream(redis):
    """A stream whose group `<b>` fails, sampled some seconds ago."""
    stream = define("orders", {"order-placed": {"required": ["n"]}})
    redis.xgroup_create("orders", "shop", "$", mkstream=True)
    clock = [time.time() - 20]
    sampler = Sampler(connections.executor, lambda: ["orders"], clock=lambda: clock[0])
    for round_ in range(4):
        redis.hincrby(keyspace.counters("orders", "shop"), "retried", round_)
        redis.hincrby(keyspace.counters("orders", "shop"), "failed:timeout", round_)
        redis.hincrby(keyspace.stats("orders"), f"refused:{HOSTILE}", round_)
        assert sampler.step()
        clock[0] += 5
    return stream


def charts_of(page):
    return {chart["name"]: chart for chart in page.context["charts"]["data"]["charts"]}


def test_the_page_of_a_stream_has_charts_with_its_limits_and_names_that_are_html_are_text(admin_client, stream):
    page = admin_client.get(f"/admin/streams/stream/{stream.pk}/statistics/?range=15m")

    found = charts_of(page)
    assert "data-reload" not in page.content.decode()
    assert [limit["value"] for limit in found["length"]["limits"]] == [stream.hard_length]
    assert [line["label"] for line in found["refused"]["lines"]] == [HOSTILE]
    assert "<script>alert(1)" not in page.content.decode()


def test_refreshed_statistics_report_that_redis_cannot_be_reached(admin_client, no_redis):
    stream = define("orders")
    bridge = Bridge.objects.create(name="b", stream=stream, group="shop", sink="console")
    pages = {
        f"streams/stream/{stream.pk}/statistics/": "figures",
        f"bridges/bridge/{bridge.pk}/statistics/": "figures",
        f"bridges/bridge/groups/{stream.pk}/shop/": "facts",
    }

    for path, part in pages.items():
        fetched = admin_client.get(f"/admin/{path}?figures").content.decode()
        assert fetched.strip().startswith(f'<div id="{part}"'), path
        assert "Redis cannot be reached" in fetched, path
        # The page is loaded again when it has charts.
        assert "data-reload" in admin_client.get(f"/admin/{path}").content.decode()


def test_refreshed_statistics_show_why_a_bridge_cannot_run(admin_client, stream):
    bridge = Bridge.objects.create(name="b", stream=stream, group="shop", sink="console")
    status = Status(state="failed", since=time.time(), reason="The receiver is away.")
    connections.executor().execute([participants.report("orders", "shop", "host:1", pack(status), keep_ms=60_000)])

    fetched = admin_client.get(f"/admin/bridges/bridge/{bridge.pk}/statistics/?figures").content.decode()

    # All of it is in the part that a page replaces.
    (part,) = re.findall(r'\A\s*<div id="figures"(.*)</div>\s*\Z', fetched, re.DOTALL)
    assert "The receiver is away." in part


def test_a_bridge_counts_all_that_its_group_lost(admin_client, stream, redis):
    bridge = Bridge.objects.create(name="b", stream=stream, group="shop", sink="console")
    redis.hset(keyspace.counters("orders", "shop"), mapping={"lost_trimmed": 2, "lost_silent": 3})

    assert "Lost 5" in text_of(admin_client.get(f"/admin/bridges/bridge/{bridge.pk}/statistics/"))


def test_a_value_between_two_gaps_is_drawn_as_wide_as_one_value():
    drawn = sparkline([None, 4, None, 2, 2], "Events")

    assert re.findall(r's-spark-line" d="M([^"]*)"', drawn) == ["150,20 450,20", "900,140 1200,140"]


def test_a_small_chart_has_the_bends_of_a_line_and_the_ends_of_its_level_parts():
    drawn = sparkline([0, 0, 0, 6, 6, 6, 6, 3, 0], "Events", [4])

    assert re.findall(r's-spark-line" d="M([^"]*)"', drawn) == ["0,260 300,260 450,20 900,20 1050,140 1200,260"]
    assert 's-spark-mark" d="M600,0V280"' in drawn


def test_the_trend_of_retries_is_not_shown_beside_a_lag_of_zero(admin_client, redis):
    stream = define("orders")
    bridge = Bridge.objects.create(name="b", stream=stream, group="shop", sink="console")
    redis.xgroup_create("orders", "shop", "$", mkstream=True)
    clock = [time.time() - 20]
    sampler = Sampler(connections.executor, lambda: ["orders"], clock=lambda: clock[0])
    for round_ in range(4):
        redis.zadd(keyspace.waiting("orders", "shop"), {f"{round_}-{each}": 1 for each in range(9)})
        assert sampler.step()
        clock[0] += 5
    paths = (f"bridges/bridge/{bridge.pk}/statistics/", f"bridges/bridge/groups/{stream.pk}/shop/")

    pages = [admin_client.get(f"/admin/{path}") for path in paths]

    assert [page.context["trend"] for page in pages] == ["rising", "rising"]
    assert not any("rising" in text_of(page) for page in pages)


def test_the_figures_of_a_bridge_take_no_more_round_trips_with_their_trend(admin_client, redis, round_trips):
    bridge = Bridge.objects.create(name="b", stream=define("orders"), group="shop", sink="console")
    connections.executor().run(read_overviews([bridge]))
    without = len(round_trips)
    round_trips.clear()

    admin_client.get(f"/admin/bridges/bridge/{bridge.pk}/statistics/?figures")

    assert len(round_trips) == without == 1


def test_changes_of_definitions_are_marked_in_charts_for_people_who_may_see_the_audit_log(
    admin_client, client_who_may, stream
):
    audit.record(SYSTEM, "change", "stream orders", before={"max_length": 5}, after={"max_length": 9})
    audit.record(SYSTEM, "see payloads", "stream orders", after={"events": 1})
    audit.record(SYSTEM, "change", "stream others", before={"max_length": 5}, after={"max_length": 9})
    address = f"/admin/streams/stream/{stream.pk}/statistics/"

    marks = admin_client.get(address).context["charts"]["data"]["marks"]
    none = client_who_may("streams.view_stream").get(address).context["charts"]["data"]["marks"]

    texts = [mark["text"] for mark in marks]
    assert "synapse changed stream orders: max_length from 5 to 9" in texts
    assert not any("others" in text or "payload" in text for text in texts)
    assert none == []


def test_a_person_without_payload_access_sees_figures_and_no_contents(client_who_may, stream, redis):
    redis.xadd("orders", {"event_type": "order-placed", "source": "cash-desk"})
    redis.xadd(keyspace.dead_letters("orders", "shop"), {"id": "1-0", "error": "cash-desk"})
    status = Status(state="failed", since=time.time(), reason="cash-desk sent no number", error="cash-desk")
    connections.executor().execute([participants.report("orders", "shop", "host:1", pack(status), keep_ms=60_000)])
    bridge = Bridge.objects.create(name="b", stream=stream, group="shop", sink="console")
    client = client_who_may("streams.view_stream", "bridges.view_bridge")

    charts, *others = (
        client.get(f"/admin/{path}")
        for path in (
            f"streams/stream/{stream.pk}/statistics/",
            f"bridges/bridge/{bridge.pk}/statistics/",
            f"bridges/bridge/groups/{stream.pk}/shop/",
            "parts/",
        )
    )

    assert charts_of(charts)["refused"]["lines"] != []
    assert all("failing" in text_of(page) for page in others)
    assert all("cash-desk" not in page.content.decode() for page in (charts, *others))


def test_names_that_are_html_are_text_on_every_page_of_statistics(admin_client, stream, redis):
    # Names that no definition may have, and that programs may give to what they make.
    redis.xgroup_create("orders", GROUP, "0")
    redis.xadd("orders", {"event_type": HOSTILE, "source": HOSTILE})
    redis.xreadgroup(GROUP, HOSTILE, {"orders": ">"})
    redis.xadd(keyspace.dead_letters("orders", GROUP), {"id": "1-0"})
    audit.record(Principal(kind="person", name=HOSTILE), "change", "stream orders", after={HOSTILE: HOSTILE})
    bridge = Bridge.objects.create(name="b", stream=stream, group="shop", sink="console")
    redis.delete(keyspace.SAMPLER_LEASE)
    assert Sampler(connections.executor, lambda: ["orders"]).step()

    pages = {
        path: admin_client.get(f"/admin/{path}")
        for path in (
            "",
            "parts/",
            f"streams/stream/{stream.pk}/statistics/",
            f"streams/stream/{stream.pk}/groups/",
            f"bridges/bridge/{bridge.pk}/statistics/",
            f"bridges/bridge/groups/{stream.pk}/{quote(GROUP, safe='')}/",
            "streams/service/integration/",
        )
    }

    assert {path: page.status_code for path, page in pages.items()} == dict.fromkeys(pages, 200)
    for path, page in pages.items():
        assert "<script>alert(1)" not in page.content.decode(), path
    assert HOSTILE in text_of(pages[f"streams/stream/{stream.pk}/statistics/"])


def test_a_bridge_and_its_group_show_what_fails_and_in_which_state_they_are(admin_client, stream):
    bridge = Bridge.objects.create(name="b", stream=stream, group="shop", sink="console")
    address = f"/admin/bridges/bridge/groups/{stream.pk}/shop/"

    pages = [admin_client.get(path) for path in (f"/admin/bridges/bridge/{bridge.pk}/statistics/", address)]

    for page in pages:
        assert [line["label"] for line in charts_of(page)["failures"]["lines"]] == ["timeout"]
    assert "failing" in text_of(pages[1])


@pytest.mark.parametrize("asked", ["10y", "-1h", HOSTILE])
def test_an_unknown_time_range_shows_the_last_hour_and_a_warning(admin_client, stream, asked):
    page = admin_client.get(f"/admin/streams/stream/{stream.pk}/statistics/", {"range": asked})

    assert "There is no time range" in text_of(page)
    assert page.context["charts"]["data"]["range"] == 3_600
    assert "<script>alert(1)" not in page.content.decode()


def test_statistics_pages_without_redis_report_that_it_cannot_be_reached(admin_client, no_redis):
    stream = define("orders")
    bridge = Bridge.objects.create(name="b", stream=stream, group="shop", sink="console")

    for path in (f"streams/stream/{stream.pk}/statistics/", f"bridges/bridge/{bridge.pk}/statistics/"):
        page = admin_client.get(f"/admin/{path}")
        assert page.status_code == 200
        assert "Redis cannot be reached" in text_of(page)


@pytest.mark.parametrize(("took", "seconds"), [(0.001, 2), (0.24, 2), (0.26, 5.2), (1, 20)])
def test_parts_show_each_sample_unless_making_them_takes_more_than_a_twentieth_of_the_time(took, seconds):
    assert home.seconds_answered(took) == pytest.approx(seconds)


def test_viewers_with_equal_permissions_share_the_parts_of_the_first_page(
    admin_client, client_who_may, stream, round_trips, monkeypatch
):
    monkeypatch.setattr(home, "shared_parts", home._SharedParts())

    first, second = admin_client.get("/admin/parts/"), admin_client.get("/admin/parts/")
    asked = len(round_trips)
    stranger = client_who_may().get("/admin/parts/")

    assert "failing orders / shop" in text_of(first)
    assert first.content == second.content
    assert "orders" not in text_of(stranger)
    assert len(round_trips) == asked


def test_the_first_steps_name_the_address_at_which_each_viewer_sees_the_server(admin_client, redis, monkeypatch):
    monkeypatch.setattr(home, "shared_parts", home._SharedParts())
    define("orders")

    pages = [admin_client.get("/admin/parts/", headers={"host": host}) for host in ("localhost:1", "127.0.0.1:2")]

    assert [b"http://localhost:1" in page.content for page in pages] == [True, False]
    assert [b"http://127.0.0.1:2" in page.content for page in pages] == [False, True]


class Viewer:
    """A person with some permissions, as the shared parts look at them."""

    is_superuser = False

    def __init__(self, *permissions):
        self.permissions = permissions

    def get_all_permissions(self):
        return set(self.permissions)


@pytest.fixture
def shared(monkeypatch, rf):
    """Shared parts that name their viewer's permissions; those of “slow” are made when the event is set."""
    parts, made, slow, release = home._SharedParts(), [], threading.Event(), threading.Event()

    def render(request):
        if "slow" in request.user.permissions and not slow.is_set():
            slow.set()
            assert release.wait(10)
        made.append(request.user.permissions)
        return f"{len(made)} {request.user.permissions}".encode()

    monkeypatch.setattr(home, "_render_parts", render)

    def ask(*permissions):
        request = rf.get("/admin/parts/", headers={"host": "localhost"})
        request.user = Viewer(*permissions)
        return parts.html(request)

    with ThreadPoolExecutor(4) as threads:
        yield SimpleNamespace(ask=ask, threads=threads, made=made, slow=slow, release=release, parts=parts)
        release.set()


def test_a_viewer_waits_for_its_own_parts_and_not_for_those_of_other_viewers(shared):
    first = shared.threads.submit(shared.ask, "slow")
    assert shared.slow.wait(10)
    second = shared.threads.submit(shared.ask, "slow")

    assert shared.ask("other") == b"1 ('other',)"
    assert not second.done()
    shared.release.set()

    assert first.result(10) == second.result(10) == b"2 ('slow',)"
    assert shared.made == [("other",), ("slow",)]


def test_a_viewer_who_waited_too_long_gets_parts_made_separately(shared, monkeypatch):
    monkeypatch.setattr(home, "LONGEST_WAIT", 0.01)
    first = shared.threads.submit(shared.ask, "slow")
    assert shared.slow.wait(10)

    assert shared.ask("slow") == b"1 ('slow',)"
    shared.release.set()
    assert first.result(10) == b"2 ('slow',)"


def test_parts_are_cached_for_a_bounded_number_of_permission_sets(shared):
    for place in range(3 * home.MOST_KINDS):
        shared.ask(f"permission-{place}")

    assert len(shared.parts._parts) == home.MOST_KINDS
