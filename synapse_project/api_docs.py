"""The OpenAPI document, and the page that shows it, with a content policy like that of the admin."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from threading import Lock
from typing import Any

import orjson
from csp.decorators import csp
from django.http import HttpResponse
from django.utils.cache import get_conditional_response
from django.utils.decorators import method_decorator
from django.utils.http import quote_etag
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request

from core.content_security_policy import API_DOCS


@dataclass(frozen=True, slots=True)
class Document:
    """The OpenAPI document as JSON, and its entity tag (RFC 9110, 8.8.3)."""

    body: bytes
    etag: str


_building = Lock()


def document() -> Document:
    """Return the document, which is the same for every caller. The first call builds it, and other calls wait for that.

    While it builds, drf-spectacular stores values on the view classes, so only one thread may build at a time.
    """
    with _building:
        return _build()


@cache
def _build() -> Document:
    body = orjson.dumps(SchemaGenerator().get_schema(public=True))  # type: ignore[no-untyped-call]
    return Document(body, quote_etag(sha256(body).hexdigest()))


class ApiDocument(SpectacularJSONAPIView):
    """`GET /openapi.json`."""

    schema = None  # it does not describe itself

    def get(self, request: Request, *_: Any, **__: Any) -> HttpResponse:
        """Answer with the document, or 304 to a client that has it."""
        made = document()
        response = HttpResponse(made.body, content_type=request.accepted_renderer.media_type)
        response["Content-Disposition"] = 'inline; filename="Synapse.json"'
        response["ETag"] = made.etag
        response["Cache-Control"] = "private, no-cache"
        return get_conditional_response(request._request, etag=made.etag, response=response) or response


@method_decorator(csp(dict(API_DOCS)), name="dispatch")
class ApiDocs(SpectacularSwaggerSplitView):
    """Swagger UI, with its script in a file. Its page opens no log-in of another site, so it needs no opener."""

    url_name = "openapi"
    template_name = "core/api_docs.html"

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {}
