"""The server's codec reads every golden entry as written there, and writes its own exactly so."""

import pytest

from synapse.wire import encoding
from tests.tables import for_each
from tests.wire.golden import CASES, Case, exactly, fields_of, name_of, published_of, types_of, written_by


@for_each("case", CASES)
def test_an_entry_is_read_as_everybody_must_read_it(case: Case) -> None:
    read = encoding.decode(fields_of(case), types_of=types_of(case))

    assert exactly(read.event) == exactly(case["event"])
    assert read.event_type == case["event_type"]
    assert read.layout == case["layout"]
    assert read.contract_version == case["contract_version"]
    assert (read.timestamp, read.source) == (case["timestamp"], case["source"])
    assert read.cloudevent == case.get("cloudevent")


@pytest.mark.parametrize("case", written_by("server"), ids=name_of)
def test_an_event_is_written_field_by_field_as_before(case: Case) -> None:
    fields = case["fields"]
    event = encoding.canonical(published_of(case))
    names = {encoding.CLOUDEVENT} | ({"traceparent"} if "c" in fields["synapse_added"] else set())

    parts = encoding.encode(
        event,
        layout=case["layout"],
        timestamp=case["timestamp"],
        source=case["source"],
        contract_version=case["contract_version"],
        beside={name: text for name, text in fields.items() if name in names},
    )

    assert exactly(event) == exactly(case["event"])
    assert list(encoding.pairs([part.encode() for part in parts]).items()) == list(fields_of(case).items())


def test_every_case_has_a_name_of_its_own() -> None:
    assert len({name_of(case) for case in CASES}) == len(CASES)
