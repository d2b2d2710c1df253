"""A bridge fails, a chat is told of it once with all that helps, and again when it is mended.

This is for the full run: it waits a minute and a half for samples, rules and notifications that are a minute apart.
Each of them is also tested by itself: tests/alerts/test_the_twelve.py, tests/bridges/test_notifications.py.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.acceptance.hub import Hub, running_hub
from tests.bridges.notified import TOKENS, Receivers, texts_of
from tests.bridges.receiver import Receiver, answer
from tests.bridges.sinks import SECRET
from tests.patience import eventually

pytestmark = [pytest.mark.process, pytest.mark.nightly]

CATALOG = """
streams:
  - name: orders
bridges:
  - name: orders-to-shop
    stream: orders
    group: shop
    sink: webhook
    config: {url: "%s", secret: shop}
    max_attempts: 1
    owner: Team Shop
    runbook: https://wiki.example.com/shop
    labels: {team: shop}
  - {name: alerts-to-chat, stream: synapse-alerts, group: chat, sink: notification, config: {target: ops-chat}}
# People are told when all have failed, and of nothing else.
alerts:
  - {name: dead-letters, threshold: 126}
  - {name: delivery-failing, enabled: false}
"""


@dataclass
class Scene:
    """A hub, the shop that its bridge posts to, and the chat that is told."""

    hub: Hub
    shop: Receiver
    chat: Receiver


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    receivers, shop = Receivers(tmp_path), Receiver()
    chat = receivers.http()
    chat.always(answer(202))
    others = {
        "SYNAPSE_CATALOG": "none",
        "SYNAPSE_PUBLIC_URL": "https://synapse.example.com",
        "SYNAPSE_WEBHOOK_ALLOW": "127.0.0.1",
        "SYNAPSE_SECRET_SHOP": SECRET,
        "SYNAPSE_SECRET_OPS_CHAT": f"workflows://127.0.0.1:{chat.port}/{'/'.join(TOKENS)}",
        "SSL_CERT_FILE": str(receivers.authority.file),
    }
    with running_hub(tmp_path, others) as hub:
        yield Scene(hub, shop, chat)
    shop.close()
    receivers.close()


def run(hub: Hub, *words: str) -> None:
    process = hub.command(*words)
    said, wrong = process.communicate(timeout=180)
    assert process.returncode == 0, said + wrong


def test_a_chat_is_told_once_that_a_bridge_fails_and_again_when_it_is_mended(scene: Scene, tmp_path: Path) -> None:
    hub, shop, chat = scene.hub, scene.shop, scene.chat
    # A bridge slows down when all of its first attempts fail.
    shop.answers = lambda number: answer(503 if number % 2 else 204)
    (tmp_path / "catalog.yaml").write_text(CATALOG % shop.url)
    run(hub, "define_alerts_stream")
    run(hub, "catalog", "apply", str(tmp_path / "catalog.yaml"))
    orders = "\n".join(json.dumps({"event_type": "order-placed", "n": n}) for n in range(252))
    published = httpx.post(
        f"{hub.url}/events/orders", content=orders, headers={"Content-Type": "application/x-ndjson"}, timeout=60
    )
    assert published.status_code < 300, published.text

    eventually(lambda: chat.got)

    ((title, body),) = texts_of(chat)
    assert title == "firing: bridge orders-to-shop fails"
    sentence, *more = body.splitlines()
    assert re.fullmatch(r"bridge orders-to-shop fails: 126 dead letters since \d\d:\d\d, HTTP 503", sentence)
    assert {"Owner: Team Shop", "Runbook: https://wiki.example.com/shop", "Labels: team=shop"} <= set(more)
    assert re.search(r"^Open: https://synapse\.example\.com/admin/bridges/\S+$", body, re.MULTILINE)

    discard = f"{hub.url}/streams/orders/groups/shop/dead-letters/discard"
    assert httpx.post(discard, json={"all": True, "reason": "known"}, timeout=60).status_code == 200
    eventually(lambda: len(chat.got) > 1)

    _, (title, body) = texts_of(chat)
    assert title == "resolved: bridge orders-to-shop fails"
    assert body.startswith("bridge orders-to-shop fails: 126 dead letters")
