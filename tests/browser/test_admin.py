"""The admin in a real browser, on a desk and on a telephone."""

import json
import re
import sqlite3
from contextlib import closing

import httpx
import pytest

from tests.browser.conftest import DESK, TELEPHONE, at_both_widths

pytestmark = pytest.mark.process

HOSTILE = "<script>alert(1)</script>"
NAMES = {"contracts/contract": "subject", "streams/eventtype": "name", "streams/stream": "name"}


def id_of(hub, model, name):
    """Return the primary key of a definition: a list in the browser would take ten times as long."""
    query = f"SELECT id FROM {model.replace('/', '_')} WHERE {NAMES[model]} = ?"
    with closing(sqlite3.connect(hub.folder / "var" / "synapse.sqlite3")) as database:
        ((found,),) = database.execute(query, [name])
    return found


def test_a_person_logs_in(open_at):
    window = open_at(DESK)

    window.open("/admin/")

    assert window.page.title() == "Overview | Synapse"


@at_both_widths
def test_a_draft_is_mended_activated_and_obeyed_by_a_test_event_that_is_then_seen(open_at, hub, width):
    window = open_at(width)
    name = {DESK: "system-event", TELEPHONE: "service-status"}[width]
    contract = id_of(hub, "contracts/contract", f"platform-events.{name}")

    window.open(f"/admin/contracts/contract/{contract}/rules/")
    window.page.get_by_label("Compatibility").select_option("NONE")
    window.page.get_by_role("button", name="Save").click()
    window.page.get_by_text("Saved.").wait_for()

    window.open(f"/admin/contracts/contract/{contract}/change/")
    window.write('{\n  "required": ["event_type", "width"]\n  "type": "object"\n}')
    window.page.get_by_role("button", name="Save draft").click()
    window.page.locator(".cm-refused-line").wait_for()
    assert "(line 3, column" in window.text
    assert window.page.locator(".cm-refused-line").inner_text().strip() == '"type": "object"'
    assert window.too_wide == 0

    window.write('{\n  "required": ["event_type", "width"],\n  "type": "object"\n}')
    window.page.get_by_role("button", name="Activate…").click()
    window.page.get_by_role("heading", name="Check events against this draft").wait_for()
    assert "must have the property “width”" in window.text
    assert window.too_wide == 0
    window.page.get_by_role("button", name="Activate", exact=True).click()
    window.page.get_by_text("Version 2 is active").wait_for()

    event_type = id_of(hub, "streams/eventtype", name)
    window.open(f"/admin/streams/eventtype/{event_type}/publish/")
    window.page.get_by_role("button", name="Publish", exact=True).click()
    window.page.locator("#answer", has_text="422").wait_for()
    assert "The event must have the property “width”." in window.text

    window.write(json.dumps({"event_type": name, "width": width}))
    window.page.get_by_role("button", name="Publish", exact=True).click()
    window.page.locator("#answer", has_text="201").wait_for()
    stored = window.page.locator(".s-answer a.s-mono").inner_text()
    assert window.too_wide == 0

    window.page.get_by_role("link", name="messages", exact=True).click()
    message = window.page.locator("tr.s-event").filter(has_text=stored)
    message.locator("summary").click()
    tree = window.page.locator(".s-tree-frame:visible")
    tree.locator(".tok-propertyName").first.wait_for()
    assert f"width: {width}" in tree.inner_text()
    assert window.too_wide == 0


@at_both_widths
def test_hostile_text_in_an_event_is_shown_as_text(open_at, hub, width):
    window = open_at(width)
    id_ = hub.redis().xadd(
        "agi-decisions",
        {"event_type": HOSTILE, "source": "\u202egnp.exe", HOSTILE: f'"></pre>{HOSTILE}<img src=x onerror=alert(2)>'},
    )
    stream = id_of(hub, "streams/stream", "agi-decisions")

    window.open(f"/admin/streams/stream/{stream}/messages/")
    window.page.locator("tr.s-event summary").first.click()
    window.page.locator(".s-tree-frame .tok-string").first.wait_for()
    assert HOSTILE in window.text
    assert window.too_wide == 0
    window.open(f"/admin/streams/stream/{stream}/messages/{id_.decode()}/")
    assert HOSTILE in window.text
    assert window.too_wide == 0


