"""Each event is handled at least once and acknowledged exactly once, through the kill of any process.

This is for the full run, with 50,000 events, ten killings of the consumer and two of Valkey. A handler's process that
is killed is in test_handlers.py, a consumer in test_consume_command.py, and tests/chaos/test_everything_killed.py kills
all at once.
"""

import os
import signal
import subprocess
import threading
import time

import pytest
import redis as redis_py

from tests.bridges.installation import Installation
from tests.patience import eventually
from tests.valkey import Valkey

EVENTS, CONSUMER_KILLS, VALKEY_KILLS = 50_000, 10, 2
pytestmark = [pytest.mark.process, pytest.mark.nightly]

HANDLER = "tests.bridges.shop.write_down_slowly"
AT_ONCE = 100


class Publisher(threading.Thread):
    """Publishes numbered events, repeats each batch until it is stored, and remembers the stored ones."""

    def __init__(self, valkey: Valkey) -> None:
        super().__init__(daemon=True)
        self.valkey = valkey
        self.acknowledged: list[str] = []

    def run(self) -> None:
        with self.valkey.client() as client:
            for first in range(0, EVENTS, AT_ONCE):
                lot = range(first, first + AT_ONCE)
                self.acknowledged += eventually(lambda lot=lot: publish(client, lot), despite=redis_py.RedisError)
                time.sleep(0.01)


def publish(client: redis_py.Redis, numbers: range) -> list[str]:
    with client.pipeline() as pipe:
        for number in numbers:
            pipe.xadd("orders", {"event_type": "order-placed", "n": number})
        return [id_.decode() for id_ in pipe.execute()]


class Consumers:
    """One consumer at a time."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.process = self.start()

    def start(self, *words: str) -> subprocess.Popen[str]:
        self.process = self.installation.consume("orders", "--handler", HANDLER, *words)
        return self.process

    def kill(self) -> None:
        """End it as kill -9 does, and start the next one."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        self.start()

    def finish(self) -> str:
        """Stop the process with a signal and let a last one finish the work. Return its output."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=120)
        # It may be stopped so early that it is not yet listening to signals.
        assert self.process.returncode in (0, -signal.SIGTERM)
        _, said = self.start("--drain").communicate(timeout=300)
        assert self.process.returncode == 0, said
        return said


def test_every_event_is_handled_though_its_consumer_and_valkey_are_killed(installation, durable_valkey, capsys):
    valkey = durable_valkey
    installation.url = valkey.url
    publisher, consumers = Publisher(valkey), Consumers(installation)
    publisher.start()

    deeds = [consumers.kill] * CONSUMER_KILLS
    for nth in range(VALKEY_KILLS):
        deeds.insert((nth + 1) * len(deeds) // (VALKEY_KILLS + 1), lambda: (valkey.kill(), valkey.start()))
    for nth, deed in enumerate(deeds):
        eventually(lambda nth=nth: len(installation.handled()) > (nth + 1) * EVENTS // (len(deeds) + 1))
        deed()
    publisher.join(timeout=300)
    consumers.finish()

    handled = installation.handled()
    missing = set(publisher.acknowledged) - set(handled)
    with valkey.client() as client:
        stored = client.xinfo_stream("orders")["entries-added"]
        counted = {name: int(n) for name, n in client.hgetall(f"syn:{{orders}}:cnt:{HANDLER}").items() if n.isdigit()}
        left = client.xpending("orders", HANDLER)["pending"] + client.zcard(f"syn:{{orders}}:due:{HANDLER}")
    with capsys.disabled():
        print(
            f"\n{stored} events stored, {len(publisher.acknowledged)} acknowledged, {CONSUMER_KILLS} consumers and "
            f"{VALKEY_KILLS} Valkey killed: {len(missing)} missing, {len(handled) - len(set(handled))} handled again"
        )
    assert len(publisher.acknowledged) == EVENTS
    assert missing == set()
    assert left == 0
    assert counted[b"done"] == stored
    assert b"lost_trimmed" not in counted
