"""A browser's EventSource reconnects by itself and gets the events it missed."""

import json
import re
from urllib.parse import urlsplit

import httpx

from tests.browser.conftest import DESK, at_both_widths
from tests.browser.test_admin import HOSTILE, id_of
from tests.patience import eventually

WATCH = """() => {
  window.numbers = [];
  window.ofMany = {};
  const source = new EventSource('/streams/platform-events/live');
  source.onmessage = (message) => window.numbers.push(JSON.parse(message.data).event.n);
  source.onopen = () => {
    source.onopen = null;  // It opens again after the death of the server.
    const many = new EventSource('/live?stream=agi-decisions&stream=model-events,platform-events');
    many.onmessage = (message) => {
      const {stream, event} = JSON.parse(message.data);
      (window.ofMany[stream] ??= []).push(event.n);
    };
    many.onopen = () => { window.isOpen = true; };
  };
}"""


def publish(hub, number, stream="platform-events"):
    event = {"event_type": "watched-by-a-browser", "n": number}
    eventually(
        lambda: httpx.post(f"{hub.url}/events/{stream}", json=event).status_code == 201,
        despite=httpx.TransportError,
    )


def test_a_browser_gets_each_event_once_through_the_death_of_the_server(chromium, hub):
    # Answers of the API may load nothing; this page stands for one of a front end.
    page = chromium.new_page(bypass_csp=True)
    page.goto(f"{hub.url}/healthz")
    page.evaluate(WATCH)
    page.wait_for_function("window.isOpen")
    publish(hub, 1)
    page.wait_for_function("window.numbers.length == 1 && window.ofMany['platform-events']")

    hub.kill_web_server()
    publish(hub, 2)
    publish(hub, 3)
    publish(hub, 4, "agi-decisions")
    page.wait_for_function("window.numbers.length == 3", timeout=60_000)
    page.wait_for_function("window.ofMany['platform-events'].length == 3 && window.ofMany['agi-decisions']")

    assert page.evaluate("window.numbers") == [1, 2, 3]
    assert page.evaluate("window.ofMany") == {"platform-events": [1, 2, 3], "agi-decisions": [4]}
    page.close()


@at_both_widths
def test_a_person_watches_a_stream_live(open_at, hub, width):
    window = open_at(width)
    stream = id_of(hub, "streams/stream", "platform-events")
    window.open(f"/admin/streams/stream/{stream}/messages/?event_type=hostile-event")
    window.page.get_by_role("button", name="Watch live").click()
    window.page.get_by_text("Watching: new events appear here.").wait_for()

    # Numbers that JavaScript cannot hold.
    event = {"event_type": "hostile-event", "text": HOSTILE + "\u202e", "id": 9007199254740993, "weight": 33.0}
    httpx.post(f"{hub.url}/events/platform-events", json={"event_type": "another-event"})
    httpx.post(f"{hub.url}/events/platform-events", json=event)
    window.page.locator(".s-messages summary").click()

    shown = window.page.locator(".s-messages details").inner_text()
    assert f"{HOSTILE}\\u202e" in shown
    assert shown.count("9007199254740993") == shown.count("33.0") == 2
    assert window.page.locator(".s-messages details").count() == 1
    assert window.too_wide == 0
    link = window.page.locator(".s-messages").get_by_role("link", name="Open").get_attribute("href")
    assert re.fullmatch(rf"/admin/streams/stream/{stream}/messages/\d+-\d+/", link)
    window.page.evaluate(
        """() => {
          window.copied = [];
          navigator.clipboard.writeText = async (text) => window.copied.push(text);
        }"""
    )
    copy = window.page.locator(".s-messages button[data-copy]")
    for _ in range(2):
        copy.click()
    copied = window.page.evaluate("window.copied")
    assert [json.loads(text) for text in copied] == [event] * 2
    # Pressed while it says that it has copied, too, it says again what it is for.
    window.page.locator(".s-messages button", has_text="Copy as JSON").wait_for()
    window.page.get_by_role("button", name="Stop watching").click()
    window.page.get_by_role("button", name="Watch live").wait_for()


def test_a_person_watches_all_streams_over_one_connection(open_at, hub):
    window = open_at(DESK)
    watched = []
    window.page.on("request", lambda request: watched.append(urlsplit(request.url).path))
    window.open("/admin/streams/stream/explorer/?event_type=watched-in-many")
    window.page.get_by_role("button", name="Watch live").click()
    window.page.get_by_text("Watching: new events appear here.").wait_for()

    for stream in ("platform-events", "agi-decisions"):
        httpx.post(f"{hub.url}/events/{stream}", json={"event_type": "watched-in-many", "n": 1})
        window.page.locator(".s-messages .s-message-type", has_text=stream).wait_for()

    assert watched.count("/live") == 1
    assert window.too_wide == 0
    window.page.get_by_role("button", name="Stop watching").click()
