"""Statistics and metrics agree while processes are killed (`python -m benchmarks.agreement`: for ten minutes)."""

import pytest

from benchmarks.agreement import LONGEST_GAP, Scrape, compare, run
from tests.acceptance.hub import running_hub


@pytest.mark.process
@pytest.mark.nightly
def test_samples_and_metrics_agree_while_each_process_is_killed(tmp_path):
    with running_hub(tmp_path) as hub:
        report = run(hub, seconds=600, kills=5)

    assert report.compared >= 2
    assert report.wrong == []
    assert report.longest_gap <= LONGEST_GAP


def test_a_sample_that_does_not_count_what_the_metric_counts_is_found():
    scrapes = [Scrape(100, 0), Scrape(130, 60)]
    steps = [10.0] * 12

    assert compare(scrapes, 90, steps, steps).wrong == []
    assert compare(scrapes, 90, [value / 2 for value in steps], steps).wrong != []
    assert compare(scrapes, 90, steps, [1, None, None, 1]).longest_gap == 10
