"""Differences between two texts are shown line by line, with the equal lines around them."""

from hypothesis import given
from hypothesis import strategies as st

from core.admin.revisions import (
    AROUND,
    GAP,
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
