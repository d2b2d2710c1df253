"""The OpenAPI document, and the page that shows it, with a content security policy like the admin's."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from threading import Lock
from typing import Any

import orjson
from csp.decorators import csp
from django.http import HttpResponse
from django.utils.decorators import method_decorator
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response as RestResponse

from core.content_security_policy import API_DOCS
from core.views import ByQuality, with_entity_tag
from synapse.http.entity_tags import tag_of


@dataclass(frozen=True, slots=True)
class Document:
    """The OpenAPI document as JSON, and its entity tag by media type (RFC 9110, 8.8.3)."""

    body: bytes
    tags: Mapping[str, str]


_building = Lock()


def document() -> Document:
    """Return the document, which is the same for every caller. The first call builds it while others wait.

    drf-spectacular stores values on the view classes while it builds, so only one thread may build at a time.
    """
    with _building:
        return _build_document()


@cache
def _build_document() -> Document:
    body = orjson.dumps(SchemaGenerator().get_schema(public=True))  # type: ignore[no-untyped-call]
    kinds = [each.media_type for each in ApiDocument.renderer_classes]
    return Document(body, {kind: tag_of(kind, body) for kind in kinds})


class ApiDocument(SpectacularJSONAPIView):
    """`GET /openapi.json`."""

    schema = None  # the document does not describe its own endpoint
    content_negotiation_class = ByQuality

    def get(self, request: Request, *_: Any, **__: Any) -> HttpResponse:
        """Answer with the document, or with 304 if the client has the current version."""
        made, kind = document(), request.accepted_media_type
        response = HttpResponse(made.body, content_type=kind)
        response["Content-Disposition"] = 'inline; filename="Synapse.json"'
        return with_entity_tag(request._request, response, made.tags[kind])


@method_decorator(csp(dict(API_DOCS)), name="dispatch")
class ApiDocs(SpectacularSwaggerSplitView):
    """Swagger UI with its script in a separate file, as the content policy requires. OAuth log-ins, which need the
    page's opener, are not used.
    """

    url_name = "openapi"
    template_name = "core/api_docs.html"
    content_negotiation_class = ByQuality

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add the entity tag after the page is rendered."""
        found = super().finalize_response(request, response, *args, **kwargs)
        if isinstance(found, RestResponse):
            found.add_post_render_callback(partial(with_entity_tag, request._request))
        return found

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {}
