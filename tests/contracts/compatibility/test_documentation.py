"""docs/compatibility.md lists every rule and no other, and its examples break the rules that they stand for."""

import json
import re
from pathlib import Path

from synapse.compatibility import (
    EarlierVersion,
    Mode,
    Policy,
    check,
)
from synapse.compatibility.rules import LENIENT, Rule
from tests.tables import for_each

PAGE = (Path(__file__).parents[3] / "docs" / "compatibility.md").read_text()
ROW = re.compile(
    r"^\| `([A-Z_]+)`( \(LENIENT lets it through\))? \| (.+?) \| `(\{.*\})` \| `(\{.*\})` \|$", re.MULTILINE
)
ROWS = {name: (marked, old, new) for name, marked, _, old, new in ROW.findall(PAGE)}
FIXES = re.findall(r"^\| `([A-Z_]+)` \|", PAGE.partition("## Fixes")[2], re.MULTILINE)


def test_every_rule_is_documented_and_no_other():
    assert set(ROWS) == set(Rule.__members__)
    assert set(FIXES) == set(Rule.__members__)


def test_the_rules_that_lenient_lets_through_are_marked():
    assert {name for name, (marked, _, _) in ROWS.items() if marked} == LENIENT
    section = PAGE.partition("## Two policies")[2].partition("## Rules")[0]
    assert set(re.findall(r"^\| `([A-Z_]+)`", section, re.MULTILINE)) == LENIENT


@for_each("rule", ROWS)
def test_an_example_breaks_its_rule(rule):
    _, old, new = ROWS[rule]

    earlier = [EarlierVersion(version=1, document=json.loads(old))]
    verdict = check(json.loads(new), earlier, mode=Mode.BACKWARD, policy=Policy.STRICT)

    assert rule in {difference.rule for difference in verdict.differences}
