"""The explorer in a browser: trees, continuing, comparing and importing, with the keyboard and on both widths."""

import json

import httpx
import pytest

from tests.browser.conftest import DESK, at_both_widths
from tests.browser.test_admin import id_of

pytestmark = pytest.mark.process

STREAM = "training-events"
EXPLORER = f"/admin/streams/stream/explorer/?stream={STREAM}&event_type=of-the-explorer"


def publish(hub, *events):
    lines = "\n".join(json.dumps({"event_type": "of-the-explorer", **event}) for event in events)
    answer = httpx.post(
        f"{hub.url}/events/{STREAM}", content=lines, headers={"content-type": "application/x-ndjson"}, timeout=30
    )
    assert answer.json()["accepted"] == len(events)


@at_both_widths
def test_a_search_continues_on_the_page_and_two_of_its_events_are_compared(open_at, hub, width):
    publish(hub, *({"n": number, "width": width, "big": 2**60 + number} for number in range(60)))
    window = open_at(width)
    page = window.page
    window.open(f"{EXPLORER}&filter=event.width+%3D%3D+{width}")
    rows = page.locator("tr.s-event")
    assert rows.count() == 25

    page.get_by_role("link", name="Older").click()
    rows.nth(49).wait_for()
    page.get_by_role("link", name="Older").click()
    rows.nth(59).wait_for()

    assert page.locator("[data-found]").inner_text() == "60"
    assert page.get_by_role("link", name="Older").count() == 0
    # An exact number of twenty digits is shown as it was published.
    rows.first.locator("summary").press("Enter")
    page.locator(".s-tree-frame", has_text=f"big: {2**60 + 59}").wait_for()
    assert window.too_wide == 0

    compare = page.get_by_role("button", name="Compare two")
    assert compare.is_disabled()
    rows.nth(0).get_by_role("checkbox").check()
    rows.nth(1).get_by_role("checkbox").check()
    compare.click()
    page.locator(".s-diff mark").first.wait_for()
    assert window.too_wide == 0


def test_a_value_of_the_tree_becomes_a_column_and_a_filter(open_at, hub):
    publish(hub, {"customer": {"tier": "gold"}, "odd name": 'it\'s "so"'}, {"customer": {"tier": "lead"}})
    window = open_at(DESK)
    page = window.page
    gold = page.locator("tr.s-event", has_text="gold").first
    window.open(f"{EXPLORER}&filter=has(event.customer)")
    gold.locator("summary").click()
    page.get_by_role("button", name="Copy or search customer.tier").click()
    page.get_by_role("link", name="Show as a column").click()
    page.get_by_role("columnheader", name="customer.tier").wait_for()

    gold.locator("summary").click()
    page.get_by_role("button", name="Copy or search odd name").click()
    page.get_by_role("link", name="Only events with this value").click()
    page.wait_for_url("**odd**")

    wanted = 'has(event.customer) && event["odd name"] == "it\'s \\"so\\""'
    assert page.locator("input[name=filter]").input_value() == wanted
    assert page.locator("tr.s-event").count() == 1


def test_a_file_is_checked_on_the_page_and_then_stored(open_at, hub):
    window = open_at(DESK)
    page = window.page
    window.open(f"/admin/streams/stream/{id_of(hub, 'streams/stream', STREAM)}/import/")
    lines = b'{"event_type": "of-an-import"}\n{oops\n'
    page.locator("input[type=file]").set_input_files(
        [{"name": "events.ndjson", "mimeType": "application/x-ndjson", "buffer": lines}]
    )

    page.get_by_role("button", name="Check").click()
    page.get_by_text("1 of 2 lines can be stored. 1 is refused.").wait_for()
    page.get_by_role("button", name="Store 1 event").click()

    page.get_by_text("1 of 2 lines is stored.").wait_for()
    assert window.too_wide == 0
