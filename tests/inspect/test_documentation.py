"""The reference of the HTTP API names every route and every problem."""

import re
from pathlib import Path

from synapse import problems
from synapse.endpoints.openapi import Problem as ProblemModel
from synapse.errors import alerts as alerts_errors
from synapse.errors import delivery as bridges_errors
from synapse.errors import streams as stream_errors
from synapse.errors.contracts import TooCostly
from synapse.problems import Problem
from synapse.shares import counter
from synapse_project.endpoints import ENDPOINTS
from tests.references import resolved
from tests.tables import for_each

# What only those hear of who run bridges, or whose words are those of streams.
_NOT_OVER_HTTP = {
    "SecretLost",
    "SecretElsewhere",
    "BadConfig",
    "SinkBroken",
    "NoSuchBridge",
    "NotDefined",
}
REFERENCE = Path(__file__, "../../../docs/reference/http-api.md").resolve().read_text(encoding="utf-8")


@for_each("endpoint", ENDPOINTS)
def test_every_endpoint_is_documented(endpoint):
    assert f"{endpoint.method} {endpoint.path}`" in REFERENCE


def test_every_problem_of_these_routes_is_documented_with_its_status():
    documented = dict(re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", REFERENCE, re.MULTILINE))

    expected = {
        found.slug: str(found.status)
        for module in (problems, counter, stream_errors, bridges_errors, alerts_errors)
        for found in (*vars(module).values(), TooCostly)
        if isinstance(found, type)
        and issubclass(found, Problem)
        and found not in (stream_errors.Unavailable, stream_errors.ServerBusy)
        and found.__name__ not in _NOT_OVER_HTTP
    }
    assert documented == expected


def test_every_parameter_of_messages_is_documented(client):
    document = client.get("/openapi.json").json()

    for each in document["paths"]["/streams/{stream}/messages"]["get"]["parameters"]:
        parameter = resolved(document, each)
        if parameter["in"] == "query":
            assert re.search(rf"^\| .*`{parameter['name']}`", REFERENCE, re.MULTILINE), parameter["name"]


def test_the_problem_document_is_described_as_it_is():
    shown = problems.document(Problem("Oops."))

    assert set(shown) <= set(ProblemModel.model_fields)
