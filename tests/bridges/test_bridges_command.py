"""`manage.py consume` with bridges and handlers, as processes."""

import json
import re
import signal
import subprocess
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import redis as redis_py
from django.core.management import CommandError, call_command
from django.db import OperationalError

from bridges import consume
from bridges.models import Bridge
from synapse.delivery.shutdown import Stop
from synapse.errors.delivery import BadConfig, NoSuchBridge
from tests.patience import eventually
from tests.tables import for_each


@pytest.fixture
def order(redis: Any) -> Callable[..., str]:
    """Publish an order: `order(mood="raise")` returns its id."""
    return lambda stream="orders", **fields: redis.xadd(stream, {"event_type": "order-placed", **fields}).decode()


def ended(process: subprocess.Popen[str], within: float = 180) -> tuple[int, str, str]:
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


def test_a_handler_that_is_not_on_the_list_is_refused_before_anything_is_read(redis, define, handlers):
    define("orders")
    wanted = consume.ConsumeOptions(stream="orders", handler="os.system")

    with pytest.raises(BadConfig, match=r"handler: “os[.]system” is not on the list of SYNAPSE_HANDLERS"):
        consume.worker_for(wanted, descriptor=1, say=print, stop=Stop())

    assert redis.keys() == []


def test_all_enabled_bridges_run_follow_the_catalog_and_stop_on_sigterm(redis, installation, order):
    process = installation.consume("--all")
    ids = [order(), order(mood="die"), order()]
    order("parcels")
    eventually(lambda: len(installation.handled()) == 2)
    eventually(lambda: redis.hget("syn:{parcels}:cnt:archive", "done") == b"1")
    # Its group is made, so that what it is owed is kept; nobody reads as it.
    eventually(lambda: "printer" in groups(redis))
    assert redis.xinfo_consumers("orders", "printer") == []

    installation.define(console="true")
    assert json.loads(process.stdout.readline())["id"] == ids[0]
    installation.define(console="false")
    eventually(lambda: redis.xinfo_consumers("orders", "printer") == [])

    process.send_signal(signal.SIGTERM)
    status, _, err = ended(process)
    assert status == 0
    assert "shop: delivered 2 events of “orders”." in err
    assert redis.xinfo_consumers("orders", "shop") == []
    # What the handler died of comes again; nothing else does.
    assert redis.zrange("syn:{orders}:due:shop", 0, -1) == [ids[1].encode()]
    assert redis.hgetall("syn:{orders}:run:shop") == {}


def groups(redis: Any) -> set[str]:
    return {row["name"].decode() for row in redis.xinfo_groups("orders")}


def test_a_drain_delivers_all_events_and_fails_when_a_bridge_cannot_work(redis, installation, order):
    order("parcels")
    order("parcels", n="x\0")

    process = installation.consume("--bridge", "archive", "--bridge", "shop", "--drain", SYNAPSE_HANDLERS="")
    status, out, err = ended(process)

    assert (status, out) == (1, "")
    assert "archive: delivered 2 events of “parcels”." in err
    assert "shop: handler: “tests.bridges.shop.moody” is not on the list of SYNAPSE_HANDLERS" in err
    assert err.splitlines()[-1] == "CommandError: Not all is delivered: see above for shop."
    assert redis.hget("syn:{parcels}:cnt:archive", "done") == b"2"


@for_each(
    "words, said",
    [
        ([], "Say what to consume: a stream, --bridge NAME, or --all."),
        (["orders", "--all"], "Say what to consume: a stream, --bridge NAME, or --all."),
        (["--all", "--bridge", "archive"], "Say what to consume: a stream, --bridge NAME, or --all."),
        (["--all", "--group", "x"], "--group goes with a stream; a bridge's definition says what it does."),
        (["--bridge", "archive", "--handler", "x.y"], "--handler goes with a stream;"),
    ],
)
def test_contradictory_arguments_of_consume_are_refused(words, said):
    with pytest.raises(CommandError, match=re.escape(said)):
        call_command("consume", *words)


def test_an_unknown_bridge_is_refused_and_a_disabled_one_is_reported(define):
    stream = define("orders")
    Bridge.objects.create(name="archive", stream=stream, group="archive", sink="database", enabled=False)
    said = []

    with pytest.raises(NoSuchBridge, match="There is no bridge “archiv”; did you mean “archive”"):
        consume.supervisor_for(["archiv"], say=print)
    consume.supervisor_for(["archive"], say=lambda *line: said.append(line))

    assert said == [("archive", "It is disabled, so nothing is done for it until somebody enables it.")]


def test_a_database_that_is_away_is_logged_once_while_bridges_run(redis, db, monkeypatch, caplog):
    supervisor = consume.supervisor_for(None, say=print)
    away = Mock(side_effect=OperationalError("the database is away"))

    monkeypatch.setattr(consume.snapshot, "holder", SimpleNamespace(current=away))
    for _ in range(3):
        supervisor.step()

    assert [record.getMessage() for record in caplog.records] == ["the bridges cannot be loaded: the database is away"]


def test_a_handler_that_hangs_does_not_hold_up_others_and_is_ended_with_the_rest(redis, installation, order):
    order(mood="hang")
    process = installation.consume("--all")
    order("parcels")
    eventually(lambda: redis.hget("syn:{parcels}:cnt:archive", "done") == b"1")
    eventually(lambda: redis.xpending("orders", "shop")["pending"] == 1, despite=redis_py.ResponseError)

    # One signal after the other: who does not want to wait for the handler need not.
    eventually(lambda: process.send_signal(signal.SIGTERM) or process.poll() is not None)

    assert process.returncode == -signal.SIGTERM
    # Pending, or leased if its lease was prolonged before.
    assert redis.xpending("orders", "shop")["pending"] + redis.zcard("syn:{orders}:due:shop") == 1
