"""Holds real answers to the models that document them: every answer that a test gets of either way in."""

from functools import cache
from typing import Any

import orjson
from pydantic import BaseModel

from synapse.endpoints import Endpoint
from synapse.endpoints.openapi import answer_of
from synapse.http.exchange import JSON, compile_path

# Every route may be answered with these, and is not asked to declare them.
_OF_ALL = {405, 408, 429, 500, 503}


def hold_to_model(method: str, target: str, status: int, content_type: str, body: bytes) -> None:
    """Fail when the endpoint does not declare the status of a refusal; and when an answer has a member that its model
    has not, or lacks one, or has one of another type."""
    media_type = content_type.partition(";")[0]
    endpoint = _endpoint(method, target.partition("?")[0])
    if endpoint is None:
        return
    if status >= 400:
        declared = {
            *_OF_ALL,
            *endpoint.problems,
            *(key if isinstance(key, int) else key[0] for key in endpoint.returns),
        }
        if not endpoint.requires.open_to_all:
            declared |= {401, 403}
        if endpoint.query is None and endpoint.body is None and not endpoint.takes_request:
            declared |= {400, 413}  # for the host, or for a body that the route ignores
        assert status in declared, f"{endpoint.name} was answered {status}: add it to `problems` of its declaration"
    if media_type != JSON or not 200 <= status < 300:
        return
    documented = {key if isinstance(key, int) else key[0]: found for key, found in _json(endpoint)}
    assert status in documented, f"{endpoint.name} does not document {status}"
    if isinstance(model := answer_of(documented[status]), type) and issubclass(model, BaseModel):
        model.model_validate(orjson.loads(body))


def _json(endpoint: Endpoint) -> list[tuple[Any, Any]]:
    return [(key, found) for key, found in endpoint.returns.items() if isinstance(key, int) or key[1] == JSON]


@cache
def _patterns() -> list[tuple[Any, Endpoint]]:
    from synapse_project.endpoints import ENDPOINTS

    by_length = sorted(ENDPOINTS, key=lambda each: each.path.count("{"))
    return [(compile_path(each.path), each) for each in by_length]


def _endpoint(method: str, path: str) -> Endpoint | None:
    return next((each for pattern, each in _patterns() if each.method == method and pattern.fullmatch(path)), None)
