"""Requests that Schemathesis generates from the OpenAPI document, and a check of the answers against it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import checks
from schemathesis.checks import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks as of_openapi

from tests.hostile.conftest import KNOWN

CHECKS = [
    checks.not_a_server_error,
    of_openapi.status_code_conformance,
    of_openapi.content_type_conformance,
    of_openapi.response_headers_conformance,
    of_openapi.response_schema_conformance,
]
# Its answer does not end.
ENDLESS = ("/streams/{stream}/live", "/live", "/stats/live")
# A request may ask to be answered after a while; none does for longer than this.
PATIENCE = 120


@schemathesis.serializer("application/x-ndjson")
def _lines(_: Any, value: Any) -> dict[str, Any]:
    """Write the lines of JSON that Schemathesis makes up."""
    return {"data": value if isinstance(value, bytes) else str(value).encode()}


@dataclass
class Report:
    """The requests sent, and the first request for each way in which an answer differs from the document."""

    asked: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)


def ask_everything(url: str, *, cases: int) -> Report:
    """Send at least so many requests, evenly over all operations; always the same ones."""
    document = httpx.get(f"{url}/openapi.json", timeout=PATIENCE).json()
    operations = list(_operations(document))
    report = Report()
    rounds = 0
    with requests.Session() as session:
        while report.asked < cases:
            each = -(-(cases - report.asked) // len(operations))
            rounds += 1
            for place, operation in enumerate(operations):
                _ask_one(operation, each, (each + place % 2) // 2, rounds, url, session, report)
    return report


def _operations(document: dict[str, Any]) -> Iterator[Any]:
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = result.ok()
        if operation.path not in ENDLESS:
            yield operation


def _ask_one(
    operation: Any, each: int, wrong: int, number: int, url: str, session: requests.Session, report: Report
) -> None:
    """Ask one operation: so many requests are not as the document says, where a request can be wrong.

    A text in the path or in a header cannot: Schemathesis would search long and find nothing.
    """
    if not (operation.query or operation.body):
        wrong = 0
    if each > wrong:
        _ask(operation, GenerationMode.POSITIVE, each - wrong, number, url, session, report)
    if wrong:
        with suppress(Unsatisfiable):
            _ask(operation, GenerationMode.NEGATIVE, wrong, number, url, session, report)


def _ask(
    operation: Any, mode: Any, count: int, number: int, url: str, session: requests.Session, report: Report
) -> None:
    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
    def one(case: Any, known: bool) -> None:
        # Half of the requests name what is there, the others what Schemathesis makes up.
        if known and isinstance(case.path_parameters, dict):
            case.path_parameters.update({name: KNOWN[name] for name in case.path_parameters if name in KNOWN})
        _one(case, url, session, report)

    one()


def _one(case: Any, url: str, session: requests.Session, report: Report) -> None:
    response = case.call(base_url=url, session=session, timeout=PATIENCE)
    report.asked += 1
    report.statuses[response.status_code] += 1
    try:
        case.validate_response(response, checks=CHECKS)
    except FailureGroup as failures:
        for failure in failures.exceptions:
            name = f"{case.operation.label}: {failure.title} ({response.status_code})"
            report.failures.setdefault(name, f"{failure}\n{case.as_curl_command()}"[:2000])
