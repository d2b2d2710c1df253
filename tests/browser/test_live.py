"""A browser's EventSource: comes back by itself, with what it missed."""

import httpx

from tests.patience import eventually

WATCH = """() => {
  window.numbers = [];
  const source = new EventSource('/streams/platform-events/live');
  source.onmessage = (message) => window.numbers.push(JSON.parse(message.data).event.n);
  return new Promise((opened) => { source.onopen = () => opened(source.readyState); });
}"""


def publish(hub, number):
    event = {"event_type": "watched-by-a-browser", "n": number}
    eventually(
        lambda: httpx.post(f"{hub.url}/events/platform-events", json=event).status_code == 201,
        despite=httpx.TransportError,
        within=30,
    )


def test_a_browser_gets_each_event_once_through_the_death_of_the_server(chromium, hub):
    page = chromium.new_page()
    page.goto(f"{hub.url}/healthz")
    assert page.evaluate(WATCH) == 1
    publish(hub, 1)
    page.wait_for_function("window.numbers.length == 1")

    hub.kill_web_server()
    publish(hub, 2)
    publish(hub, 3)
    page.wait_for_function("window.numbers.length == 3", timeout=20_000)

    assert page.evaluate("window.numbers") == [1, 2, 3]
    page.close()
