"""Figures of benchmarks against their limits."""

from benchmarks.console.figure import Figure, of_times


def test_a_page_keeps_its_limit_when_95_of_100_requests_do_and_prints_the_highest_one():
    figure = of_times("page", [0.1] * 19 + [0.4])

    assert figure.is_met
    assert str(figure) == "page: 100 ms (p95 100, highest 400), p95 at most 300"


def test_a_page_misses_its_limit_when_more_than_one_request_in_twenty_does():
    figure = of_times("page", [0.1] * 18 + [0.4] * 2)

    assert not figure.is_met
    assert str(figure).endswith("NOT MET")


def test_of_fewer_than_twenty_requests_each_one_has_to_keep_the_limit():
    assert not of_times("page", [0.1] * 10 + [0.4]).is_met


def test_a_figure_without_a_percentile_keeps_its_limit_with_its_highest_value():
    figure = Figure(name="filter", value=80, highest=120, unit="ms", most=100)

    assert not figure.is_met
    assert str(figure) == "filter: 80 ms (120), at most 100: NOT MET"
