"""The index is built in the background: from a stream's start, within bounds, and by one process at a time."""

import pytest

from streams import connections
from streams.models import Stream
from streams.snapshot import holder
from synapse.auth.principal import ANONYMOUS
from synapse.correlation import indexer as indexing
from synapse.correlation import search
from synapse.correlation.indexer import LEAST, SLICE
from synapse.metrics import collection
from synapse.redis import keyspace
from synapse.redis.commands import correlation
from synapse.redis.commands.correlation import delete_index, index_state, note_deleted, write_index
from tests.find.conftest import find, found, make_indexer

INDEX = "syn:{orders}:index*"


@pytest.fixture
def ask(event_loop_client):
    """One way in is enough: both answer with the same conversation."""
    return event_loop_client


@pytest.fixture
def orders(define):
    return define("orders", correlation=["request_id"])


def state():
    return connections.executor().execute([index_state("orders")])[0]


def test_few_events_are_not_worth_a_segment_and_are_found_all_the_same(ask, orders, add, redis, indexer):
    ids = add("orders", LEAST - 1, request_id="r{}")

    assert indexer.step()

    assert not redis.keys(INDEX)
    assert found(ask, "r7") == [("orders", ids[7], ["request_id"])]


def test_a_stream_is_indexed_from_its_start_and_then_as_it_grows(ask, orders, add, indexer):
    ids = add("orders", 10_000, request_id="r{}")
    indexer.step()
    assert state().position == ids[-1]

    more = add("orders", LEAST + 10, request_id="s{}")
    indexer.step()

    assert state().position == more[-1]
    assert (state().added, sum(kept.entries for kept in state().segments.values())) == (10_266, 10_266)
    for text, id_ in (("r0", ids[0]), ("r9999", ids[-1]), ("r4096", ids[4096]), ("s5", more[5])):
        assert found(ask, text) == [("orders", id_, ["request_id"])]


def test_small_segments_are_merged(ask, orders, add, redis, indexer):
    ids = [id_ for part in range(20) for id_ in (add("orders", LEAST, request_id=f"{part}-{{}}"), indexer.step())[0]]

    segments = state().segments

    assert [kept.entries for kept in segments.values()] == [SLICE, *[LEAST] * 4]
    assert sorted(redis.keys("syn:{orders}:index:*")) == sorted(f"syn:{{orders}}:index:{n}".encode() for n in segments)
    for part, number in ((0, 0), (7, 100), (15, 255), (19, 255)):
        assert found(ask, f"{part}-{number}") == [("orders", ids[part * LEAST + number], ["request_id"])]


def test_segments_whose_entries_are_trimmed_leave_the_index(orders, add, redis, indexer):
    add("orders", SLICE + LEAST, request_id="r{}")
    indexer.step()
    assert len(state().segments) == 2

    redis.xtrim("orders", maxlen=LEAST, approximate=False)
    indexer.step()

    assert [kept.entries for kept in state().segments.values()] == [LEAST]
    assert len(redis.keys("syn:{orders}:index:*")) == 1


def test_an_index_for_other_properties_is_not_used_and_made_anew(ask, orders, add, define, indexer):
    ids = add("orders", LEAST, request_id="r{}", order_id="o{}")
    indexer.step()
    define("orders", correlation=["order_id"])

    for _ in range(2):
        assert found(ask, "o7") == [("orders", ids[7], ["order_id"])]
        assert found(ask, "r7") == []
        indexer.step()


@pytest.mark.parametrize("lost", ["flushall", "del stream", "del index", "del segment"])
def test_an_index_that_no_longer_fits_its_stream_is_made_anew(ask, orders, add, redis, indexer, lost):
    add("orders", LEAST, request_id="old{}")
    indexer.step()
    match lost:
        case "flushall":
            redis.flushall()
        case "del stream":
            redis.delete("orders")
        case "del index":
            redis.delete("syn:{orders}:index")
        case "del segment":
            redis.delete("syn:{orders}:index:1")
    ids = add("orders", SLICE, request_id="new{}")

    for each in (indexer, indexer, make_indexer(), make_indexer()):
        redis.delete(keyspace.INDEXER_LEASE)
        each.step()

    assert found(ask, "new3") == [("orders", ids[3], ["request_id"])]
    assert len(found(ask, "old3")) == (1 if lost in ("del index", "del segment") else 0)
    assert redis.exists("syn:{orders}:index")
    assert find(ask, "new3")["complete"]


def test_a_damaged_index_is_told(ask, orders, add, redis, indexer):
    add("orders", LEAST, request_id="r{}")
    indexer.step()
    redis.delete("syn:{orders}:index:1")

    answer = find(ask, "r3")

    assert (answer["events"], answer["complete"]) == ([], False)
    assert [each["stream"] for each in answer["unsearched"]] == ["orders"]


