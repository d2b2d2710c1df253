"""When STRICT says compatible, no document that the writer accepts is refused by the reader.

Held against the real validator for random pairs of schemas, and against its author's own proof of containment.
"""

from collections import Counter
from typing import Any

import jsonschema_rs
from hypothesis import given

from synapse.compatibility import (
    NO_WITNESS,
    CompatibilityResult,
    EarlierVersion,
    Mode,
    Policy,
    check,
)
from tests.contracts.compatibility.conftest import profile
from tests.contracts.compatibility.events import documents_for
from tests.contracts.compatibility.schemas import pairs, validator_of


def compare(writer: dict[str, Any], reader: dict[str, Any], policy: Policy = Policy.STRICT) -> CompatibilityResult:
    earlier = [EarlierVersion(version=1, document=writer)]
    return check(reader, earlier, mode=Mode.BACKWARD, policy=policy)


def is_valid_pair(pair: tuple[dict[str, Any], dict[str, Any]]) -> bool:
    try:
        return all(validator_of(schema) is not None for schema in pair)
    except (jsonschema_rs.ValidationError, ValueError):
        return False


def test_the_verdict_on_a_random_pair_holds():
    seen: Counter[str] = Counter()

    @profile()
    @given(pairs().filter(is_valid_pair))
    def holds(pair):
        writer, reader = pair
        strict, lenient = compare(writer, reader), compare(writer, reader, Policy.LENIENT)

        seen["pairs"] += 1
        seen["differ"] += writer != reader
        a_witness_proves_each_decided_difference(writer, reader, strict)
        # What is not decided may hang on how busy the machine is, so only what is can be compared.
        if all(it.decided for it in strict.differences + lenient.differences):
            lenient_differs_by_its_list_alone(strict, lenient)
        if strict.is_compatible:
            seen["compatible"] += 1
            seen["compatible though they differ"] += writer != reader
            seen["documents that prove it"] += no_document_is_lost(writer, reader)
            assert second_opinion(writer, reader) != "no"
        else:
            seen["undecided"] += not any(difference.decided for difference in strict.differences)
            seen["let through by LENIENT"] += lenient.is_compatible

    holds()

    print(dict(seen))
    # Calling nothing compatible would be sound, and useless.
    assert seen["compatible though they differ"] > seen["differ"] * 0.25
    assert seen["pairs"] - seen["compatible"] > seen["pairs"] * 0.15
    assert seen["undecided"] < seen["pairs"] * 0.05
    assert seen["documents that prove it"] > seen["compatible"] * 20
    assert seen["let through by LENIENT"]


def no_document_is_lost(writer: dict[str, Any], reader: dict[str, Any]) -> int:
    """Hold documents against both validators, and return how many the writer accepts."""
    accepts, reads = validator_of(writer), validator_of(reader)
    accepted = [document for document in documents_for(writer, reader) if accepts.is_valid(document)]
    for document in accepted:
        assert reads.is_valid(document), document
    return len(accepted)


def a_witness_proves_each_decided_difference(
    writer: dict[str, Any], reader: dict[str, Any], verdict: CompatibilityResult
) -> None:
    for difference in verdict.differences:
        assert difference.decided == (difference.witness is not NO_WITNESS)
        if difference.decided:
            assert validator_of(writer).is_valid(difference.witness)
            assert not validator_of(reader).is_valid(difference.witness)


def lenient_differs_by_its_list_alone(strict: CompatibilityResult, lenient: CompatibilityResult) -> None:
    assert not strict.allowed
    assert {it.rule for it in lenient.allowed} <= LENIENT_RULES
    assert not {it.rule for it in lenient.differences} & LENIENT_RULES
    assert lenient.is_compatible == ({it.rule for it in strict.differences} <= LENIENT_RULES)


def second_opinion(writer: dict[str, Any], reader: dict[str, Any]) -> str:
    """Ask the validator's author, whose own proof of containment knows one draft at a time."""
    options: Any = {"validate_formats": True, "pattern_options": jsonschema_rs.RegexOptions()}
    if writer["$schema"] != reader["$schema"]:
        return "unknown"
    wide, narrow = (jsonschema_rs.canonicalize(it, **options) for it in (reader, writer))
    try:
        return str(wide.covers(narrow).value)
    except (jsonschema_rs.canonical.UnsupportedOperand, jsonschema_rs.canonical.UnsupportedResult):
        return "unknown"


LENIENT_RULES = {
    "PROPERTY_ADDED_TO_OPEN_OBJECT",
    "PROPERTY_REMOVED_FROM_CLOSED_OBJECT",
    "ADDITIONAL_PROPERTIES_NARROWED",
}
