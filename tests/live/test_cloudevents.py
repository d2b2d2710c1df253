"""Live tails of CloudEvents, of one stream and of many."""

import httpx
import pytest

from synapse.cloudevents.attributes import STRUCTURED
from tests.cloudevents.cast import CAME, TIME, fields_of
from tests.live.server import watching

ORDER = {"event_type": "order-placed", "n": 1}
NATIVE = {
    "specversion": "1.0",
    "source": "cyrex",
    "type": "order-placed",
    "time": TIME,
    "datacontenttype": "application/json",
    "data": ORDER,
}
CLOUDEVENT = {"specversion": "1.0", "type": "order-placed", **CAME, "data": {"n": 1}}


@pytest.fixture
def stored(redis):
    """A native event, a CloudEvent that names a stream of another Synapse, and one that a filter leaves out."""
    redis.xadd("orders", fields_of(ORDER), id="1-0")
    redis.xadd("orders", fields_of(ORDER, CAME), id="2-0")
    redis.xadd("orders", fields_of({**ORDER, "n": 2}), id="3-0")


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ({"format": "cloudevents"}, {}),
        ({}, {"accept": f"text/event-stream, {STRUCTURED}"}),
        ({}, {"accept": STRUCTURED}),
    ],
)
def test_events_of_one_stream_come_as_cloudevents_where_they_are_asked_for(server, stored, redis, query, headers):
    with watching(server.live(), last_id="0", headers=headers, filter="event.n == 1", **query) as watch:
        found = [watch.next() for _ in range(2)]
        redis.xadd("orders", fields_of(ORDER, CAME), id="4-0")
        found.append(watch.next())

        assert watch.answer.headers["content-type"] == "text/event-stream"
        assert [frame.id for frame in found] == ["1-0", "2-0", "4-0"]
        assert [frame.data for frame in found] == [{**NATIVE, "id": "orders/1-0"}, CLOUDEVENT, CLOUDEVENT]


def test_events_of_many_streams_name_theirs_in_an_extension_attribute(server, stored, redis):
    redis.xadd("parcels", fields_of(ORDER, {**CAME, "synapsestream": "of another Synapse"}), id="5-0")

    with watching(f"{server.url}/live", stream="orders,parcels", last_id="0", format="cloudevents") as watch:
        found = [watch.next().data for _ in range(4)]

    assert found[1:4:2] == [
        {"synapsestream": "orders", **CLOUDEVENT},
        {"synapsestream": "parcels", **CLOUDEVENT},
    ]


def test_a_viewer_gets_messages_where_a_wildcard_alone_allows_cloudevents(server, stored):
    with watching(server.live(), last_id="0", headers={"accept": "text/event-stream, */*"}) as watch:
        assert watch.next().data["event"] == ORDER


def test_another_format_is_refused(server):
    answer = httpx.get(server.live(), params={"format": "xml"})

    assert (answer.status_code, answer.json()["parameter"]) == (400, "format")