def test_the_index_of_a_deleted_stream_is_deleted(orders, add, redis, indexer):
    add("orders", LEAST, request_id="r{}")
    indexer.step()
    Stream.objects.all().delete()
    holder.forget()

    redis.delete(keyspace.INDEXER_LEASE)
    make_indexer().step()

    assert not redis.keys(INDEX)
    assert redis.zcard(keyspace.INDEXED) == 0


def test_a_single_process_at_a_time_is_the_indexer(orders, add, redis, indexer):
    add("orders", LEAST)
    assert indexer.step()
    add("orders", LEAST)

    assert not make_indexer().step()
    assert len(state().segments) == 1


def test_two_indexers_that_both_believe_to_hold_the_lease_do_no_harm(ask, orders, add, redis, indexer):
    other = make_indexer()
    ids = []
    for turn, each in enumerate([indexer, other, indexer, other, other, indexer, indexer]):
        ids += add("orders", LEAST, request_id=f"{turn}-{{}}")
        redis.delete(keyspace.INDEXER_LEASE)
        each.step()
    indexer.step()

    assert found(ask, "3-9") == [("orders", ids[3 * LEAST + 9], ["request_id"])]
    assert sum(kept.entries for kept in state().segments.values()) <= len(ids)


def test_a_former_indexer_does_not_delete_the_index_that_another_one_made(ask, orders, add, redis, indexer):
    add("orders", LEAST, request_id="old{}")
    indexer.step()
    former = state()
    redis.flushall()
    ids = add("orders", LEAST, request_id="new{}")
    make_indexer().step()

    assert not connections.executor().execute([delete_index("orders", former.version)])[0]
    assert found(ask, "new3") == [("orders", ids[3], ["request_id"])]
    assert connections.executor().execute([delete_index("orders", state().version)])[0]
    assert not redis.keys(INDEX)


def test_a_former_indexer_does_not_change_the_index_that_another_one_made(ask, orders, add, redis, indexer):
    add("orders", LEAST)
    indexer.step()
    former = state()
    redis.delete("syn:{orders}:index")
    make_indexer().step()
    redis.delete(keyspace.INDEXER_LEASE)
    make_indexer().step()
    made = state()
    assert made.segments.keys() == former.segments.keys()

    written = 1, made.segments[1], b"stale"
    assert not connections.executor().execute([write_index("orders", former, written=written)])[0]
    assert state() == made


def test_a_stream_with_an_index_is_on_the_list_of_indexed_streams_after_the_next_segment(
    orders, add, redis, indexer, monkeypatch
):
    monkeypatch.setattr(indexing, "ASK_EVERY", 0)
    add("orders", LEAST)
    indexer.step()
    connections.executor().execute([note_deleted("orders")])
    add("orders", LEAST)
    indexer.step()

    assert redis.zrange(keyspace.INDEXED, 0, -1) == [b"orders"]


@pytest.fixture
def many_segments(orders, add, redis, indexer, monkeypatch):
    """Index eleven segments, of which a call of the script searches two. Return the ids of the indexed events."""
    monkeypatch.setattr(indexing, "SIZES", ())
    monkeypatch.setattr(indexing, "ASK_EVERY", 0)
    monkeypatch.setattr(correlation, "MOST_SEGMENTS", 2)
    ids = []
    for part in range(11):
        ids += add("orders", LEAST, request_id=f"{part}-{{}}")
        indexer.step()
    assert len(state().segments) == 11
    return ids


def test_an_event_is_found_in_whichever_segment_it_is(ask, many_segments):
    for part in range(11):
        assert found(ask, f"{part}-9") == [("orders", many_segments[part * LEAST + 9], ["request_id"])]
    assert find(ask, "nothing") == {"events": [], "complete": True, "unsearched": []}


def test_the_newest_events_of_a_frequent_value_are_found_first_in_many_segments(
    ask, orders, add, many_segments, indexer
):
    ids = []
    for _ in range(5):
        ids += add("orders", LEAST, request_id="same")
        indexer.step()

    assert [id_ for _, id_, _ in found(ask, "same", count=100)] == ids[:-101:-1]
    assert find(ask, "same", count=100)["complete"]


def test_a_search_begins_again_when_the_index_is_changed_meanwhile(many_segments, monkeypatch):
    asked = search.find_by_id("0-9", holder.current(), ANONYMOUS, connections.digests(), count=20)
    calls = []
    find_in_index = correlation.find_in_index

    def changing(*args, after=None, **more):
        calls.append(after)
        if len(calls) in (3, 4):
            connections.executor().execute([write_index("orders", state())])
        return find_in_index(*args, after=after, **more)

    monkeypatch.setattr(correlation, "find_in_index", changing)
    result = connections.executor().run(asked)

    assert [match.id for match in result.matches] == [many_segments[9]]
    assert not result.unsearched
    # The first three are in vain.
    assert len(calls) == 3 + 6


