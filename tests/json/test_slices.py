"""A JSON array read in slices gives the values or the refusal of the whole text."""

import json
import math
from unittest.mock import patch

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from synapse.formats import json_slices, strict_json
from synapse.formats.json_slices import Oversized
from tests.chaos.profile import examples
from tests.json.test_strict_json import VALUES

TEXTS = st.text(st.sampled_from('[]{},:"\\ \n\té€😀a'), max_size=12)
ITEMS = VALUES | TEXTS | st.dictionaries(TEXTS, VALUES | TEXTS, max_size=4)
ARRAYS = st.lists(ITEMS, max_size=12)
# What breaks a text, or changes what it says.
PIECES = st.sampled_from(
    [
        *(b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\n", b" ", b"0", b"-", b"tru", b"x", b"1e999", b"\xff"),
        *(b"\xc3\xa9", b"\\ud800", b"\\u0000", b'"\\u0000"', b'{"a":1,"a":2}', b"99999999999999999999", b",,", b"]]"),
        b"[" * 70,
    ]
)


def plain(text):
    """Return the values of the whole text, or why it is refused."""
    try:
        return strict_json.loads(text, max_depth=strict_json.MAX_DEPTH + 1)
    except strict_json.BadJSON as error:
        return str(error)


def sliced(text, *, longest=10**9, **sizes):
    """Return the same, read in slices of so many bytes."""
    with patch.multiple(json_slices, **{"SLICE": json_slices.SLICE, **sizes}):
        try:
            return [item for part in json_slices.read(text, longest=longest) for item in part.items]
        except strict_json.BadJSON as error:
            return str(error)


@st.composite
def damaged(draw):
    """An array that was cut off somewhere, and into which something was put."""
    text = json.dumps(
        draw(ARRAYS), ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1, "\t"]))
    ).encode()
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(1, len(text)))
        text = text[:place] + draw(PIECES) + text[place:]
    begin = draw(st.integers(1, len(text)))
    return text[:begin] + text[draw(st.sampled_from([begin, begin, begin + 1, begin + 3, 10**6])) :]


SIZES = st.fixed_dictionaries(
    {
        "SLICE": st.integers(1, 60),
        "_BLOCK": st.integers(1, 30),
        "_STRING_BLOCK": st.integers(2, 30),
        "_TEXT_BLOCK": st.integers(4, 30),
        "_MOST_TOKENS": st.sampled_from([0, 2, 4096]),
    }
)


@given(damaged(), SIZES)
@settings(max_examples=examples(300), deadline=None)
@example(b"[1,2\n, ]", {"SLICE": 2})
@example(b'[{"a":1},{"b":2},', {"SLICE": 4})
@example(b'["a,b","c],[d","\\",{"]', {"SLICE": 3, "_BLOCK": 2})
@example(b"[1,\n2,\n\xc3\xa9]", {"SLICE": 2})
@example(b"[1,2]" + b" " * 50 + b"\n x", {"SLICE": 4})
@example(b"[" + b" " * 50 + b"," + b" " * 50 + b"]", {"SLICE": 4})
@example(b"[" + b" " * 50 + b"\n}" + b" " * 50 + b"]", {"SLICE": 4})
@example(b"[1," + b" " * 50 + b"\n]", {"SLICE": 4})
@example(b'[{"a":1,"a":2},"\\u0000",tru]', {"SLICE": 4})
@example(b'["\\u0000",' + b"[" * 70 + b"]" * 70 + b',{"a":1,"a":2}]', {"SLICE": 4})
def test_an_array_read_in_slices_gives_what_the_whole_text_gives(text, sizes):
    whole = plain(text)

    if isinstance(whole, str):
        assert sliced(text, **sizes) == whole
    else:
        # As they are written: 1, 1.0 and true are equal, and a number that no double holds is exact.
        assert repr(sliced(text, **sizes)) == repr(whole)


