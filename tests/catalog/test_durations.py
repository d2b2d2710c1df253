"""Durations in ISO 8601."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse.formats import durations


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("P7D", timedelta(days=7)),
        ("P2W", timedelta(weeks=2)),
        ("PT1H30M", timedelta(minutes=90)),
        ("P1DT2H3M4.5S", timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
        ("PT36H", timedelta(days=1, hours=12)),
        ("PT0S", timedelta()),
    ],
)
def test_a_duration_is_read(text, duration):
    assert durations.parse(text) == duration


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "7D", "P7", "P1Y", "P1M", "P1.5D", "-P1D", "P1D ", "p1d", "P1DT", "7 00:00:00", "P٣D"]
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="a duration is written as"):
        durations.parse(text)


@given(st.timedeltas(min_value=timedelta()))
def test_a_duration_survives_formatting_and_parsing(duration):
    assert durations.parse(durations.text_of(duration)) == duration
