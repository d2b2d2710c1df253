"""One search does bounded work over all streams, and names what it left out."""

import pytest

from streams import connections
from streams.snapshot import holder
from synapse.auth.principal import ANONYMOUS
from synapse.correlation import search
from tests.definitions import key_of
from tests.find.conftest import find, found

STREAMS = ("a", "b", "c")


@pytest.fixture
def ask(event_loop_client):
    """One way in is enough: both answer with the same conversation."""
    return event_loop_client


@pytest.fixture
def tried(monkeypatch):
    """The stream and the publisher of each Idempotency-Key that a search tries."""
    tried = []
    stored_under = search.stored_under

    def counted(stream, *, who, key):
        tried.append((stream, who))
        return stored_under(stream, who=who, key=key)

    monkeypatch.setattr(search, "stored_under", counted)
    return tried


@pytest.fixture
def streams(define):
    return [define(name, {"order-placed": None, "order-lost": None}) for name in STREAMS]


def searched(text, **more):
    asked = search.find_by_id(text, holder.current(), ANONYMOUS, connections.digests(), count=20, **more)
    return connections.executor().run(asked)


def unsearched(text, **more):
    return [each.stream for each in searched(text, **more).unsearched]


def test_keys_of_all_publishers_are_tried_within_a_bound_over_all_streams(db, streams, redis, tried, monkeypatch):
    for number in range(10):
        key_of(f"shop-{number}", publishes=["a", "b"])
    monkeypatch.setattr(search, "MOST_KEY_COMMANDS", 2 * 22)

    assert unsearched("r-1") == ["a", "b"]
    assert len(tried) <= 2 * 22
    assert {stream for stream, _ in tried} == set(STREAMS)
    tried.clear()
    assert unsearched("no key") == []
    assert tried == []


def test_streams_with_few_publishers_leave_more_to_the_others(db, streams, redis, tried, monkeypatch):
    for number in range(4):
        key_of(f"shop-{number}", publishes=["c"])
    monkeypatch.setattr(search, "MOST_KEY_COMMANDS", 2 * (1 + 1 + 5))

    assert unsearched("r-1") == []


def test_more_publishers_than_are_tried_for_a_stream_make_the_search_incomplete(db, streams, redis, monkeypatch):
    for number in range(3):
        key_of(f"shop-{number}", publishes=["b"])
    monkeypatch.setattr(search, "MOST_PUBLISHERS", 3)
    assert unsearched("r-1") == ["b"]
    monkeypatch.setattr(search, "MOST_PUBLISHERS", 4)
    assert unsearched("r-1") == []


def test_own_keys_alone_are_tried_when_asked_for(db, streams, redis, tried):
    key_of("shop", publishes=["a"])

    assert unsearched("r-1", own_keys=True) == ["a"]
    assert set(tried) == {(stream, "anonymous") for stream in STREAMS}


def test_the_bytes_of_unindexed_events_are_bounded_over_all_streams(streams, add):
    for name in STREAMS:
        add(name, 200, request_id="r{}", text="x" * 1_000)

    read = unsearched("nothing", most_bytes=30_000)

    assert read == list(STREAMS)
    assert unsearched("nothing") == []


def test_the_bytes_of_blocks_are_bounded_over_all_streams(streams, add, indexer, monkeypatch):
    for name in STREAMS:
        add(name, 300, request_id="r", event_type="order-lost", text="x" * 1_000)
    indexer.step()
    monkeypatch.setattr(search._Search, "_add_if_match", lambda *_: None)

    assert unsearched("r", most_bytes=200_000) == list(STREAMS)
    assert unsearched("r") == []


def test_hidden_events_leave_the_bytes_of_blocks_to_the_other_streams(
    streams, ask, add, indexer, key_of, settings, monkeypatch
):
    settings.AUTH = "required"
    monkeypatch.setitem(search.find_by_id.__kwdefaults__, "most_bytes", 300_000)
    for name in STREAMS:
        add(name, 300, request_id="r", event_type="order-lost", text="x" * 1_000)
    indexer.step()
    reader = {"authorization": f"Bearer {key_of('shop', subscribes=['a/order-placed', 'b/order-placed', 'c'])}"}

    assert [stream for stream, _, _ in found(ask, "r", reader, count=100)] == ["c"] * 100


def test_a_search_that_found_as_many_events_as_were_asked_for_is_complete(streams, ask, add, indexer, monkeypatch):
    add("a", 300, request_id="r")
    indexer.step()
    monkeypatch.setattr(search, "MOST_BLOCKS", 2)

    assert find(ask, "r", count=20)["complete"]
    answer = find(ask, "r", count=50)
    assert (len(answer["events"]), answer["complete"]) == (32 - 4, False)
    assert answer["unsearched"][0]["until"] is not None
