"""What clients ask to learn whom they talk to, and the answer to every path that is not there."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from contracts.api import openapi, request_parser, shapes
from contracts.api.base import RegistryView, answer
from synapse.problems import NotFound


class Root(RegistryView):
    required_scope = {"GET": None}

    @openapi.described("Say that a registry is here", name="registry", answer=openapi.OBJECT)
    def get(self, request: Request) -> HttpResponse:
        """An empty object, as registries answer."""
        return answer(request, {})


class Contexts(RegistryView):
    required_scope = {"GET": None}

    @openapi.described(
        "List the contexts", name="contexts", parameters=[*openapi.PAGE], answer=openapi.TEXTS, refusals=[400]
    )
    def get(self, request: Request) -> HttpResponse:
        """There is one."""
        return answer(request, request_parser.page(request._request, ["."]))


class Associations(RegistryView):
    required_scope = {"GET": None}

    @openapi.described(
        "List a topic's associations",
        name="associations",
        parameters=[openapi.path("namespace", "Where the resource is."), openapi.path("resource", "Its name.")],
        answer=openapi.list_of(openapi.OBJECT),
    )
    def get(self, request: Request, namespace: str, resource: str) -> HttpResponse:
        """There are none; clients then take the subject that a topic's name makes."""
        return answer(request, [])


class ServerId(RegistryView):
    required_scope = {"GET": None}

    @openapi.described("Show the registry's name", name="registry_id", answer=shapes.ServerId)
    def get(self, request: Request) -> HttpResponse:
        """It belongs to no cluster."""
        return answer(request, {"scope": {"path": [], "clusters": {}}, "id": "synapse"})


class ServerVersion(RegistryView):
    required_scope = {"GET": None}

    @openapi.described("Show the registry's version", name="registry_version", answer=shapes.ServerVersion)
    def get(self, request: Request) -> HttpResponse:
        """The version of Synapse."""
        return answer(request, {"version": settings.SPECTACULAR_SETTINGS["VERSION"], "commitId": ""})


class Unknown(RegistryView):
    # Clients try paths that other registries have, and stop at any other refusal than this one.
    required_scope = dict.fromkeys(("GET", "POST", "PUT", "DELETE", "PATCH"))

    @extend_schema(exclude=True)
    def get(self, request: Request, **_: Any) -> HttpResponse:
        """Say that nothing is here."""
        raise NotFound(f"Nothing is served under {request._request.path[:200]}.")

    post = put = delete = patch = get
