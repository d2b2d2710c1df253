"""Charts in a real browser: drawn, with a table behind them, and carried on by what the server pushes."""

import re

import httpx
import pytest

from tests.browser.conftest import DESK, TELEPHONE, at_both_widths
from tests.browser.test_admin import id_of

STREAM = "inference-events"
EVENT = {"event_type": "inference-complete", "model_name": "m", "latency_ms": 1}


def publish(hub, count=1):
    for _ in range(count):
        httpx.post(f"{hub.url}/events/{STREAM}", json=EVENT)


def open_charts(window, hub):
    stream = id_of(hub, "streams/stream", STREAM)
    window.open(f"/admin/streams/stream/{stream}/statistics/?range=15m")
    window.page.locator("[data-chart=length] canvas").wait_for()


@at_both_widths
def test_a_chart_has_its_latest_values_beside_it_and_all_of_them_in_a_table(open_at, hub, width):
    window = open_at(width)
    publish(hub)
    open_charts(window, hub)

    chart = window.page.locator("[data-chart=length]")
    chart.get_by_text("Values").click()

    latest = chart.locator("table tbody tr").first
    latest.wait_for()
    assert chart.locator("table tbody tr").count() > 100
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", latest.locator("time").inner_text())
    assert latest.locator("time").get_attribute("title").endswith(" UTC")
    assert chart.locator(".s-legend b").inner_text() == latest.locator("td").nth(1).inner_text()
    assert window.too_wide == 0


def test_samples_that_are_pushed_go_on_in_every_tab_over_one_connection(open_at, hub):
    first, second = open_at(DESK), open_at(TELEPHONE)
    for window in (first, second):
        open_charts(window, hub)
    before = first.page.locator("[data-chart=length] .s-legend b").inner_text()

    publish(hub, 3)

    # Both are shown by one browser, in which one tab at a time is looked at.
    second.page.bring_to_front()
    for window in (second, first):
        window.page.bring_to_front()
        window.page.wait_for_function(
            "before => document.querySelector('[data-chart=length] .s-legend b').textContent !== before", arg=before
        )
    metrics = httpx.get(f"{hub.url}/metrics", headers={"accept": "text/plain;version=0.0.4"}).text
    assert re.findall(r'synapse_share_used{.*resource="live-seats".*} (\S+)', metrics) == ["1.0"]


@pytest.mark.parametrize("seconds", [400 * 86_400, -7_200, 5])
def test_a_sample_that_does_not_follow_is_not_drawn_on_and_the_history_is_asked_for(open_at, hub, seconds):
    window = open_at(DESK)
    open_charts(window, hub)
    chart = window.page.locator("[data-chart=length]")
    chart.get_by_text("Values").click()
    chart.locator("table tbody tr").first.wait_for()

    with window.page.expect_request(lambda request: "/statistics/?range=15m" in request.url):
        window.page.evaluate(
            """seconds => window.dispatchEvent(new CustomEvent("synapse:sample", {detail: {
                 at: Math.floor(Date.now() / 5000) * 5 + seconds, step: 5, follows: false, streams: {}}}))""",
            seconds,
        )

    assert 100 < chart.locator("table tbody tr").count() < 200


def test_the_page_of_a_stream_that_is_deleted_while_it_is_watched_says_so(open_at, hub):
    window, other = open_at(DESK), open_at(DESK)
    other.open("/admin/streams/stream/add/")
    other.page.locator("#id_name").fill("short-lived")
    other.page.get_by_role("button", name="Save", exact=True).click()
    other.page.get_by_role("heading", name="short-lived").first.wait_for()
    stream = id_of(hub, "streams/stream", "short-lived")
    window.open(f"/admin/streams/stream/{stream}/groups/")
    other.open(f"/admin/streams/stream/{stream}/delete/")
    other.page.get_by_role("button", name="Delete", exact=True).click()

    # With the next sample, not in a quarter of a minute.
    window.page.locator("#figures").evaluate("part => part.dataset.live = '1'")
    window.page.get_by_role("alert").get_by_text("It was deleted while this page was open.").wait_for()

    assert window.page.locator("#figures").is_visible()
