"""Security headers: Content Security Policy (level 3), Permissions Policy, and `Cache-Control: no-store`.

Answers of the API are data: a browser that is made to show one runs and loads nothing. The admin's pages load files of
this server only, no inline script runs, and inline styles need the page's nonce. Events, and facts about them, are for
the caller alone, so no cache may keep them.
"""

from collections.abc import Mapping, Sequence

from csp.constants import NONCE, NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest, HttpResponseBase
from django.templatetags.static import static

from synapse.http.exchange import DATA_POLICY, NO_STORE

Directives = Mapping[str, Sequence[object]]

DATA: Directives = {"default-src": [NONE], "frame-ancestors": [NONE]}

_PAGE: Directives = {
    "default-src": [NONE],
    "script-src": [SELF],
    "style-src": [SELF],
    "img-src": [SELF, "data:"],
    "font-src": [SELF],
    "connect-src": [SELF],
    "form-action": [SELF],
    "base-uri": [NONE],
    "frame-ancestors": [NONE],
}
ADMIN: Directives = {
    **_PAGE,
    # The theme's pages are written for Alpine, which makes functions of the texts of their attributes.
    "script-src": [SELF, UNSAFE_EVAL],
    "style-src": [SELF, NONCE],
    # The same library sets style attributes; an attribute can neither fetch nor reach beyond its element.
    "style-src-attr": [UNSAFE_INLINE],
}
API_DOCS: Directives = _PAGE
# The script that pages also run as a shared worker: a worker has the policy of its script, and this one asks the server
# for samples.
WORKER = "core/live-statistics.js"
WORKER_POLICY = f"connect-src 'self'; {DATA_POLICY.decode()}"

# Features of the browser that no page of ours needs, and so no script in one gets.
_FEATURES = (
    "accelerometer camera display-capture geolocation gyroscope microphone midi payment publickey-credentials-get "
    "screen-wake-lock serial usb xr-spatial-tracking"
)
PERMISSIONS = ", ".join(f"{feature}=()" for feature in _FEATURES.split())


class ContentPolicyMiddleware(CSPMiddleware):
    """Sends the admin's policy with its pages, and the policy for data with all other responses that set none.

    Every page gets the Permissions Policy, and every response that does not set its own `Cache-Control: no-store`.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response.headers.setdefault("Cache-Control", NO_STORE)
        if response.get("Content-Type", "").startswith("text/html"):
            response["Permissions-Policy"] = PERMISSIONS
        if getattr(response, "_csp_config", None) is None and not _is_admin_page(request):
            # Written as the event loop does: the parent writes directives in any order.
            policy = WORKER_POLICY if request.path == static(WORKER) else DATA_POLICY.decode()
            response.headers.setdefault("Content-Security-Policy", policy)
            return response
        return super().process_response(request, response)

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if not report_only and parts.config is None and _is_admin_page(request):
            parts.config = dict(ADMIN)
        return parts


def _is_admin_page(request: HttpRequest) -> bool:
    return request.resolver_match is not None and "admin" in request.resolver_match.namespaces
