"""Statistics and metrics agree while processes are killed (`python -m benchmarks.agreement`: for ten minutes)."""

import pytest

from benchmarks.agreement import COMPARED, LONGEST_GAP, Scrape, compare, longest_gap, run


@pytest.mark.process
@pytest.mark.nightly
def test_samples_and_metrics_agree_while_each_process_is_killed(tmp_path):
    report = run(tmp_path, seconds=120, kills=1)

    assert report.compared.keys() >= {"published", "refused", "length", "acknowledged", "retried", "failures"}
    assert report.compared.keys() <= set(COMPARED.values())
    assert report.wrong == []
    assert report.longest_gap <= LONGEST_GAP


def test_a_sample_that_does_not_count_what_the_metric_counts_is_found():
    scrapes = [Scrape(100, 100, {"published": 0}), Scrape(130, 130, {"published": 60})]
    steps = [10.0] * 12

    agreeing = compare(scrapes, 90, {"published": steps})
    assert (agreeing.wrong, agreeing.compared, agreeing.growth) == ([], {"published": 1}, {"published": 60})
    for wrong in ([value / 2 for value in steps], [value * 2 for value in steps]):
        assert compare(scrapes, 90, {"published": wrong}).wrong != []
    assert longest_gap([1, None, None, 1]) == 10
