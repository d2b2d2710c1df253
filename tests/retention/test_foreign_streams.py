"""The janitor neither fails on nor changes anything that other programs put into Redis."""

import logging

import pytest

from synapse.catalog.stream_definitions import StreamDefinition
from synapse.redis import keyspace

LARGEST = 2**64 - 1


def test_a_stream_that_does_not_exist_is_not_made(orders, sweep, redis):
    redis.hset(keyspace.pins("orders"), "gone-with-its-stream", "1 0 0-0")

    sweep(max_length=1)

    assert redis.keys() == []


def test_a_key_that_holds_something_else_is_told_once_and_the_others_go_on(make_janitor, orders, redis, caplog):
    redis.set("broken", "a string")
    orders.publish(1, 2, 3)
    janitor = make_janitor(StreamDefinition(name="broken"), StreamDefinition(name="orders", max_length=1))

    with caplog.at_level(logging.WARNING):
        janitor.step()
        janitor.step()

    assert orders.kept == [3]
    assert [record.getMessage() for record in caplog.records] == [
        "the stream “broken” cannot be trimmed: WRONGTYPE the key holds a string, not a stream"
    ]
    assert redis.get("broken") == b"a string"


def test_entries_with_ten_thousand_fields_are_cut_and_counted(orders, sweep, redis):
    wide = {f"field-{number}": "x" for number in range(10_000)}
    for number in range(1, 6):
        redis.xadd("orders", wide, id=f"{number}-0")
    orders.group("billing")
    orders.read("billing", 2)

    sweep(max_length=2, hard_length=2, durable={"billing"})

    assert orders.kept == [4, 5]
    assert orders.lost("billing") == 3


@pytest.mark.parametrize(
    ("ids", "kept"),
    [
        ([f"5-{LARGEST}", "6-0", "6-1"], ["6-0", "6-1"]),
        ([f"9-{LARGEST}", "10-0", "10-9"], ["10-0", "10-9"]),
        ([f"199-{LARGEST}", "200-0", "200-1"], ["200-0", "200-1"]),
        (["1-199", "1-200", "1-201"], ["1-200", "1-201"]),
        (
            [f"{LARGEST - 1}-{LARGEST}", f"{LARGEST}-0", f"{LARGEST}-{LARGEST}"],
            [f"{LARGEST}-0", f"{LARGEST}-{LARGEST}"],
        ),
        ([f"{2**53}-0", f"{2**53 + 1}-0", f"{2**53 + 2}-0"], [f"{2**53 + 1}-0", f"{2**53 + 2}-0"]),
        ([f"1-{2**53}", f"1-{2**53 + 1}", f"1-{2**53 + 2}"], [f"1-{2**53 + 1}", f"1-{2**53 + 2}"]),
    ],
)
def test_ids_larger_than_any_number_of_a_script_are_told_apart(redis, sweep, orders, ids, kept):
    for entry_id in ids:
        redis.xadd("orders", {"n": 1}, id=entry_id)
    orders.group("billing", at=ids[0])

    sweep(max_length=1, durable={"billing"})

    assert [entry_id.decode() for entry_id, _ in redis.xrange("orders")] == kept


def test_a_group_that_stands_far_in_the_future_holds_nothing_back(orders, sweep):
    orders.publish(1, 2, 3)
    orders.group("future", at=f"{LARGEST}-{LARGEST}")

    sweep(max_length=1, durable={"future"})

    assert orders.kept == [3]


def test_a_group_whose_name_is_no_text_pins_and_is_counted(orders, sweep):
    orders.publish(*range(1, 11))
    orders.group(b"\xff\x00", at="2-0")

    sweep(max_length=1, hard_length=5)

    assert orders.kept == [6, 7, 8, 9, 10]
    assert orders.lost("\ufffd\x00") == 3


def test_a_group_made_between_two_turns_pins_at_once(make_janitor, orders):
    orders.publish(1, 2)
    janitor = make_janitor(StreamDefinition(name="orders", max_length=1))
    janitor.step()
    orders.publish(3, 4)
    orders.group("new", at="2-0")

    janitor.step()

    assert orders.kept == [3, 4]


def test_groups_and_their_consumers_are_never_removed(orders, sweep, redis):
    orders.publish(1, 2, 3)
    orders.group("theirs")
    orders.read("theirs", 1)
    orders.silent("theirs", hours=1000)

    sweep(max_length=1)

    assert [consumer["name"] for consumer in redis.xinfo_consumers("orders", "theirs")] == [b"reader"]


def test_a_redis_that_is_full_is_no_complaint_while_there_is_nothing_to_trim(orders, sweep, redis):
    orders.publish(1)
    orders.group("terminal")
    redis.config_set("maxmemory", 1)

    try:
        sweep()
    finally:
        redis.config_set("maxmemory", 0)

    assert redis.exists(keyspace.pins("orders")) == 0


def test_a_redis_that_is_full_is_trimmed_all_the_same_and_losses_are_counted(orders, sweep, redis):
    orders.publish(*range(1, 301))
    orders.group("billing", at="250-0")
    orders.group("terminal", at="300-0")
    redis.config_set("maxmemory", 1)

    try:
        sweep(max_length=10, hard_length=20, durable={"billing"})
    finally:
        redis.config_set("maxmemory", 0)

    assert orders.kept == list(range(281, 301))
    assert orders.lost("billing") == 30
