"""Requests of a person to operations of the API, and their answers as values."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest

from core.admin.base import person
from synapse.formats import exact_json
from synapse.http import exchange
from synapse.problems import Problem


def request_of(
    request: HttpRequest, stream: str, *, query: Mapping[str, str] | None = None, **params: str
) -> exchange.Request:
    """Return a person's request about a stream, for an operation of the API."""
    query = query or {}
    raw = urlencode(query)
    params = {"stream": stream, **params}
    return exchange.Request(method="GET", path="", params=params, query=query, raw_query=raw, principal=person(request))


def answer_of(found: exchange.Response | Problem) -> Any:
    """Return the JSON document of an API response, or the problem."""
    return found if isinstance(found, Problem) else exact_json.loads(found.whole_body)
