"""The report of a run: numbers in words, the table, the files."""

import json

import pytest

from benchmarks import report
from benchmarks.values import QUICK, Samples
from tests.benchmarks.rows import not_measured, outcome

MACHINE = {"processor": "one", "memory": "8 GiB"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.01234, "0.0123"), (1.5, "1.5"), (12.345, "12.3"), (999.4, "999"), (1000, "1,000"), (25_123.7, "25,124")],
)
def test_a_figure_has_as_many_digits_as_it_deserves(value, shown):
    assert report.figure(value) == shown


@pytest.mark.parametrize(
    ("samples", "unit", "shown"),
    [
        (None, "ms", "-"),
        (Samples([4.2]), "", "4.2"),
        (Samples([4.2]), "ms", "4.2 ms"),
        (Samples([3, 9, 4]), "ms", "4 ms (3-9)"),
        (Samples([1200, 900]), "events/s", "1,050 events/s (900-1,200)"),
    ],
)
def test_samples_are_their_median_and_the_range_of_the_rounds(samples, unit, shown):
    assert report.samples(samples, unit) == shown


@pytest.mark.parametrize(
    ("found", "cells"),
    [
        (
            outcome("publish", [30], [10], ratio_at_least=2),
            ("work of publish", "its peer", "30 events/s", "10", "3.00x", ">= 2x", "yes"),
        ),
        (
            outcome("publish", [10], [10], ratio_at_least=2),
            ("work of publish", "its peer", "10 events/s", "10", "1.00x", ">= 2x", "NO"),
        ),
        (
            outcome("start", [10], unit="s"),
            ("work of start", "its peer", "10 s", "-", "-", "-", "-"),
        ),
        (
            not_measured("webdis", "it is not installed", at_least=5),
            ("work of webdis", "its peer", "not measured", "-", "-", ">= 5", "-"),
        ),
    ],
)
def test_a_line_says_what_was_found_and_whether_that_is_enough(found, cells):
    assert report.cells(found) == cells


def test_notes_are_told_by_the_row_that_they_belong_to():
    outcomes = [
        outcome("publish", [1], notes=["on one core", "with keys"]),
        outcome("batch", [1]),
        not_measured("webdis", "it is not installed"),
    ]

    assert report.notes(outcomes) == ["publish: on one core", "publish: with keys", "webdis: it is not installed"]


def test_the_columns_of_the_table_are_aligned():
    shown = report.text_table(
        [outcome("publish", [30_000], [10_000]), not_measured("a-long-name", "no time")]
    ).splitlines()

    header, rule, first, second, nothing, note = shown
    for line in (first, second):
        assert line[header.index("beside") :].startswith("its peer")
    assert first[header.index("peer's") :].startswith("10,000")
    assert {*rule} == {"-", " "}
    assert len(rule.split()) == len(report.HEADER)
    assert (nothing, note) == ("", "a-long-name: no time")


def test_a_table_without_notes_ends_with_its_last_line():
    assert report.text_table([outcome("publish", [1])]).splitlines()[-1].startswith("work of publish")


def test_markdown_has_the_table_the_machine_and_the_notes():
    shown = report.markdown(MACHINE, [outcome("publish", [30], [10], notes=["on one core"], ratio_at_least=2)])

    assert shown.splitlines() == [
        "| work | beside | ours | peer's | ratio | to reach | met |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| work of publish | its peer | 30 events/s | 10 | 3.00x | >= 2x | yes |",
        "",
        "Medians, in brackets the range of the rounds.",
        "",
        "- processor: one",
        "- memory: 8 GiB",
        "",
        "- publish: on one core",
    ]


class TestTheFiles:
    @pytest.fixture
    def results(self, tmp_path, monkeypatch):
        monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
        monkeypatch.setattr(report, "draw_plot", lambda *_: False)
        return tmp_path / "results"

    def test_a_report_is_written_as_json_and_markdown_of_one_name(self, results):
        written = report.write_files(QUICK, MACHINE, [outcome("publish", [1])])

        assert {path.suffix for path in written} == {".json", ".md"}
        assert sorted(written) == sorted(results.iterdir())
        assert {path.stem for path in written} == {written[0].stem}
        assert written[0].stem.endswith("-quick")

    def test_the_plot_is_named_when_it_was_drawn(self, results, monkeypatch):
        monkeypatch.setattr(report, "draw_plot", lambda *_: True)

        written = report.write_files(QUICK, MACHINE, [outcome("publish", [1])])

        assert [path.suffix for path in written] == [".json", ".md", ".png"]

    def test_the_json_has_each_round_and_the_judgement(self, results):
        measured = outcome("publish", [30, 20], [10, 10], notes=["on one core"], ratio_at_least=2)

        path, *_ = report.write_files(
            QUICK, MACHINE, [measured, not_measured("webdis", "it is not installed", at_most=5)]
        )

        found = json.loads(path.read_text())
        assert (found["machine"], found["plan"]["name"]) == (MACHINE, "quick")
        publish, webdis = found["rows"]
        assert (publish["ours"], publish["peers"], publish["ratio"]) == ([30, 20], [10, 10], 2.5)
        assert (publish["met"], publish["notes"], publish["unit"]) == (True, ["on one core"], "events/s")
        assert webdis["not_measured"] == "it is not installed"
        assert webdis["bar"]["at_most"] == 5
        assert "ours" not in webdis
