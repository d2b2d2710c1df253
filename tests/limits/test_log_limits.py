"""The log says that requests are refused, and how many; not a line for each."""

import logging

import pytest
from django.conf import settings

from synapse.runtime.log_format import SummedRefusals


class Log:
    """What a handler with the filter would write, by a clock that stands until it is moved."""

    def __init__(self):
        self.now, self.lines = 100.0, []
        self._filter = SummedRefusals(lambda: self.now)

    def __call__(self, message, *args, name="django.request", level=logging.WARNING, status=None):
        record = logging.LogRecord(name, level, "x.py", 1, message, args, None)
        if status is not None:
            record.status_code = status
        if self._filter.filter(record):
            self.lines.append(record.getMessage())


@pytest.fixture
def log():
    return Log()


def test_refusals_of_one_kind_are_one_line_in_ten_seconds_with_their_number(log):
    for number in range(1000):
        log("Unauthorized: %s", f"/{number}%s", status=401)
    log.now += 9.9
    log("Unauthorized: %s", "/b", status=401)
    log.now += 0.1

    log("Unauthorized: %s", "/c%d", status=401)
    log.now += 10
    log("Unauthorized: %s", "/d", status=401)

    assert log.lines == [
        "Unauthorized: /0%s",
        "Unauthorized: /c%d (1000 more like it since the last line)",
        "Unauthorized: /d",
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"status": 404},
        {"status": 401, "name": "django.security.csrf"},
        {"status": 401, "level": logging.ERROR},
        {"name": "uvicorn.error"},
        {"status": 401, "name": "synapse.redis.server_checks"},
    ],
    ids=["another status", "another logger", "an error", "of the web server", "no request's"],
)
def test_a_record_of_another_kind_is_not_left_out(log, other):
    log("Unauthorized", status=401)

    log("another", **other)

    assert log.lines == ["Unauthorized", "another"]


@pytest.mark.parametrize(
    "each",
    [
        {"status": 500, "level": logging.ERROR},
        {"name": "synapse.redis.server_checks"},
        {"name": "synapse.runtime.periodic"},
        {"level": logging.INFO, "name": "uvicorn.error"},
    ],
    ids=["errors", "a check of Redis", "background work", "what the server tells"],
)
def test_log_records_that_requests_cannot_cause_are_written_each_time(log, each):
    for _ in range(3):
        log("it happened", **each)

    assert log.lines == ["it happened"] * 3


def test_refusals_of_different_paths_are_of_one_kind(log):
    for number in range(100):
        log(f"Not Found: /{number}", status=404)

    assert len(log._filter._kinds) == 1


def test_the_handler_that_writes_the_log_has_the_filter():
    assert settings.LOGGING["handlers"]["stderr"]["filters"] == ["summed"]
    assert settings.LOGGING["root"]["handlers"] == ["stderr"]
