"""From an empty installation to events that reach a webhook, with the mouse and the keyboard, each click counted."""

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.acceptance.hub import Hub
from tests.bridges.receiver import Receiver
from tests.browser.conftest import DESK, Watched, log_in
from tests.patience import eventually
from tests.ports import free_port

pytestmark = pytest.mark.process

MOST_CLICKS = 30


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def empty(tmp_path, receiver) -> Iterator[Hub]:
    """An installation without any definition, whose webhooks may reach this machine."""
    others = {"SYNAPSE_CATALOG": "none", "SYNAPSE_WEBHOOK_ALLOW": "127.0.0.1", "SYNAPSE_AUTH": "required"}
    hub = Hub(folder=tmp_path, port=free_port(), others=others, from_nothing=True)
    hub.start()
    yield hub
    hub.stop()


class Hand:
    """Clicks and types as a person does, and counts the clicks: one into each field, too, unless it has the focus."""

    def __init__(self, page) -> None:
        self.page, self.clicks = page, 0

    def click(self, role: str, name: str, *, exact: bool = True) -> None:
        self.page.get_by_role(role, name=name, exact=exact).first.click()
        self.clicks += 1

    def write(self, locator, text: str) -> None:
        if not locator.evaluate("field => field === document.activeElement"):
            locator.click()
            self.clicks += 1
        self.page.keyboard.insert_text(text)


def test_a_stream_two_services_and_a_webhook_take_less_than_thirty_clicks(chromium, empty, receiver, capsys):
    context = chromium.new_context(reduced_motion="reduce", viewport={"width": DESK, "height": 900})
    page = context.new_page()
    log_in(page, empty)
    window, hand = Watched(page, empty), Hand(page)

    hand.click("link", "Add a stream")
    hand.write(page.locator("#id_name"), "orders")
    for place, name in enumerate(("order-placed", "order-paid", "order-sent")):
        hand.write(page.locator(f"#id_event_types-{place}-name"), name)
        example = {"event_type": name, "order_id": "A-1", "total": 12.5}
        hand.write(page.locator(f"#id_event_types-{place}-example"), json.dumps(example))
    hand.click("button", "Save")
    keys = {}
    for link, service in (("Add a publisher", "shop"), ("Add a reader", "warehouse")):
        hand.click("link", link)
        hand.write(page.locator("#id_name"), service)
        hand.click("button", "Save and issue a key")
        keys[service] = page.locator("#issued-key").inner_text()
        hand.click("link", "orders")
    hand.click("link", "Add a bridge")
    hand.click("radio", "Webhook", exact=False)
    hand.write(page.locator("#id_config-webhook-url"), receiver.url)
    hand.write(page.locator("#id_name"), "to-billing")
    hand.click("button", "Save")
    page.get_by_text("shown only now").wait_for()

    def publish(key: str, event: dict[str, object]) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.post(f"{empty.url}/events/orders", json=event, headers=headers).status_code

    event = {"event_type": "order-paid", "order_id": "A-2", "total": 3}
    # Another process reads the catalog anew within a second.
    eventually(lambda: publish(keys["shop"], event) == 201)
    assert publish(keys["warehouse"], event) == 403
    assert publish(keys["shop"], {"event_type": "order-paid", "order_id": 7}) == 422
    eventually(lambda: receiver.got)
    assert receiver.got[0].json["data"]["order_id"] == "A-2"
    window.check()
    context.close()
    with capsys.disabled():
        print(f"\n{hand.clicks} clicks")
    assert hand.clicks < MOST_CLICKS
