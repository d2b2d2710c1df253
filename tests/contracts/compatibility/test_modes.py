"""Which versions are compared, in which direction, and the content of a difference."""

from synapse.compatibility import (
    NO_WITNESS,
    Direction,
    EarlierVersion,
    Mode,
    Policy,
    check,
)
from tests.tables import for_each

INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
STRING = {"type": "string"}


def versions(*documents):
    return [EarlierVersion(version=number, document=document) for number, document in enumerate(documents, start=1)]


@for_each(
    "mode, clashes",
    [
        (Mode.NONE, []),
        (Mode.BACKWARD, []),
        (Mode.BACKWARD_TRANSITIVE, [("BACKWARD", 1)]),
        (Mode.FORWARD, [("FORWARD", 2)]),
        (Mode.FORWARD_TRANSITIVE, [("FORWARD", 1), ("FORWARD", 2)]),
        (Mode.FULL, [("FORWARD", 2)]),
        (Mode.FULL_TRANSITIVE, [("BACKWARD", 1), ("FORWARD", 1), ("FORWARD", 2)]),
    ],
)
def test_a_mode_says_which_versions_read_which(mode, clashes):
    verdict = check(NUMBER, versions(STRING, INTEGER), mode=mode)

    assert sorted({(difference.direction, difference.version) for difference in verdict.differences}) == clashes
    assert verdict.is_compatible == (not clashes)


def test_the_first_version_has_nothing_to_clash_with():
    assert check(STRING, [], mode=Mode.FULL_TRANSITIVE).is_compatible


def test_a_difference_says_where_why_and_what_to_do():
    old = {"type": "object", "properties": {"a/b": {"type": "string", "maxLength": 9}}}
    new = {"type": "object", "properties": {"a/b": {"type": "string", "maxLength": 2}}}

    [difference] = check(new, versions(old), mode=Mode.BACKWARD).differences

    assert difference.rule == "MAX_LENGTH_LOWERED"
    assert difference.direction is Direction.BACKWARD
    assert difference.old_pointer == difference.new_pointer == "/properties/a~1b"
    assert difference.description == "The new schema accepts at most 2 characters; the old schema allows more."
    assert difference.witness == {"a/b": "aaa"}
    assert difference.fix == "Raise “maxLength” to 9."
    assert difference.version == 1
    assert difference.decided


def test_null_can_be_a_witness():
    [difference] = check(STRING, versions({"type": ["string", "null"]}), mode=Mode.BACKWARD).differences

    assert difference.witness is None
    assert difference.witness is not NO_WITNESS
    assert difference.has_witness


def test_references_are_followed_and_named():
    old = EarlierVersion(
        version=1, document={"properties": {"a": {"$ref": "common#/$defs/s"}}}, references=common(maxLength=9)
    )
    new = {"properties": {"a": {"$ref": "common#/$defs/s"}}}

    [difference] = check(new, [old], mode=Mode.BACKWARD, references=common(maxLength=2)).differences

    assert difference.rule == "MAX_LENGTH_LOWERED"
    assert difference.old_pointer == difference.new_pointer == "common#/$defs/s"
    assert difference.witness == {"a": "aaa"}


def test_equal_text_with_other_references_is_another_schema():
    document = {"$ref": "common#/$defs/s"}
    old = EarlierVersion(version=1, document=document, references=common(type="string"))

    verdict = check(document, [old], mode=Mode.BACKWARD, references=common(type="integer"), policy=Policy.STRICT)

    assert [difference.rule for difference in verdict.differences] == ["TYPE_NARROWED"]


def test_drafts_may_change_between_versions():
    old = {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "type": "number",
        "minimum": 0,
        "exclusiveMinimum": True,
    }
    new = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "number", "exclusiveMinimum": 0}

    assert check(new, versions(old), mode=Mode.FULL, policy=Policy.STRICT).is_compatible


def common(**definition):
    return {"common": {"$defs": {"s": definition}}}
