"""`manage.py consume` with bridges and handlers, as processes."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from django.core.management import CommandError, call_command

from bridges import consuming
from bridges.errors import NoSuchBridge
from bridges.models import Bridge
from tests.bridges.test_consume_command import ROOT, environment
from tests.definitions import define
from tests.patience import eventually
from tests.valkey import Valkey

PREPARE = """
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
"""
CATALOG = """
streams:
  - {name: orders}
  - {name: parcels}
bridges:
  - {name: shop, stream: orders, group: shop, sink: handler, config: {handler: tests.bridges.shop.moody}}
  - {name: console, stream: orders, group: printer, sink: console, enabled: %(console)s}
  - {name: archive, stream: parcels, group: archive, sink: database}
"""


class Installation:
    """A data folder with a catalog, and commands that run on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.started: list[subprocess.Popen[str]] = []
        self.written = folder / "written-down"

    @property
    def variables(self) -> dict[str, str]:
        return {
            **environment(self.folder),
            "REDIS_URL": self.url,
            "SYNAPSE_HANDLERS": "tests.bridges.shop.*",
            "SHOP_FILE": str(self.written),
        }

    def define(self, **values: str) -> None:
        """Apply the catalog."""
        file = self.folder / "catalog.yaml"
        file.write_text(CATALOG % {"console": "false", **values})
        words = [sys.executable, "manage.py", "catalog", "apply", str(file)]
        subprocess.run(words, cwd=ROOT, env=self.variables, check=True, stdout=subprocess.DEVNULL)

    def consume(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "consume", *words],
            cwd=ROOT,
            env={**self.variables, **variables},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def handled(self) -> list[str]:
        return [line.split()[0] for line in self.written.read_text().splitlines()] if self.written.exists() else []


def prepare(folder: Path) -> Installation:
    """Return an installation whose database is made and whose catalog is defined."""
    installation = Installation(folder)
    subprocess.run([sys.executable, "-c", PREPARE], cwd=ROOT, env=installation.variables, check=True)
    installation.define()
    return installation


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return prepare(tmp_path_factory.mktemp("bridges"))


@pytest.fixture
def installation(prepared: Installation, redis: Any, valkey_of_session: Valkey) -> Iterator[Installation]:
    prepared.url = valkey_of_session.url
    prepared.written.unlink(missing_ok=True)
    yield prepared
    for process in prepared.started:
        # A handler that hangs outlives its parent for as long as it may take.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    prepared.started.clear()


@pytest.fixture
def order(redis: Any) -> Callable[..., str]:
    """Publish an order: `order(mood="raise")` returns its id."""
    return lambda stream="orders", **fields: redis.xadd(stream, {"event_type": "order-placed", **fields}).decode()


def ended(process: subprocess.Popen[str], within: float = 30) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=within)
    assert "Traceback" not in err
    return process.returncode, out, err


def test_a_handler_gets_a_streams_events_in_a_group_of_its_own(redis, installation, order):
    ids = [order(), order(mood="raise"), order()]

    process = installation.consume("orders", "--handler", "tests.bridges.shop.moody", "--drain")
    status, out, err = ended(process)

    assert (status, out) == (0, "")
    assert installation.handled() == [ids[0], ids[2]]
    assert "in the new group “tests.bridges.shop.moody”" in err
    assert f"{ids[1]}, attempt 1: ValueError: no such product \\u001b[2J" in err
    assert err.splitlines()[-1] == "Handled 2 events of “orders”; 1 attempts failed."


def test_a_handler_that_is_not_on_the_list_is_refused(installation):
    status, _, err = ended(installation.consume("orders", "--handler", "os.system"))

    assert status == 1
    assert err == (
        "CommandError: handler: “os.system” is not on the list of SYNAPSE_HANDLERS, which allows tests.bridges.shop.*\n"
    )


