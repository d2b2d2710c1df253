"""Users' functions as sinks: each affects its own event alone, and no event is acknowledged too early."""

import os
import signal
import subprocess
import sys

import pytest

from bridges.handlers import process
from bridges.sinks.handler import HandlerConfig, HandlerSink
from synapse.delivery.handlers import BadHandler, load_handler, pack_batch, refusal_of, unpack_batch
from synapse.errors.delivery import (
    BadConfig,
    NotBegun,
    SinkAway,
    SinkBroken,
    SinkDisabled,
)
from synapse.schema.validator import compile_schema
from synapse.wire.encoding import TypesOfContract
from tests.bridges.cast import always
from tests.bridges.shop import begun, may_go_on
from tests.bridges.sinks import HANDLERS, definition, delivery
from tests.patience import eventually
from tests.tables import for_each

SHOP = "tests.bridges.shop"


class Shop:
    """A handler sink, and what its handler wrote down."""

    def __init__(self, folder):
        self.file = folder / "written-down"
        self.sinks = []
        self.stops = lambda: False

    def open(self, handler="moody", *, batch=False, timeout=60.0, **columns):
        config = HandlerConfig.read({"handler": f"{SHOP}.{handler}", "batch": batch})
        bridge = definition("handler", handler_timeout_seconds=timeout, **columns)
        sink = HandlerSink.open(config, bridge, stopping=self.is_stopping)
        self.sinks.append(sink)
        return sink

    def is_stopping(self):
        return self.stops()

    @property
    def written(self):
        return [line.split()[0] for line in self.file.read_text().splitlines()] if self.file.exists() else []


@pytest.fixture
def shop(handlers, tmp_path, monkeypatch):
    shop = Shop(tmp_path)
    monkeypatch.setenv("SHOP_FILE", str(shop.file))
    yield shop
    for sink in shop.sinks:
        sink.close()


def orders(*moods):
    """Return an order for each mood; None is a good one."""
    return [
        delivery({"event_type": "order-placed", **({"mood": mood} if mood else {})}, f"17-{n}")
        for n, mood in enumerate(moods)
    ]


def words(outcomes):
    return [outcome and str(outcome) for outcome in outcomes]


def test_an_event_whose_handler_fails_is_not_taken_and_its_neighbours_are(shop):
    sink = shop.open()

    outcomes = sink.deliver(orders(None, "raise", None, "die", None, "kill", "exit", "refuse", None), always)

    assert words(outcomes) == [
        None,
        "ValueError: no such product \x1b[2J (shop.py, line 46)",
        None,
        "The handler did not return: its process ended with exit status 3",
        None,
        "The handler did not return: its process was ended by SIGKILL",
        "SystemExit: 3 (shop.py, line 50)",
        "this order never works",
        None,
    ]
    assert [outcome.permanent for outcome in outcomes if outcome] == [False, False, False, False, True]
    assert shop.written == ["17-0", "17-2", "17-4", "17-8"]


def test_a_handler_that_hangs_is_ended_and_the_next_event_is_begun(shop):
    sink = shop.open(timeout=0.3)

    outcomes = sink.deliver(orders("hang", "hang"), always)

    assert words(outcomes) == ["The handler took longer than 0.3 s, and its process was ended"] * 2
    assert [outcome.permanent for outcome in outcomes] == [False, False]
    eventually(lambda: sink.deliver(orders(None), always) == [None])


@pytest.mark.parametrize("handler", ["write_down_later", "returns_an_awaitable"])
def test_a_handler_may_be_asynchronous(shop, handler):
    assert shop.open(handler).deliver(orders(None, None), always) == [None, None]
    assert shop.written == ["17-0", "17-1"]


def test_a_handler_may_take_many_at_once_and_then_takes_all_or_none(shop):
    sink = shop.open("write_down_many", batch=True)
    assert sink.deliver(orders(*[None] * 100), always) == [None] * 100
    assert len(shop.written) == 100

    shop.file.unlink()
    shop.file.mkdir()
    outcomes = sink.deliver(orders(None, None), always)
    assert ["IsADirectoryError" in str(outcome) for outcome in outcomes] == [True, True]


