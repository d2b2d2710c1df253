"""Entries that other programs made of anything: one that cannot be shown in full never costs its neighbours."""

import pytest

from tests.bridges.test_every_sink import STRANGE
from tests.pull.cast import STREAM

pytestmark = pytest.mark.django_db(transaction=True)

LARGEST = str(2**64 - 1)
# Ids that Redis takes, in their order; of the last four no calendar has the moment.
IDS = ("0-1", "999-18446744073709551615", "1700000000000-0", "253402300799999-0")
NO_TIMES = ("253402300800000-0", "1700000000000000000-1", f"{LARGEST}-7", f"{LARGEST}-{LARGEST}")


def add(redis, *ids):
    for id_ in ids:
        redis.xadd(STREAM, {"event_type": "order-placed", "n": 1}, id=id_)


def test_entries_with_any_id_are_read(redis, puller):
    worker = puller()
    add(redis, *IDS, *NO_TIMES)

    events = worker.read(count=10)

    assert [event["entry_id"] for event in events] == [*IDS, *NO_TIMES]
    assert [event["attempt"] for event in events] == [1] * 8
    assert [event["fields"].get("timestamp") for event in events] == [
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T00:00:00.999Z",
        "2023-11-14T22:13:20.000Z",
        "9999-12-31T23:59:59.999Z",
        *[None] * 4,
    ]
    assert worker.ack(*IDS, *NO_TIMES) == 8


def test_a_nanosecond_id_with_a_timestamp_of_its_own_keeps_it(redis, puller):
    redis.xadd(STREAM, {"event_type": "order-placed", "timestamp": "2023-11-14"}, id=NO_TIMES[1])

    (event,) = puller().read()

    assert event["fields"]["timestamp"] == "2023-11-14"


@pytest.mark.parametrize("order", ["none", "stream"])
def test_entries_with_any_fields_are_read(redis, puller, group, order):
    group(order=order)
    for fields in [{"event_type": "order-placed", "n": 0}, *STRANGE.values(), {"event_type": "order-placed", "n": 2}]:
        redis.xadd(STREAM, fields)
    redis.execute_command("XADD", STREAM, "*", "event_type", "order-placed", "n", "1", "n", "2", "", "empty name")
    redis.xadd(STREAM, {"event_type": "order-placed", "payload": "[" * 5000 + "]" * 5000})
    worker, read = puller(), []

    while events := worker.read(count=4):
        read += events
        worker.ack(*(event["entry_id"] for event in events))

    assert [event["attempt"] for event in read] == [1] * (len(STRANGE) + 4)


@pytest.mark.parametrize("path", [f"/streams/{STREAM}/messages?count=20", "/streams", f"/streams/{STREAM}/groups"])
def test_streams_with_any_ids_are_looked_at(redis, ask, puller, path):
    puller().read()
    add(redis, *IDS, *NO_TIMES)

    assert ask("GET", path).status == 200


def test_a_group_that_read_the_last_id_of_all_has_no_lag(redis, ask, puller):
    worker = puller()
    add(redis, *IDS, *NO_TIMES)
    worker.ack(*worker.ids(count=10))

    (found,) = ask("GET", f"/streams/{STREAM}/groups").json["groups"]

    assert (found["lag"], found["pending"]) == (0, 0)


def test_each_entry_with_a_strange_id_is_shown_alone(redis, ask, orders):
    add(redis, *IDS, *NO_TIMES)

    for id_ in (*IDS, *NO_TIMES):
        answer = ask("GET", f"/streams/{STREAM}/messages/{id_}")
        assert (answer.status, answer.json["event"]) == (200, {"event_type": "order-placed", "n": 1})


def test_a_back_test_names_entries_without_a_time(redis, ask, orders):
    add(redis, *IDS, *NO_TIMES)

    answer = ask("POST", f"/streams/{STREAM}/event-types/order-placed/backtest", '{"required": ["x"]}')

    assert (answer.status, answer.json["refused"]) == (200, 8), answer.body
    assert (answer.json["newest"], answer.json["oldest"]["time"]) == (
        {"id": NO_TIMES[-1], "time": None},
        "1970-01-01T00:00:00.000Z",
    )
