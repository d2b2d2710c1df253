"""The tables of `docs/alerts.md`: every condition and every rule that is on from the start, as they are."""

from pathlib import Path

from synapse.alerts.rules import CONDITIONS, DEFAULT_RULES

TEXT = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its head."""
    part = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines[2:]]


def test_the_rules_that_are_on_from_the_start_are_documented():
    assert rows("Rules") == [
        [f"`{rule.name}`", f"`{rule.condition}`", f"{rule.threshold:g}", str(rule.for_seconds), rule.severity]
        for rule in DEFAULT_RULES
    ]


def test_the_conditions_are_documented():
    kinds = {"redis": "Redis"}
    assert rows("Conditions") == [
        [
            f"`{each.name}`",
            kinds.get(each.subject, each.subject) + (" with a bridge" if each.of_bridges else ""),
            each.unit or "—",
            f"{each.threshold:g}",
            each.meaning,
        ]
        for each in CONDITIONS.values()
    ]