def test_the_keyboard_reaches_and_leaves_everything(open_at, hub):
    window = open_at(DESK)
    contract = id_of(hub, "contracts/contract", "platform-events.user-action")
    window.open(f"/admin/contracts/contract/{contract}/change/")

    window.page.locator(".cm-content").focus()
    window.page.keyboard.press("Tab")
    assert not window.page.evaluate("document.activeElement.closest('.cm-content')")

    httpx.post(f"{hub.url}/events/training-events", json={"event_type": "made-for-this"})
    stream = id_of(hub, "streams/stream", "training-events")
    window.open(f"/admin/streams/stream/{stream}/messages/")
    window.page.locator("tr.s-event summary").first.focus()
    window.page.keyboard.press("Enter")
    window.page.locator(".s-tree-frame .s-tree-menu").first.focus()
    window.page.keyboard.press("Enter")
    window.page.get_by_role("link", name="Only events with this value").wait_for()
    window.page.keyboard.press("Escape")
    assert window.page.evaluate("document.activeElement.className") == "s-tree-menu"


def test_the_menu_of_a_telephone_opens_without_a_mouse(open_at):
    window = open_at(TELEPHONE)
    window.open("/admin/")
    assert not window.page.get_by_role("link", name="Audit entries", exact=True).is_visible()

    window.page.locator("[aria-label=Menu]:visible").press("Enter")

    window.page.get_by_role("link", name="Audit entries", exact=True).wait_for()


def test_statistics_are_kept_up_to_date(open_at, hub):
    window = open_at(DESK)
    stream = id_of(hub, "streams/stream", "model-events")
    window.open(f"/admin/streams/stream/{stream}/groups/")
    assert "Events 0" in window.text

    httpx.post(f"{hub.url}/events/model-events", json={"event_type": "model-deprecated", "model_name": "old"})
    # With the next sample, not in a quarter of a minute.
    window.page.locator("#figures").evaluate("part => part.dataset.live = '1'")

    window.page.get_by_text(re.compile(r"Events\s*1")).first.wait_for()


def test_the_overview_is_pushed_and_not_asked_for(open_at, hub):
    window = open_at(DESK)
    asked = []
    window.page.on("request", lambda request: asked.append(request.url))
    window.open("/admin/")
    events = window.page.locator("#streams-part tr", has_text="model-events").locator("[data-label=Events]")
    before = int(events.inner_text())

    httpx.post(f"{hub.url}/events/model-events", json={"event_type": "model-deprecated", "model_name": "old"})

    events.get_by_text(str(before + 1), exact=True).wait_for()
    assert not [url for url in asked if "/admin/parts/" in url]


def test_the_pages_follow_the_colours_that_the_person_prefers(open_at):
    window = open_at(DESK)
    lightness = {}
    for scheme in ("light", "dark"):
        window.page.emulate_media(color_scheme=scheme)
        window.open("/admin/")
        lightness[scheme] = window.page.evaluate(
            """() => {
                const canvas = document.createElement("canvas").getContext("2d");
                canvas.fillStyle = getComputedStyle(document.querySelector(".s-scroll")).backgroundColor;
                canvas.fillRect(0, 0, 1, 1);
                return canvas.getImageData(0, 0, 1, 1).data[0];
            }"""
        )

    assert lightness["light"] > 200
    assert lightness["dark"] < 60


def test_a_page_whose_server_does_not_answer_says_from_when_its_figures_are(person, hub):
    # No watched page: its browser complains of the answers.
    page = person.new_page()
    page.goto(f"{hub.url}/admin/")
    page.locator("#attention-part").evaluate("part => part.dataset.live = '1'")
    note = page.get_by_role("alert").get_by_text("The server does not answer. What is shown is of")
    fetch = "window.dispatchEvent(new CustomEvent('synapse:sample', {detail: {}}))"

    for failure in (lambda route: route.abort(), lambda route: route.fulfill(status=503)):
        page.route("**/admin/parts/", failure)
        page.evaluate(fetch)
        note.wait_for()
        page.unroute("**/admin/parts/")
        page.evaluate(fetch)
        note.wait_for(state="detached")

    page.close()


def test_the_search_of_the_admin_opens_its_first_result_or_the_chosen_one_with_the_keyboard(open_at, hub):
    id_ = httpx.post(f"{hub.url}/events/training-events", json={"event_type": "made-for-this"}).json()["id"]
    window = open_at(DESK)
    page = window.page
    window.open("/admin/")
    page.keyboard.press("Control+k")
    field = page.locator("#search-input-command")

    def type_fast(text):
        # All but the last key at once: each is drawn over a blurred page, which takes long without a graphics card.
        field.fill(text[:-1])
        field.press(text[-1])

    field.press("Enter")
    type_fast(id_)

    # Before the result is there.
    with page.expect_navigation(url=f"**/messages/{id_}/"):
        field.press("Enter")

    page.keyboard.press("Control+k")
    type_fast("training")
    rows = page.locator("#command-results-list a")
    rows.nth(1).wait_for()
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"):
        field.press(key)
    assert page.locator("#command-results-list li.active").count() == 1
    with page.expect_navigation(url=f"**{rows.nth(1).get_attribute('href')}"):
        field.press("Enter")
