"""The arguments of `consume`, and its answers to a stream that cannot be consumed."""

import argparse
import json
import os

import pytest

from bridges.consume import ConsumeOptions, worker_for
from bridges.management.commands.consume import _parse_count, _parse_filter, _parse_name
from synapse.delivery.shutdown import Stop
from synapse.errors.delivery import BadPosition, NotDefined
from synapse.filters import compile_filter
from tests.bridges.cast import GROUP, places, publish
from tests.tables import for_each


@pytest.fixture
def ask():
    """Yield a function that returns the worker for given arguments; its console is a pipe."""
    reader, writer = os.pipe()

    def ask(stream, **wanted):
        group = {"group": "console", **wanted}
        worker = worker_for(
            ConsumeOptions(stream=stream, **group), descriptor=writer, say=[].append, stop=Stop(), block_ms=1
        )
        return worker, lambda: os.read(reader, 1 << 16)

    yield ask
    os.close(reader)
    os.close(writer)


def test_a_stream_of_the_catalog_is_read_by_its_definition(redis, define, ask):
    define("orders", {"order-placed": {"type": "object", "properties": {"n": {"type": "string"}}}})
    publish(redis, 1)

    worker, read = ask("orders", count=1)
    worker.run()

    assert b'"event":{"event_type":"order-placed","n":"0"}' in read()


def test_events_that_a_filter_leaves_out_are_acknowledged_and_counted(redis, define, ask):
    define("orders", {"order-placed": None})
    publish(redis, 5)

    wanted = compile_filter('event.n % 2 == 1 && stream == "orders"')
    worker, read = ask("orders", drain=True, group=GROUP, filter=wanted)
    worker.run()

    assert [json.loads(line)["event"]["n"] for line in read().splitlines()] == [1, 3]
    assert places(redis) == {"done": 2, "filtered": 3}
    assert (worker.progress.status().delivered, worker.progress.status().filtered) == (2, 3)


@pytest.mark.parametrize(("personal", "printed"), [(False, 0), (True, 1)])
def test_a_filter_looks_at_events_as_they_are_printed(redis, define, ask, personal, printed):
    define("orders", {"order-placed": {"properties": {"email": {"type": "string", "x-pii": True}}}})
    redis.xadd("orders", {"event_type": "order-placed", "email": "anna@example.org"})
    redis.xadd("orders", {"event_type": "order-placed", "email": "bert@example.org"})

    text = 'event.email.contains("anna") || data.email.startsWith("anna")'
    worker, _ = ask("orders", drain=True, personal=personal, filter=compile_filter(text))
    worker.run()

    assert worker.progress.status().delivered == printed


def test_a_filter_that_cannot_be_parsed_is_refused_with_the_position_of_the_error():
    with pytest.raises(argparse.ArgumentTypeError, match=r"At character 9: “=” was not expected; “==” compares\."):
        _parse_filter("event.n = 3")


def test_a_stream_that_lost_its_definition_is_still_read(redis, define, ask):
    stream = define("orders")
    worker, read = ask("orders", count=1)
    stream.delete()
    publish(redis, 1)

    worker.run()

    assert b'"n":0' in read()


def test_the_error_for_an_unknown_stream_names_a_similar_one_or_all(db, define, ask):
    with pytest.raises(NotDefined, match="None is defined yet"):
        ask("orders")
    define("inference-events")
    define("training-events")
    with pytest.raises(NotDefined, match="Did you mean “training-events”"):
        ask("trainings-events")
    with pytest.raises(NotDefined, match=r"There are: inference-events, training-events\. Streams are defined in"):
        ask("orders")


def test_an_invalid_start_position_is_refused(define, ask):
    define("orders")

    with pytest.raises(BadPosition):
        ask("orders", begin="yesterday")


@for_each("text", ["gone wrong", "", "syn:mine", "a/b", "x" * 101])
def test_an_invalid_name_of_a_group_or_consumer_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="a name has 1 to 100"):
        _parse_name(text)


@for_each("text", ["0", "-1", "1.5", "many", "\u0661"])
def test_a_count_that_is_no_positive_whole_number_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="a whole number"):
        _parse_count(text)