def test_a_handler_that_is_working_when_the_stop_comes_finishes_its_events_in_flight(shop):
    sink = shop.open()
    asked = []

    def may_begin():
        if not begun().exists():
            return True
        if asked:
            # The handler has been told meanwhile.
            may_go_on().touch()
        asked.append(None)
        return False

    outcomes = sink.deliver(orders("wait", "wait", "wait", "wait"), may_begin)

    assert shop.written == ["17-0"]
    assert outcomes[0] is None
    assert [type(outcome) for outcome in outcomes[1:]] == [NotBegun] * 3


def test_a_handler_that_does_not_finish_after_the_stop_is_ended(shop, monkeypatch):
    monkeypatch.setattr(process, "STOP_PATIENCE", 0.2)
    sink = shop.open(timeout=60)
    shop.stops = begun().exists

    outcomes = sink.deliver(orders("hang", None), lambda: not shop.stops())

    assert words(outcomes) == [
        "The handler took longer than 0.2 s after the stop was requested, and was ended",
        "not begun",
    ]


def test_the_process_of_a_handler_ends_with_the_process_that_started_it(shop, tmp_path):
    code = (
        "import django, os, sys; django.setup()\n"
        "from tests.bridges.test_handlers import Shop, SHOP\n"
        "from pathlib import Path\n"
        "from django.conf import settings\n"
        f"settings.BRIDGE_HANDLERS = {HANDLERS!r}\n"
        f"sink = Shop(Path({str(tmp_path)!r})).open('nothing', timeout=0.1)\n"
        "print(sink._slots[0].process._process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    variables = os.environ | {"DJANGO_SETTINGS_MODULE": "synapse_project.settings"}
    with subprocess.Popen([sys.executable, "-c", code], env=variables, stdout=subprocess.PIPE) as program:
        # Read to its end, which the child's end is: it holds the same standard output.
        assert int(program.stdout.read()) > 1


def test_a_process_killed_between_two_batches_is_started_again(shop):
    sink = shop.open()
    os.kill(sink._slots[0].process._process.pid, signal.SIGKILL)
    sink._slots[0].process._process.wait()

    assert sink.deliver(orders(None), always) == [None]
    assert shop.written == ["17-0"]


@for_each(
    "handler, why",
    [
        ("missing", "the module tests.bridges.shop has no function missing"),
        ("number", "the module tests.bridges.shop has no function number"),
        ("partial", "tests.bridges.shop only imports partial; to be used, SYNAPSE_HANDLERS must name"),
        ("_private", "is not on the list"),
    ],
)
def test_the_child_process_refuses_a_path_that_names_no_allowed_function(handler, why):
    with pytest.raises(BadHandler, match=why):
        load_handler(f"{SHOP}.{handler}", HANDLERS)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import nowhere", r"ModuleNotFoundError: No module named 'nowhere' \(broken_shop.py, line 1\)\."),
        ("import os; os._exit(7)", r"its process ended with exit status 7 before the handler was imported\."),
    ],
)
def test_a_sink_whose_handler_cannot_be_used_is_refused_when_it_is_opened(
    handlers, settings, tmp_path, monkeypatch, code, why
):
    (tmp_path / "broken_shop.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    settings.BRIDGE_HANDLERS = ["broken_shop.*"]
    bridge = definition("handler", config={"handler": "broken_shop.on_order"})

    with pytest.raises(SinkBroken, match="The handler broken_shop.on_order cannot be used: " + why):
        HandlerSink.open(HandlerConfig.read(bridge.config), bridge, stopping=lambda: False)


def test_a_sink_that_is_opened_while_the_process_stops_waits_for_nothing(shop):
    shop.stops = lambda: True

    sink = shop.open()

    assert sink.deliver(orders(None), lambda: False)[0].args == ("not begun",)


LISTED = ["shop.handlers.on_order", "shop.alerts.*"]


@pytest.mark.parametrize("path", ["shop.handlers.on_order", "shop.alerts.on_error"])
def test_a_function_listed_in_the_settings_may_be_a_handler(path):
    assert refusal_of(path, LISTED) == ""


@for_each(
    "path",
    [
        "shop.handlers.on_error",
        "shop.alerts._secret",
        "shop.alerts.deeper.on_error",
        "os.system",
        "shop.handlers.on_order.__globals__",
        "shop",
        "",
        "shop..on_order",
        "shop/handlers:on_order",
        "shop.alerts.*",
        "shop.handlers.on_order\n",
    ],
)
def test_a_path_not_listed_in_the_settings_may_not_be_a_handler(path):
    assert refusal_of(path, LISTED)


def test_a_handler_that_is_not_on_the_list_is_refused_by_its_field(handlers):
    with pytest.raises(BadConfig) as caught:
        HandlerConfig.read({"handler": "os.system", "batch": "yes"})
    assert caught.value.errors == {"batch": "must be true or false, but is the text “yes”"}

    with pytest.raises(BadConfig) as caught:
        HandlerConfig.read({"handler": "os.system"})
    assert caught.value.errors == {
        "handler": "“os.system” is not on the list of SYNAPSE_HANDLERS, which allows tests.bridges.shop.*"
    }
    with pytest.raises(BadConfig, match="handler: is missing"):
        HandlerConfig.read({})


def test_a_worker_reports_an_error_of_a_handler_and_the_time_of_the_next_attempt(redis, bridge, shop):
    redis.xadd("orders", {"event_type": "order-placed", "mood": "raise"})
    consumer = bridge(shop.open(), lease_ms=60_000)

    consumer.run_dry()

    said, _, when = consumer.said[1].partition(" It will be retried in ")
    assert said.endswith("ValueError: no such product \x1b[2J (shop.py, line 46).")
    assert 2.5 <= float(when.removesuffix(" s.")) <= 5
    assert consumer.worker.progress.status().error in consumer.said[1]
    assert redis.zcard("syn:{orders}:due:warehouse") == 1


def test_a_handler_may_set_the_time_of_the_next_attempt_or_disable_its_bridge(shop):
    sink = shop.open()

    later, closed = sink.deliver(orders("later", "close"), always)

    assert (str(later), later.retry_after, later.permanent) == ("closed for lunch", 1800, False)
    assert isinstance(closed, SinkDisabled)
    assert str(closed) == "the shop is closed for good"


class TestSeveralProcesses:
    def test_work_at_the_same_time_and_each_event_has_its_own_outcome(self, shop):
        sink = shop.open(concurrency=3)

        outcomes = sink.deliver(orders(*["meet"] * 3, "raise", "die"), always)

        assert words(outcomes)[:3] == [None] * 3
        assert [word.split(":")[0] for word in words(outcomes)[3:]] == ["ValueError", "The handler did not return"]
        assert sorted(shop.written) == [f"17-{n}" for n in range(3)]

    def test_begin_nothing_that_may_not_be_begun(self, shop):
        sink = shop.open("write_down", concurrency=2)

        outcomes = sink.deliver(orders(None, None, None), lambda: False)

        assert all(isinstance(outcome, NotBegun) for outcome in outcomes)
        assert shop.written == []

    def test_a_sink_is_away_when_none_of_its_processes_can_be_started(self, shop, settings):
        sink = shop.open("write_down", concurrency=2)
        for slot in sink._slots:
            slot.process._order = slot.process._order.__class__(
                handler="tests.bridges.shop.number", allowed=HANDLERS, batch=False, size=9, timeout=1
            )
            slot.process.close()

        with pytest.raises(SinkAway, match="no function"):
            sink.deliver(orders(None, None), always)

    def test_processes_that_cannot_be_opened_leave_nothing_behind(self, shop):
        with pytest.raises(SinkBroken, match="no function"):
            shop.open("number", concurrency=2)


def test_a_handler_gets_the_text_of_other_programs_as_the_contract_accepts_it():
    schema = compile_schema({"patternProperties": {"^ref": {"type": "string"}}})
    types_of = {"order-placed": TypesOfContract(schema.property_types, schema.accepted_reading)}
    fields = {"event_type": "order-placed", "ref": "42", "n": "0.1234567890123456789"}

    (theirs,) = unpack_batch(pack_batch([delivery(fields, types_of=types_of)]))

    assert (theirs.event["ref"], theirs.event["n"].text) == ("42", fields["n"])
    assert theirs.entry.layout == "foreign"