def test_all_bridges_run_and_follow_the_catalog_and_stop_when_asked(redis, installation, order):
    process = installation.consume("--all")
    ids = [order(), order(mood="die"), order()]
    order("parcels")
    eventually(lambda: len(installation.handled()) == 2, within=20)
    eventually(lambda: redis.hget("syn:{parcels}:cnt:archive", "done") == b"1")
    assert "printer" not in groups(redis)

    installation.define(console="true")
    changed = time.monotonic()
    eventually(lambda: "printer" in groups(redis))
    assert time.monotonic() - changed < 5
    assert json.loads(process.stdout.readline())["id"] == ids[0]
    installation.define(console="false")
    eventually(lambda: redis.xinfo_consumers("orders", "printer") == [])

    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    status, _, err = ended(process)
    assert status == 0
    assert time.monotonic() - begun < 5
    assert "shop: delivered 2 events of “orders”." in err
    assert redis.xinfo_consumers("orders", "shop") == []
    # What the handler died of comes again; nothing else does.
    assert redis.zrange("syn:{orders}:due:shop", 0, -1) == [ids[1].encode()]
    assert redis.hgetall("syn:{orders}:run:shop") == {}


def groups(redis: Any) -> set[str]:
    return {row["name"].decode() for row in redis.xinfo_groups("orders")}


def test_one_bridge_can_be_drained(redis, installation, order):
    ids = [order("parcels"), order("parcels", n="x\0")]

    status, out, err = ended(installation.consume("--bridge", "archive", "--drain"))

    assert (status, out) == (0, "")
    assert err.splitlines()[-1] == "archive: delivered 2 events of “parcels”."
    assert redis.hget("syn:{parcels}:cnt:archive", "done") == b"2"
    assert len(ids) == 2


def test_a_bridge_that_cannot_work_makes_a_drain_fail_and_the_others_are_drained(redis, installation, order):
    order("parcels")

    process = installation.consume("--bridge", "archive", "--bridge", "shop", "--drain", SYNAPSE_HANDLERS="")
    status, _, err = ended(process)

    assert status == 1
    assert "archive: delivered 1 event of “parcels”." in err
    assert "shop: handler: “tests.bridges.shop.moody” is not on the list of SYNAPSE_HANDLERS" in err
    assert err.splitlines()[-1] == "CommandError: Not all is delivered: see above for shop."


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Say what to consume: a stream, --bridge NAME, or --all."),
        (["orders", "--all"], "Say what to consume: a stream, --bridge NAME, or --all."),
        (["--all", "--bridge", "archive"], "Say what to consume: a stream, --bridge NAME, or --all."),
        (["--all", "--group", "x"], "--group goes with a stream; a bridge's definition says what it does."),
        (["--bridge", "archive", "--handler", "x.y"], "--handler goes with a stream;"),
    ],
)
def test_what_makes_no_sense_is_refused(words, said):
    with pytest.raises(CommandError, match=re.escape(said)):
        call_command("consume", *words)


def test_a_bridge_that_is_not_there_is_refused_and_one_that_is_disabled_is_told(db):
    stream = define("orders")
    Bridge.objects.create(name="archive", stream=stream, group="archive", sink="database", enabled=False)
    said = []

    with pytest.raises(NoSuchBridge, match="There is no bridge “archiv”; did you mean “archive”"):
        consuming.supervisor_for(["archiv"], say=print)
    consuming.supervisor_for(["archive"], say=lambda *line: said.append(line))

    assert said == [("archive", "It is disabled, so nothing is done for it until somebody enables it.")]


def test_a_handler_that_hangs_holds_up_nobody_and_is_ended_with_the_rest(redis, installation, order):
    order(mood="hang")
    process = installation.consume("--all")
    order("parcels")
    eventually(lambda: redis.hget("syn:{parcels}:cnt:archive", "done") == b"1", within=20)
    eventually(lambda: redis.xpending("orders", "shop")["pending"] == 1, despite=redis_py.ResponseError)

    # Two signals: who does not want to wait for the handler need not.
    os.kill(process.pid, signal.SIGTERM)
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGTERM)

    assert process.wait(timeout=5) == -signal.SIGTERM
    assert redis.xpending("orders", "shop")["pending"] == 1
