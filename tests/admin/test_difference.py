"""Differences between two texts are shown line by line, with the equal lines around them."""

from difflib import SequenceMatcher

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.admin import revisions
from core.admin.revisions import (
    AROUND,
    GAP,
    MOST_COMPARED,
    MOST_OF_BLOCK,
    difference,
    json_difference,
)

lines = st.lists(st.sampled_from(["a", "b", "c", "  d", ""]), max_size=30).map("\n".join)


def whole(row):
    return row.before + row.changed + row.after


def test_equal_texts_have_no_difference():
    assert difference("a\nb", "a\nb") == []


def test_a_replaced_line_is_marked_where_the_two_texts_differ():
    old, new = difference('"maximum": 100,', '"maximum": 250,')

    assert (old.kind, old.before, old.changed, old.after) == ("old", '"maximum": ', "10", "0,")
    assert (new.kind, new.before, new.changed, new.after) == ("new", '"maximum": ', "25", "0,")


def test_long_stretches_of_equal_lines_are_one_row():
    text = "\n".join(str(number) for number in range(100))

    rows = difference(text, text + "\nmore")

    assert [row.kind for row in rows] == ["gap", *["same"] * AROUND, "new"]
    assert rows[0].skipped == 100 - AROUND


def test_a_value_that_was_not_there_before_is_new():
    assert [row.kind for row in json_difference(None, {"a": 1}, was=False)] == ["new", "new", "new"]


@given(lines, lines)
def test_both_texts_can_be_read_from_the_difference(old, new):
    rows = difference(old, new)
    if any(row.kind == "gap" for row in rows):
        assert all(row.skipped >= GAP for row in rows if row.kind == "gap")
        return

    if old != new:
        assert [whole(row) for row in rows if row.kind != "new"] == old.splitlines()
        assert [whole(row) for row in rows if row.kind != "old"] == new.splitlines()
        numbers = [row.old_number for row in rows if row.old_number]
        assert numbers == list(range(1, len(old.splitlines()) + 1))


def test_texts_of_many_repeated_lines_are_compared_up_to_a_bound(monkeypatch):
    looked_at = []
    found = SequenceMatcher.find_longest_match
    monkeypatch.setattr(
        SequenceMatcher,
        "find_longest_match",
        lambda self, *part: looked_at.append(len(self.b) * (part[1] - part[0])) or found(self, *part),
    )
    many = ["1,"] * 5_000

    rows = difference("\n".join(["{", "a", *many, "}"]), "\n".join(["{", "b", *many[:-9], "c", "}"]))

    assert sum(looked_at) <= MOST_COMPARED
    assert [row.kind for row in rows[:3]] == ["coarse", "same", "old"]
    assert [row.skipped for row in rows if row.kind == "cut"] == [5_001 - MOST_OF_BLOCK, 4_993 - MOST_OF_BLOCK]
    assert rows[-1].before == "}"


def test_texts_whose_equal_lines_stand_apart_are_compared_up_to_a_bound():
    one = [line for number in range(300) for line in ("1", f"a{number}")]
    other = [line for number in range(300) for line in ("1", f"b{number}")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(revisions, "MOST_COMPARED", 200_000)
        rows = difference("\n".join(one), "\n".join(other))

    assert rows[0].kind == "coarse"
    assert [whole(row) for row in rows if row.kind in ("same", "old")] == one
    assert [whole(row) for row in rows if row.kind in ("same", "new")] == other
    assert any(row.kind == "same" for row in rows)


def test_a_line_added_to_many_repeated_lines_is_the_only_difference():
    many = ["1,"] * 50_000

    rows = difference("\n".join(many), "\n".join([*many[:100], "2,", *many[100:]]))

    assert [(row.kind, row.skipped) for row in rows if row.kind != "same"] == [("gap", 96), ("new", 0), ("gap", 49_896)]


def test_the_rows_of_a_difference_are_bounded(monkeypatch):
    monkeypatch.setattr(revisions, "MOST_ROWS", 10)

    rows = difference("\n".join(f"a{number}\nx{number}" for number in range(20)), "\n".join(f"x{n}" for n in range(20)))

    assert len(rows) == 11
    assert (rows[-1].kind, rows[-1].skipped) == ("cut", 20 - sum(row.kind == "old" for row in rows))
