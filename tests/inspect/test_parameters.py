"""The parameters of `/messages`: ids, milliseconds and times become a range of ids."""

from urllib.parse import quote_plus

import pytest

from synapse.http.exchange import Request
from synapse.inspection.messages import MessagesQuery
from synapse.inspection.range_query import (
    parse_entry_id,
    parse_order,
    parse_range,
)
from synapse.problems import BadParameter, BadRequest
from synapse.wire.ids import (
    FIRST,
    LAST,
    MOST,
    EntryId,
    Range,
    following,
    preceding,
)

NEW_YEAR = 1_704_067_200_000


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ({}, FIRST, LAST),
        ({"since": ""}, FIRST, LAST),
        ({"since": "10-5"}, (10, 5), LAST),
        ({"since": "10"}, (10, 0), LAST),
        ({"since": "2024-01-01"}, (NEW_YEAR, 0), LAST),
        ({"since": "2024-01-01T00:00:00Z"}, (NEW_YEAR, 0), LAST),
        ({"since": "2024-01-01 00:00:00"}, (NEW_YEAR, 0), LAST),
        ({"since": "2024-01-01T01:00:00+01:00"}, (NEW_YEAR, 0), LAST),
        ({"since": "2024-01-01T01:00:00 01:00"}, (NEW_YEAR, 0), LAST),
        ({"since": "1960-01-01"}, (0, 0), LAST),
        ({"since": "0001-01-01T00:00:00+14:00"}, (0, 0), LAST),
        ({"until": "10-5"}, FIRST, (10, 5)),
        ({"until": "10"}, FIRST, (10, MOST)),
        ({"until": "2024-01-01T00:00:00.001999Z"}, FIRST, (NEW_YEAR + 1, MOST)),
        ({"after": "10-5"}, (10, 6), LAST),
        ({"after": "10"}, (11, 0), LAST),
        ({"before": "10-5"}, FIRST, (10, 4)),
        ({"before": "10-0"}, FIRST, (9, MOST)),
        ({"before": "10"}, FIRST, (9, MOST)),
        # They agree on what all of them allow.
        ({"since": "3", "after": "4-0", "until": "5-0", "before": "9"}, (4, 1), (5, 0)),
    ],
)
def test_a_range_is_given_by_ids_milliseconds_or_times(query, first, last):
    assert parse_range(query) == Range(first=EntryId(*first), last=EntryId(*last))


@pytest.mark.parametrize(
    "query", [{"before": "0"}, {"before": "1960-01-01"}, {"after": f"{MOST}-{MOST}"}, {"since": "9", "until": "8"}]
)
def test_some_ranges_hold_nothing(query):
    assert parse_range(query).empty


@pytest.mark.parametrize("name", ["since", "until", "after", "before"])
@pytest.mark.parametrize(
    "text",
    ["abc", "1-2-3", "-", "+", "$", "99999999999999999999", f"1-{MOST + 1}", "2024-13-01", "(1-1", "1-", "٣", "1.5"],
)
def test_a_moment_that_cannot_be_used_is_named(name, text):
    with pytest.raises(BadParameter) as refused:
        parse_range({name: text})

    assert refused.value.members == {"parameter": name}


def count_of(text):
    query = f"count={quote_plus(text)}"
    return MessagesQuery.from_request(Request(method="GET", path="/", query={"count": text}, raw_query=query)).count


def test_a_count_lies_between_one_and_its_limit():
    assert [count_of(text) for text in ("", "1", "1000")] == [10, 1, 1000]


@pytest.mark.parametrize("text", ["0", "1001"])
def test_a_count_that_cannot_be_used_is_refused(text):
    with pytest.raises(BadParameter, match="from 1 to 1000"):
        count_of(text)


def test_the_order_is_one_of_two_words():
    assert (parse_order({}), parse_order({"order": "oldest"})) == ("newest", "oldest")
    with pytest.raises(BadParameter):
        parse_order({"order": "NEWEST"})


@pytest.mark.parametrize("text", ["abc", "5000", "-", "+", "5000-", "5000-*", "5000-0-0", "99999999999999999999-0"])
def test_an_id_in_a_path_is_a_whole_one(text):
    assert parse_entry_id("5000-1") == EntryId(5000, 1)
    with pytest.raises(BadRequest):
        parse_entry_id(text)


def test_ids_follow_each_other_over_the_edge_of_a_millisecond():
    assert following(EntryId(5, MOST)) == EntryId(6, 0)
    assert preceding(EntryId(6, 0)) == EntryId(5, MOST)
    assert (preceding(FIRST), following(LAST)) == (FIRST, LAST)
