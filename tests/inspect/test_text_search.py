"""A text is found in the names and values of an event, and not in the punctuation of JSON."""

from hypothesis import given
from hypothesis import strategies as st

from synapse.formats import exact_json
from synapse.inspection.rows import TextSearch

characters = st.sampled_from('aAn1u0,:"\\\n\x1f{[]-.eßİé')
texts = st.text(characters, max_size=4)
plain = st.none() | st.booleans() | st.integers(-20, 20) | st.sampled_from([1.5, 1e300, -2e-9]) | texts
events = st.recursive(plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3))


def is_found(text, event):
    return TextSearch(text).matches({"event": event, "source": "", "event_type": None})


def values_of(event):
    if isinstance(event, dict):
        return [*event, *(value for each in event.values() for value in values_of(each))]
    if isinstance(event, list):
        return [value for each in event for value in values_of(each)]
    return [event if isinstance(event, str) else exact_json.dumps(event).decode()]


@given(st.text(characters, min_size=1, max_size=3), events)
def test_a_text_is_found_if_one_name_or_value_has_it(text, event):
    expected = any(text.casefold() in value.casefold() for value in values_of(event))

    assert is_found(text, event) is expected
    for _ in range(300):  # deeper than JSON can be written
        event = [event]
    assert is_found(text, event) is expected


def test_punctuation_is_looked_for_without_a_look_at_each_number(monkeypatch):
    written = []
    dumps = exact_json.dumps
    monkeypatch.setattr(exact_json, "dumps", lambda value, **options: written.append(value) or dumps(value, **options))

    assert not is_found(",", {"v": [1] * 10_000})
    assert len(written) == 2  # the text and the event
