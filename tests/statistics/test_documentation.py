"""The page on statistics has every series, as it is declared."""

from pathlib import Path

from synapse.statistics.series import BY_NUMBER, SERIES

PAGE = Path(__file__).parents[2] / "docs/reference/statistics.md"


def test_the_page_has_every_series_and_no_other():
    rows = [
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `") and line.count("|") == 6
    ]

    assert rows == [
        f"| `{each.name}` | {each.scope} | {each.kind}, {each.unit} | {each.meaning} | "
        f"{f'`{each.metric}`' if each.metric else '-'} |"
        for each in SERIES
    ]


def test_no_two_series_have_one_number_or_name():
    assert len(BY_NUMBER) == len({each.name for each in SERIES}) == len(SERIES)
