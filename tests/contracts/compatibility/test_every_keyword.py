"""Every keyword of every draft, in both directions; the tables are in `cases/`, one line a case.

The ordinary run takes each case in each direction, in one draft, the next case in the next; `SYNAPSE_TESTS=full` in
every one.
"""

from pathlib import Path
from typing import Any

from synapse.compatibility import (
    Direction,
    EarlierVersion,
    Mode,
    Policy,
    check,
)
from tests import yaml_files
from tests.chaos.profile import FULL
from tests.contracts.compatibility.schemas import DRAFTS, validator_of
from tests.tables import for_each

TABLES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))


def cases() -> list[tuple[dict[str, Any], int]]:
    found = []
    for number, case in enumerate(case for table in TABLES for case in yaml_files.read(table)):
        drafts = [it for it in DRAFTS if case.get("since", 4) <= it <= case.get("until", 2020)]
        found += [(case, it) for it in (drafts if FULL else [drafts[number % len(drafts)]])]
    return found


@for_each("direction", list(Direction))
@for_each("case, draft", cases())
def test_a_change_of_a_keyword_is_judged(case, draft, direction):
    old, new = ({"$schema": DRAFTS[draft], **case[which]} for which in ("old", "new"))
    expected = case.get(direction.lower(), [])

    verdict = check(new, [EarlierVersion(version=1, document=old)], mode=Mode(direction), policy=Policy.STRICT)

    rules = [difference.rule for difference in verdict.differences]
    if case.get(f"{direction.lower()}_any") and expected:
        assert rules
        assert set(rules) <= set(expected)
    else:
        assert sorted(rules) == sorted(expected)
    assert verdict.is_compatible == (not expected)
    if case.get("undecided") not in (direction.lower(), "both"):
        writer, reader = (old, new) if direction is Direction.BACKWARD else (new, old)
        for difference in verdict.differences:
            assert difference.decided
            assert validator_of(writer).is_valid(difference.witness)
            assert not validator_of(reader).is_valid(difference.witness)
