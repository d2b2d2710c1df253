"""The client decodes every golden entry like the server, and encodes its own exactly as in the golden files."""

import pytest
from tests.tables import for_each
from tests.wire.golden import CASES, Case, exactly, fields_of, name_of, published_of, types_of, written_by

from deepiri_modelkit import wire


@for_each("case", CASES)
def test_an_entry_is_read_as_everybody_must_read_it(case: Case) -> None:
    read = wire.decode(fields_of(case), types_of=types_of(case))

    assert exactly(read.event) == exactly(case["event"])
    assert read.event_type == case["event_type"]
    assert read.layout == case["layout"]
    assert read.contract_version == case["contract_version"]
    assert (read.timestamp, read.source) == (case["timestamp"], case["source"])


@pytest.mark.parametrize("case", written_by("client"), ids=name_of)
def test_an_event_is_written_field_by_field_as_before(case: Case) -> None:
    published = published_of(case)
    before = exactly(published)

    fields = wire.encode(published, timestamp=case["timestamp"], source=case["source"])

    assert list(fields.items()) == list(case["fields"].items())
    assert exactly(published) == before