def test_a_search_of_an_index_that_is_changed_again_and_again_ends_incomplete(many_segments, monkeypatch):
    find_in_index = correlation.find_in_index

    def changing(*args, **more):
        connections.executor().execute([write_index("orders", state())])
        return find_in_index(*args, **more)

    monkeypatch.setattr(correlation, "find_in_index", changing)
    asked = search.find_by_id("0-9", holder.current(), ANONYMOUS, connections.digests(), count=20)

    assert [each.stream for each in connections.executor().run(asked).unsearched] == ["orders"]


def test_a_search_names_the_range_that_is_not_indexed_and_too_long_to_read(ask, orders, add, monkeypatch):
    monkeypatch.setattr("synapse.correlation.search.MOST_UNINDEXED", 300)
    ids = add("orders", 400, request_id="r{}")

    answer = find(ask, "r0")

    assert (answer["events"], answer["complete"]) == ([], False)
    assert answer["unsearched"][0]["since"] is None
    assert found(ask, "r399") == [("orders", ids[399], ["request_id"])]


def test_the_indexer_steps_aside_while_its_process_is_busy(orders, add):
    used = iter([0.0, 100.0, 100.0])
    now = iter(float(each) for each in range(10_000))
    indexer = indexing.Indexer(
        connections.executor,
        lambda: holder.current().streams,
        connections.digests,
        budget=10_000,
        busy=lambda: next(used),
        clock=lambda: next(now),
    )
    add("orders", 3 * SLICE)

    indexer.step()
    busy = sum(kept.entries for kept in state().segments.values())
    indexer.step()

    assert LEAST <= busy < SLICE
    assert sum(kept.entries for kept in state().segments.values()) == 3 * SLICE


def test_a_stream_of_huge_events_is_indexed(ask, define, redis, indexer, monkeypatch):
    define("orders", correlation=["request_id"])
    monkeypatch.setattr(indexing, "SLICE_BYTES", 1024 * 1024)
    for number in range(50):
        redis.xadd("orders", {"event_type": "order-placed", "request_id": f"r{number}", "text": "x" * 60_000})

    indexer.step()

    assert sum(kept.entries for kept in state().segments.values()) >= 40
    assert [by for _, _, by in found(ask, "r1")] == [["request_id"]]


def test_few_events_that_are_many_bytes_to_read_are_indexed(orders, add, redis, indexer, monkeypatch):
    monkeypatch.setattr(indexing, "SLICE_BYTES", 100_000)
    texts = {"text": "x" * 10_000}
    monkeypatch.setattr(indexing, "ASK_EVERY", 0)
    place = add("orders", 9, **texts)[-1]
    indexer.step()
    assert state().position == place

    add("orders", 5, **texts)
    indexer.step()
    assert state().position == place
    place = add("orders", 5, **texts)[-1]
    indexer.step()
    assert state().position == place


def test_segments_of_few_large_events_are_merged(ask, orders, add, redis, indexer, monkeypatch):
    monkeypatch.setattr(indexing, "SLICE_BYTES", 10_000)
    monkeypatch.setattr(indexing, "ASK_EVERY", 0)
    ids = []
    for part in range(30):
        ids += add("orders", 10, request_id=f"{part}-{{}}", text="x" * 1_000)
        indexer.step()

    assert [kept.entries for kept in state().segments.values()] == [260, 10, 10, 10, 10]
    assert found(ask, "3-7") == [("orders", ids[37], ["request_id"])]


def test_of_many_streams_so_many_unindexed_events_are_read(ask, define, add, monkeypatch):
    monkeypatch.setattr("synapse.correlation.search.MOST_UNINDEXED_OF_ALL", 400)
    monkeypatch.setattr("synapse.correlation.search.LEAST_UNINDEXED", 50)
    for name in ("a", "b", "c"):
        define(name)
        add(name, 300, request_id=name + "{}")

    assert [each["stream"] for each in find(ask, "a7")["unsearched"]] == ["b", "c"]
    assert [each["stream"] for each in find(ask, "nothing")["unsearched"]] == ["b", "c"]
    assert len(found(ask, "c299")) == 1


def test_the_metrics_tell_how_many_events_are_not_indexed(define, orders, add, indexer, redis):
    define("loose", correlation=[])
    add("orders", LEAST + 44)

    def unindexed():
        return connections.executor().run(collection.read_metrics(holder.current(), [])).unindexed

    assert unindexed() == {"orders": LEAST + 44}
    indexer.step()
    assert unindexed() == {"orders": 0}
    add("orders", 5)
    assert unindexed() == {"orders": 5}
