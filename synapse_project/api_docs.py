"""The OpenAPI document, and the page that shows it, under the same kind of policy as the admin's pages."""

from functools import cache
from typing import Any

from csp.decorators import csp
from django.utils.decorators import method_decorator
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from core.content_policy import API_DOCS


@cache
def _document() -> Any:
    return SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]


class _MadeOnce(SchemaGenerator):
    """Gives the document that was made first: it is the same for everybody, and making it takes half a second."""

    def get_schema(self, request: Any = None, public: bool = False) -> Any:
        return _document()


class ApiDocument(SpectacularJSONAPIView):
    """`GET /openapi.json`."""

    generator_class = _MadeOnce


@method_decorator(csp(dict(API_DOCS)), name="dispatch")
class ApiDocs(SpectacularSwaggerSplitView):
    """Swagger UI, whose script is a file of its own. Nobody logs in elsewhere from here: it needs no opener."""

    url_name = "openapi"
    template_name = "core/api_docs.html"

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {}
