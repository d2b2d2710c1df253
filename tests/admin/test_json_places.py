"""A JSON Pointer leads to the line on which its value stands."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.admin.json_field import line_of
from synapse.schema.violations import json_pointer
from tests.chaos.profile import FULL

TEXT = """{
  "a": [1, 2,
    {"b/~c": 5, "": 6}
  ],
  "\\u0064": {
    "text": "}\\\\\\"{,:",
    "e": null
  }
}"""


@pytest.mark.parametrize(
    ("pointer", "line"),
    [
        ("", 1),
        ("/a", 2),
        ("/a/1", 2),
        ("/a/2", 3),
        ("/a/2/b~1~0c", 3),
        ("/a/2/", 3),
        ("/d", 5),
        ("/d/text", 6),
        ("/d/e", 7),
    ],
)
def test_a_value_is_found(pointer, line):
    assert line_of(TEXT, pointer) == line


@pytest.mark.parametrize(("pointer", "line"), [("/missing", 1), ("/d/missing", 5), ("/a/9", 2), ("/d/e/f", 7)])
def test_a_pointer_to_a_missing_value_leads_to_the_line_of_its_parent(pointer, line):
    assert line_of(TEXT, pointer) == line


@pytest.mark.parametrize("text", ["", "  ", '{"a"', '{"a": ', '{"a" 1, "b": 2}', "{1: 2}"])
def test_invalid_json_has_no_line_for_a_pointer(text):
    assert line_of(text, "/b") is None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


def paths(value, path=()):
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, found in inner:
        yield from paths(found, (*path, key))


@given(values)
@settings(max_examples=100 if FULL else 16)
def test_every_value_of_any_document_is_found_on_its_line(value):
    for path in paths(value):
        # A document that is the same but for one value differs from there on: on its line.
        changed = json.loads(json.dumps(value))
        holder = changed
        for key in path[:-1]:
            holder = holder[key]
        if path:
            holder[path[-1]] = "changed here"
        old, new = (json.dumps(each, indent=1).splitlines() for each in (value, changed))
        first = next((n for n, pair in enumerate(zip(old, new, strict=False), 1) if pair[0] != pair[1]), len(old))

        assert line_of(json.dumps(value, indent=1), json_pointer(path)) == (first if path else 1)
