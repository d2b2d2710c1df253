"""Descriptions of the server for clients, and the answer to unknown paths."""

from typing import Any

from django.conf import settings

from contracts.api import openapi, request_parser
from synapse.http.exchange import Request


@openapi.described("GET", "/", "Say that a registry is here", openapi.OBJECT, scope=None)
def registry(asked: Request) -> Any:
    """Returns an empty object, as registries do."""
    return {}


@openapi.described("GET", "/contexts{?offset,limit}", "List the contexts", openapi.TEXTS, scope=None)
def contexts(asked: Request) -> Any:
    """There is one context."""
    return request_parser.page(asked, ["."])


@openapi.described(
    "GET",
    "/associations/resources/{namespace}/{resource}",
    "List a topic's associations",
    {"type": "array", "items": openapi.OBJECT},
    scope=None,
)
def associations(asked: Request, namespace: str, resource: str) -> Any:
    """There are none; clients then derive the subject from the topic's name."""
    return []


@openapi.described("GET", "/v1/metadata/id", "Show the registry's name", openapi.ServerId, scope=None)
def registry_id(asked: Request) -> Any:
    """The registry belongs to no cluster."""
    return {"scope": {"path": [], "clusters": {}}, "id": "synapse"}


@openapi.described("GET", "/v1/metadata/version", "Show the registry's version", openapi.ServerVersion, scope=None)
def registry_version(asked: Request) -> Any:
    """Returns the version of Synapse."""
    return {"version": settings.SPECTACULAR_SETTINGS["VERSION"], "commitId": ""}
