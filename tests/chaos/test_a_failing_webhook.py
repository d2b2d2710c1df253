"""`make run`, a webhook whose receiver fails half of the time, and everything is killed: each event arrives.

The dead letters are exactly those that the receiver never takes, and when it does, redriving them in the admin delivers
them.
"""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.hub import Hub
from tests.bridges.sinks import SECRET
from tests.chaos.admin_pages import Person
from tests.chaos.failing_shop import FailingShop, Publisher
from tests.patience import eventually
from tests.ports import free_port

pytestmark = [pytest.mark.process, pytest.mark.nightly]

EVENTS, BRIDGE_KILLS, VALKEY_KILLS = 10_000, 10, 2
ATTEMPTS = 12
# None among the last: an event that nobody takes is tried its twelve times while others succeed, as in a live stream.
POISON = frozenset(range(7, EVENTS * 9 // 10, 97))
STREAM, GROUP = "orders", "shop"


@pytest.fixture
def shop():
    shop = FailingShop(seed=1, poison=POISON)
    yield shop
    shop.receiver.close()


@pytest.fixture
def hub(tmp_path, shop):
    """A hub in a folder of its own, whose catalog is a bridge to the shop."""
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(shop.catalog(ATTEMPTS))
    others = {"SYNAPSE_CATALOG": str(catalog), "SYNAPSE_WEBHOOK_ALLOW": "127.0.0.1", "SYNAPSE_SECRET_SHOP": SECRET}
    hub = Hub(folder=tmp_path, port=free_port(), others=others)
    hub.start()
    yield hub
    if hub.process.poll() is None:
        hub.stop()


def pid_of_the_bridges(hub: Hub) -> int | None:
    """Return the process that delivers; None between two lives."""
    found = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    running = re.search(rf"^\s*(\d+)\s+{hub.process.pid}\s.*manage\.py consume --all", found, re.MULTILINE)
    return int(running[1]) if running else None


def kill_the_bridges(hub: Hub) -> None:
    try:
        os.kill(eventually(lambda: pid_of_the_bridges(hub)), signal.SIGKILL)
    except AssertionError:
        pytest.fail(f"nobody delivers:\n{hub.output[-3000:]}")


def kill_valkey(hub: Hub) -> None:
    """Kill the server, as soon as there is another one since it was killed last."""
    pid = hub.folder / "var" / "redis" / "valkey.pid"
    eventually(lambda: is_running(pid), despite=Exception)
    hub.kill_redis()


def is_running(pid: Path) -> bool:
    return Path(f"/proc/{int(pid.read_text())}").exists()


def deeds():
    """Return the actions on the hub in their order: kills of Valkey among kills of bridges."""
    order = [kill_the_bridges] * BRIDGE_KILLS
    for nth in range(VALKEY_KILLS):
        order.insert((nth + 1) * len(order) // (VALKEY_KILLS + 1), kill_valkey)
    return order


def dead_letters(hub: Hub) -> list[int]:
    """Return the numbers of the events that are dead letters."""
    with hub.redis() as redis:
        letters = redis.xrange(f"syn:{{{STREAM}}}:dlq:{GROUP}")
    return [int(re.search(rb"1:n,\d+:(\d+),", fields[b"body"])[1]) for _, fields in letters]


def settled(hub: Hub) -> bool:
    """Say whether the group has nothing more to do."""
    with hub.redis() as redis:
        unread = redis.xinfo_groups(STREAM)[0]["last-delivered-id"] != redis.xinfo_stream(STREAM)["last-generated-id"]
        pending = redis.xpending(STREAM, GROUP)["pending"]
        return not unread and pending + redis.zcard(f"syn:{{{STREAM}}}:due:{GROUP}") == 0


def test_every_event_arrives_signed_and_what_is_dead_arrives_after_redriving_it_in_the_admin(hub, shop, capsys):
    publisher = Publisher(hub, EVENTS)
    publisher.start()

    todo = deeds()
    for nth, deed in enumerate(todo, start=1):
        eventually(lambda nth=nth: len(shop.taken) >= nth * EVENTS // (len(todo) + 1), within=300)
        deed(hub)
    publisher.join(timeout=300)
    eventually(lambda: settled(hub), within=300, despite=Exception)

    missing = publisher.acknowledged - set(shop.taken) - POISON
    with capsys.disabled():
        again = sum(shop.taken.values()) - len(shop.taken)
        print(
            f"\n{EVENTS:,} events, {BRIDGE_KILLS} bridges and {VALKEY_KILLS} Valkey killed: "
            f"{shop.requests:,} requests, {sum(shop.refused.values()):,} refused, "
            f"{len(missing)} missing, {again} taken again, {len(dead_letters(hub))} dead letters"
        )
    assert publisher.acknowledged == set(range(EVENTS))
    assert missing == set()
    assert sorted(dead_letters(hub)) == sorted(POISON)
    assert not POISON & set(shop.taken)

    shop.healed = True
    with Person(hub) as person:
        assert person.redrive_all(GROUP) == len(POISON)

    eventually(lambda: set(shop.taken) >= POISON)
    eventually(lambda: settled(hub))
    assert dead_letters(hub) == []
    assert shop.badly_signed == 0
