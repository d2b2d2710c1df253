"""Pages of a search while events are stored and trimmed: none is shown twice, and none left out without a word."""

import random
from itertools import pairwise
from types import SimpleNamespace

import orjson
import pytest

from synapse.auth.principal import SYSTEM
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.explorer import merge
from synapse.explorer.cursor import LONGEST, Cursor, read_cursor
from synapse.explorer.histogram import MOST_INTERVALS, count_by_interval
from synapse.explorer.search import EventsQuery, Search, find_events
from synapse.formats.text import tag_of
from synapse.redis.commands.streams import entries
from synapse.wire.ids import LAST, MOST, EntryId, Range, parse
from tests.tables import for_each

STREAMS = ("a", "b", "c", "d")
CATALOG = SimpleNamespace(streams={name: StreamDefinition(name=name) for name in STREAMS})


class FakeRedis:
    """Streams in memory, of which ranges can be read. Ids of a stream rise; those of two streams do not."""

    def __init__(self, dice):
        self.dice = dice
        self.now = 1000
        self.entries = {name: [] for name in STREAMS}
        self.last = dict.fromkeys(STREAMS, EntryId(0, 0))

    def add(self):
        name = self.dice.choice(STREAMS)
        self.now += self.dice.choice((0, 0, 1, 5))
        # The clocks of the writers differ.
        id_ = EntryId(max(0, self.now - self.dice.choice((0, 0, 3, 40))), 0)
        if id_ <= self.last[name]:
            id_ = EntryId(self.last[name].ms, self.last[name].sequence + 1)
        self.last[name] = id_
        self.entries[name].append(id_)
        return name, id_

    def trim(self):
        """Remove the oldest entries of a stream, and return them."""
        name = self.dice.choice(STREAMS)
        count = self.dice.randint(0, len(self.entries[name]))
        gone, self.entries[name] = self.entries[name][:count], self.entries[name][count:]
        return [(name, id_) for id_ in gone]

    def answer(self, command):
        verb, name, one, other, _, count = command.words
        first, last = (one, other) if verb == "XRANGE" else (other, one)
        found = [id_ for id_ in self.entries[name] if parse(first) <= id_ <= parse(last)]
        found = found[::-1] if verb == "XREVRANGE" else found
        return entries([(str(id_).encode(), [b"n", b"1"]) for id_ in found[:count]])

    def held(self):
        return {(name, id_) for name, found in self.entries.items() for id_ in found}


def search(redis, *, most=10_000, **query):
    asked = EventsQuery.validate_values(query, ValueError)
    conversation = find_events(Search.from_query(asked, CATALOG, SYSTEM, count=query["count"], most=most))
    replies = None
    try:
        while True:
            replies = [redis.answer(each) for each in conversation.send(replies)]
    except StopIteration as end:
        return end.value


def ids_of(result):
    rows = map(orjson.loads, result.rows)
    return [(row["stream"], parse(row["id"])) for row in rows]


@pytest.mark.parametrize("order", ["newest", "oldest"])
@for_each("seed", range(40))
def test_pages_while_events_come_and_go(order, seed, monkeypatch):
    dice = random.Random(seed)
    monkeypatch.setattr(merge, "FIRST_CHUNK", dice.choice((1, 3, 20)))
    # An entry has two bytes: sometimes hardly any is kept until it is due.
    monkeypatch.setattr(merge, "MOST_AHEAD", dice.choice((5, 1000)))
    redis = FakeRedis(dice)
    for _ in range(dice.randint(0, 60)):
        redis.add()
    at_first, trimmed = redis.held(), set()
    shown, cursor = [], ""
    for _ in range(1000):
        trimmed_now = set()
        result = search(redis, order=order, count=dice.randint(1, 9), next=cursor, most=dice.choice((4, 10_000)))
        page = ids_of(result)
        assert page == sorted(page, key=lambda each: (each[1], tag_of(each[0])), reverse=order == "newest")
        shown += page
        cursor = result.next
        if cursor is None:
            break
        for _ in range(dice.randint(0, 6)):
            redis.add()
        if dice.random() < 0.3:
            trimmed_now.update(redis.trim())
        trimmed |= trimmed_now

    assert cursor is None
    assert len(shown) == len(set(shown))
    # From oldest to newest, what came meanwhile was shown, too.
    expected = redis.held() if order == "oldest" else at_first & redis.held()
    assert expected <= set(shown)
    assert set(shown) <= redis.held() | trimmed


@for_each("seed", range(40))
def test_streams_whose_coming_events_are_trimmed_are_named_and_no_others(seed):
    dice = random.Random(seed)
    redis = FakeRedis(dice)
    for _ in range(40):
        redis.add()
    first = search(redis, order="oldest", count=dice.randint(1, 20), next="")
    shown = set(ids_of(first))
    gone = {name for name, id_ in redis.trim() if (name, id_) not in shown}

    second = search(redis, order="oldest", count=5, next=first.next)

    assert set(second.trimmed) == gone
    assert search(redis, order="newest", count=5, next="").trimmed == []


def test_a_cursor_is_read_as_it_was_written():
    cursor = Cursor(
        search=tag_of("x"),
        id=EntryId(1705314600000, 3),
        tag=tag_of("b"),
        begins={tag_of("a"): EntryId(1705314599000, MOST), tag_of("c"): EntryId(0, 0)},
        heads={tag_of("d"): EntryId(1705314600000, 4), tag_of("e"): EntryId(MOST, MOST)},
    )

    assert read_cursor(str(cursor), tag_of("x")) == cursor


def test_the_cursor_of_as_many_streams_as_can_be_searched_fits_into_the_head_of_a_request():
    tags = [tag_of(str(number)) for number in range(300)]
    far = dict.fromkeys(tags, EntryId(1705314600000 + 10**10, 10**6))
    text = str(Cursor(search=tags[0], id=EntryId(1705314600000, 0), tag=tags[0], heads=far))

    assert len(text) < 12_000
    assert read_cursor(text, tags[0]).heads == far


@pytest.mark.parametrize("kind", ["heads", "begins"])
def test_a_cursor_of_ids_that_are_far_apart_is_no_longer_than_one_may_be(kind):
    tags = [tag_of(str(number)) for number in range(300)]
    id_ = EntryId(MOST, 0) if kind == "begins" else EntryId(0, 0)
    far = dict.fromkeys(tags, EntryId(MOST - id_.ms, MOST))

    text = str(Cursor(search=tags[0], id=id_, tag=tags[0], **{kind: far}))

    assert len(text) <= LONGEST
    assert getattr(read_cursor(text, tags[0]), kind).items() < far.items()


def test_behind_the_last_of_all_ids_there_is_nothing():
    cursor = Cursor(search="", id=LAST, tag=tag_of("a"))

    assert cursor.range_left(Range(), "a", "oldest").empty
    assert not cursor.range_left(Range(), "a", "newest").empty


@pytest.mark.parametrize("moments", [[0, MOST], [1, 2, 3], [0, 86_400_000 * 365 * 1000], [5] * 10])
def test_a_histogram_has_a_bounded_number_of_intervals_over_any_time(moments):
    found = count_by_interval(moments)

    assert 1 <= len(found) <= MOST_INTERVALS
    assert sum(each["count"] for each in found) == len(moments)
    assert all(one["to"] == other["from"] for one, other in pairwise(found))
    assert max(each["to"] for each in found) <= MOST
