"""The page that shows the OpenAPI document, under the same kind of policy as the admin's pages."""

from csp.decorators import csp
from django.utils.decorators import method_decorator
from drf_spectacular.views import SpectacularSwaggerSplitView

from core.content_policy import API_DOCS


@method_decorator(csp(dict(API_DOCS)), name="dispatch")
class ApiDocs(SpectacularSwaggerSplitView):
    """Swagger UI, whose script is a file of its own. Nobody logs in elsewhere from here: it needs no opener."""

    url_name = "openapi"
    template_name = "core/api_docs.html"

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {}
