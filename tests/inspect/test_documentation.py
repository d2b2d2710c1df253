"""The reference of the HTTP API names every route and every problem."""

import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from synapse import errors, problems
from synapse.endpoints.openapi import Problem as ProblemModel
from synapse.errors.streams import ServerBusy, Unavailable
from synapse.problems import Problem
from synapse.shares import counter
from synapse_project.endpoints import ENDPOINTS
from tests.references import resolved
from tests.tables import for_each

# The errors of bridges that people get where they run them, and no caller of the API.
_NOT_OVER_HTTP = {"SecretLost", "SecretElsewhere", "BadConfig", "SinkBroken", "NoSuchBridge", "NotDefined"}
# The errors of the registry, which has refusals of its own form (docs/registry.md).
_OF_REGISTRY = {
    *("UnknownContract", "UnknownVersion", "UnknownSchema", "WrongState", "DraftExists", "DraftChanged"),
    *("AlreadyDeleted", "NotDeletedYet", "Incompatible", "ReadOnly", "Referenced", "InUse", "NoPythonCode"),
}
_BASES = (Unavailable, ServerBusy)


def modules_of(package):
    return [import_module(f"{package.__name__}.{each.name}") for each in iter_modules(package.__path__)]


REFERENCE = Path(__file__, "../../../docs/reference/http-api.md").resolve().read_text(encoding="utf-8")


@for_each("endpoint", ENDPOINTS)
def test_every_endpoint_is_documented(endpoint):
    assert f"{endpoint.method} {endpoint.path}`" in REFERENCE


PROBLEMS = [
    found
    for module in (problems, counter, *modules_of(errors))
    for found in vars(module).values()
    if isinstance(found, type) and issubclass(found, Problem) and found.__module__ == module.__name__
]


def test_every_problem_of_these_routes_is_documented_with_its_status():
    documented = dict(re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", REFERENCE, re.MULTILINE))

    expected = {
        found.slug: str(found.status)
        for found in PROBLEMS
        if found not in _BASES and found.__name__ not in _NOT_OVER_HTTP | _OF_REGISTRY
    }
    assert documented == expected, "the table “Problems” of docs/reference/http-api.md differs from the classes"


def test_every_answer_503_tells_when_to_try_again():
    class Closed(Problem, status=503):
        retry_after = 7

    assert Closed("Not now.").headers == {"Retry-After": "7"}


def test_every_parameter_of_messages_is_documented(client):
    document = client.get("/openapi.json").json()

    for each in document["paths"]["/streams/{stream}/messages"]["get"]["parameters"]:
        parameter = resolved(document, each)
        if parameter["in"] == "query":
            assert re.search(rf"^\| .*`{parameter['name']}`", REFERENCE, re.MULTILINE), parameter["name"]


def test_the_problem_document_is_described_as_it_is():
    shown = problems.document(Problem("Oops."))

    assert set(shown) <= set(ProblemModel.model_fields)
