"""CloudEvents as readers without the right to PII see them."""

import orjson
import pytest

from synapse.schema.pii import MASK
from synapse.schema.validator import compile_schema
from synapse.wire.encoding import decode_texts
from synapse.wire.masking import Mask, entry_row
from tests.cloudevents.cast import TIME, fields_of
from tests.tables import for_each

BORN = "1990-05-17T00:00:00Z"
PERSON = {"type": "object", "properties": {"born": {"x-pii": True}, "name": {"x-pii": True}}}


def row_without_pii(came, *, beside=(), event=None):
    """Return the row of a CloudEvent of a person, as a reader without the right to PII sees it."""
    marks = compile_schema(PERSON).personal
    event = event or {"event_type": "person-added", "born": BORN, "name": "Anna Ek"}
    timestamp = came.get("time", TIME)
    fields = fields_of(event, came) | {"timestamp": timestamp} | dict(beside)
    return entry_row("1-0", fields, decode_texts(fields), mask=Mask((marks,), is_cloudevent=True))


def test_a_time_that_is_masked_in_the_attributes_is_no_timestamp_either():
    row = row_without_pii({"id": "A-1", "source": "/hr", "time": BORN})

    assert (row["timestamp"], row["data"]["timestamp"], row["cloudevent"]["time"]) == (None, MASK, MASK)
    assert BORN not in orjson.dumps(row).decode()


@pytest.mark.parametrize("time", [TIME, "1990-05-18T00:00:00Z"])
def test_a_time_that_repeats_nothing_of_the_event_stays_the_timestamp(time):
    row = row_without_pii({"id": "A-1", "source": "/hr", "time": time})

    assert row["timestamp"] == row["data"]["timestamp"] == row["cloudevent"]["time"] == time


def test_a_timestamp_of_the_event_itself_is_judged_by_its_own_mark():
    event = {"event_type": "person-added", "born": BORN, "name": "Anna Ek", "timestamp": TIME}

    row = row_without_pii({"id": "A-1", "source": "/hr", "time": BORN}, event=event, beside={"timestamp": TIME})

    assert (row["timestamp"], row["cloudevent"]["time"]) == (TIME, MASK)


@for_each("state, shown", [("hr=Anna Ek", f"hr={MASK}"), ("hr=77", "hr=77")])
@for_each("is_cloudevent", [True, False])
def test_pii_in_a_trace_state_is_masked_beside_any_event(state, shown, is_cloudevent):
    event = {"event_type": "person-added", "born": BORN, "name": "Anna Ek"}
    fields = fields_of(event) | {"synapse_tracestate": state}
    mask = Mask((compile_schema(PERSON).personal,), is_cloudevent=is_cloudevent)

    assert mask.fields(fields, event)["synapse_tracestate"] == shown


def test_names_that_no_attribute_has_are_left_out_for_readers_without_pii():
    came = {"id": "A-1", "source": "/hr", "_": "t", "first-name": "Anna Ek", "x_y": 1, "": {"a": BORN}}

    row = row_without_pii(came)

    assert orjson.loads(row["data"]["synapse_cloudevent"]) == {"id": "A-1", "source": "/hr", "_": "t"}
    assert "Anna" not in orjson.dumps(row).decode()
