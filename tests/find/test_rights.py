"""A search finds what its caller may read, and tells nothing of anything else."""

import pytest

from streams import connections
from streams.snapshot import holder
from synapse.correlation.digests import EntryDigests
from tests.find.conftest import find, found, make_indexer

NOTHING = {"events": [], "complete": True, "unsearched": []}
MARKED = {
    "type": "object",
    "properties": {"email": {"type": "string", "x-pii": True}, "request_id": {"type": "string"}},
}


@pytest.fixture
def ask(event_loop_client):
    """One way in is enough: both answer with the same conversation."""
    return event_loop_client


@pytest.fixture
def streams(define, settings, add, redis):
    settings.AUTH = "required"
    define("orders", {"order-placed": MARKED, "order-lost": None}, correlation=["request_id", "email"])
    define("bills", {"billed": None})
    return {
        "placed": add("orders", request_id="r", email="ada@example.com")[0],
        "lost": add("orders", event_type="order-lost", request_id="r", email="ada@example.com")[0],
        "billed": redis.xadd("bills", {"event_type": "billed", "request_id": "r"}, id="5-0").decode(),
    }


@pytest.fixture(params=["unindexed", "indexed"])
def settled(request, streams, add):
    if request.param == "indexed":
        add("orders", 256, event_type="order-lost")
        add("bills", 256, event_type="billed")
        make_indexer().step()
    return streams


def authorised(key):
    return {"authorization": f"Bearer {key}"}


def test_a_reader_finds_events_of_the_streams_and_types_that_it_may_read(ask, key_of, settled):
    of_types = authorised(key_of("shop", subscribes=["orders/order-lost"]))
    of_bills = authorised(key_of("billing", subscribes=["bills"]))
    publisher = authorised(key_of("writer", publishes=["orders"]))

    assert [id_ for _, id_, _ in found(ask, "r", of_types)] == [settled["lost"]]
    assert [id_ for _, id_, _ in found(ask, "r", of_bills)] == [settled["billed"]]
    assert found(ask, "r", publisher) == []


def test_the_answer_about_an_unreadable_event_is_that_about_none(ask, key_of, settled):
    reader = authorised(key_of("billing", subscribes=["orders/order-lost"]))

    for text in (settled["placed"], settled["billed"], "ada@example.org", "never-was", "1-1"):
        assert find(ask, text, reader) == NOTHING
    assert ask("GET", "/events/find?q=r").status == 401


def test_a_property_that_is_masked_for_the_caller_finds_no_event(ask, key_of, settled):
    without = authorised(key_of("shop", subscribes=["orders"]))
    allowed = authorised(key_of("care", subscribes=["orders"], scopes=["read:orders", "personal:read"]))

    # Of the other event type no contract marks it.
    assert found(ask, "ada@example.com", without) == [("orders", settled["lost"], ["email"])]
    assert found(ask, "ada@example.com", allowed) == [
        ("orders", settled["lost"], ["email"]),
        ("orders", settled["placed"], ["email"]),
    ]
    assert found(ask, settled["placed"], without) == [("orders", settled["placed"], ["entry id"])]


@pytest.mark.parametrize("count", [0, 256], ids=["unindexed", "indexed"])
def test_a_cloudevents_id_that_is_masked_for_the_caller_finds_no_event(ask, key_of, streams, redis, add, count):
    attributes = '{"id":"bob@example.com","source":"/shop"}'
    fields = {"event_type": "order-placed", "email": "bob@example.com", "synapse_cloudevent": attributes}
    id_ = redis.xadd("orders", {**fields, "synapse_version": "0", "synapse_added": ""}).decode()
    add("orders", count, event_type="order-lost")
    make_indexer().step()
    without = authorised(key_of("shop", subscribes=["orders"]))
    allowed = authorised(key_of("care", subscribes=["orders"], scopes=["read:orders", "personal:read"]))

    assert found(ask, "bob@example.com", without) == []
    assert found(ask, "bob@example.com", allowed) == [("orders", id_, ["email", "CloudEvent id"])]


def test_the_index_itself_holds_another_digest_of_a_masked_value(streams):
    digests, stream = connections.digests(), holder.current().streams["orders"]
    parts = [b"event_type", b"order-placed", b"email", b"ada", b"request_id", b"r", b"synapse_version", b"1"]

    found = EntryDigests(digests, stream).digest_entry([*parts, b"synapse_added", b""])

    assert found == {digests.digest_value(b"ada", pii=True), digests.digest_value(b"r")}
    assert set(digests.lookup_digests("ada", pii=False)).isdisjoint(found)
    assert not set(digests.lookup_digests("ada", pii=True)).isdisjoint(found)


def test_a_property_that_is_marked_after_it_was_indexed_finds_nothing(ask, key_of, streams, add, define):
    add("orders", 256, event_type="order-lost")
    make_indexer().step()
    define("orders", {"order-lost": MARKED})
    without = authorised(key_of("shop", subscribes=["orders"]))

    assert find(ask, "ada@example.com", without) == NOTHING
    make_indexer().step()
    assert find(ask, "ada@example.com", without) == NOTHING


def test_unreadable_events_of_a_frequent_value_tell_nothing(ask, key_of, streams, add):
    reader = authorised(key_of("shop", subscribes=["orders/order-lost"]))
    add("orders", 4_000, request_id="hidden")
    make_indexer().step()

    assert find(ask, "hidden", reader) == NOTHING