@pytest.mark.parametrize("size", [1, 7, 50, 300])
@pytest.mark.parametrize(
    "items",
    [
        [{"event_type": "order-placed", "lines": [{"n": 1}, {"n": 2}]}] * 20,
        [{"text": "}, {" * 9, "list": ["]", "[", "\\", '"']}] * 20,
        [{}] * 50,
        [{"lines": [{"n": 1}, {"n": 2}] * 3}, {"n": 3}] * 9,
        [[[[1, 2], [3]], []]] * 9,
        ["x" * 400, {"y": "\\" * 400}, 1.5, None],
    ],
    ids=["events", "brackets in texts", "empty objects", "arrays of objects", "nested", "long texts"],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_all_items_come_in_their_order_for_any_size_of_a_slice(items, indent, size):
    text = json.dumps(items, indent=indent).encode()

    assert sliced(text, SLICE=size, _BLOCK=max(1, size // 3)) == items


LONGEST = 256 * 1024
LONG_ITEMS = {
    "text": '"' + "x" * 300_000 + '"',
    "escapes": '"' + "\\\\" * 150_000 + '"',
    "empty arrays": "[" + "[],{}," * 50_000 + "1]",
    "brackets in a text": '{"a":"' + "}],{[" * 60_000 + '"}',
    "numbers": "[" * 60 + "1," * 40_000 + "2" + "]" * 60,
    "digits": "1" * 300_000,
    "white space": " " * 300_000 + "1",
}


def parsed_sizes(monkeypatch):
    """Return a list that gets the size of each text that is handed to the parser."""
    sizes = []
    loads = strict_json.loads
    monkeypatch.setattr(
        strict_json, "loads", lambda data, **options: [sizes.append(len(data)), loads(data, **options)][1]
    )
    return sizes


@pytest.mark.parametrize("item", LONG_ITEMS.values(), ids=LONG_ITEMS)
@pytest.mark.parametrize("frame", ["[{}]", "[1,{}]", "[{},1]", '["a",{},"b"]'])
def test_an_item_that_is_too_long_or_has_too_many_parts_is_not_parsed(item, frame, monkeypatch):
    sizes = parsed_sizes(monkeypatch)

    found = sliced(frame.replace("{}", item).encode(), longest=LONGEST)

    assert found == [Oversized(len(item)) if each == {} else each for each in json.loads(frame)]
    assert max(sizes, default=0) <= json_slices.SLICE + 100


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[" * 3_000_000, "levels deep"),
        (b'["' + b"x" * 3_000_000, "unexpected end of data (line 1, column 3000003)"),
        (b"[1" + b" " * 3_000_000, "unexpected end of data (line 1, column 3000003)"),
        (b"[{}]" + b" " * 3_000_000 + b"x", "unexpected content after document (line 1, column 3000005)"),
        (b"[{}]" + b"x" * 3_000_000, "unexpected content after document (line 1, column 5)"),
        (b"[{}," + b" " * 3_000_000 + b"]", "trailing comma is not allowed (line 1, column 4)"),
        (b"[" + b"{}," * 1_000_000 + b"]", "trailing comma is not allowed (line 1, column 3000001)"),
        (b"[" + b"1\n," * 1_000_000 + b"\xff]", "byte 3000001 (0xff)"),
    ],
)
def test_a_large_text_that_is_not_json_is_refused_in_slices(text, reason, monkeypatch):
    sizes = parsed_sizes(monkeypatch)

    refusal = sliced(text, longest=LONGEST)

    assert reason in refusal
    assert max(sizes, default=0) <= LONGEST + 100


@given(VALUES, st.sampled_from([None, 1]))
def test_parts_are_counted_without_parsing(value, indent):
    text = json.dumps(value, indent=indent).encode()

    def parts(node):
        inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        return 1 + sum(map(parts, inner))

    with patch.object(strict_json, "MAX_NODES", 0):
        assert strict_json.count_parts(text) == parts(value)
    assert math.isfinite(strict_json.count_parts(text))


def test_a_long_text_of_too_many_parts_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(orjson, "loads", lambda _: pytest.fail("it was parsed"))

    with pytest.raises(strict_json.BadJSON, match="more than 10000 parts"):
        strict_json.loads_value(b"[" + b"[]," * 20_000 + b"1]")
