"""Security headers: Content Security Policy (level 3), Permissions Policy, and `Cache-Control: no-store`.

Responses of the API are data: when a browser displays one, it runs and loads nothing. The admin's pages load files of
this server only, no inline script runs, and inline styles need the page's nonce. Events, and facts about them, are for
the caller alone, so no cache may store them.
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
    # The theme uses Alpine, which compiles attribute texts to functions.
    "script-src": [SELF, UNSAFE_EVAL],
    "style-src": [SELF, NONCE],
    # Alpine sets style attributes, too. An attribute can neither fetch anything nor affect other elements.
    "style-src-attr": [UNSAFE_INLINE],
}
API_DOCS: Directives = _PAGE
# This script also runs as a shared worker. A worker has the policy of its script's response, and this one connects to
# the server for samples.
WORKER = "core/live-statistics.js"
WORKER_POLICY = f"connect-src 'self'; {DATA_POLICY.decode()}"

# Features of the browser that none of our pages needs: no script can use them.
_FEATURES = (
    "accelerometer camera display-capture geolocation gyroscope microphone midi payment publickey-credentials-get "
    "screen-wake-lock serial usb xr-spatial-tracking"
)
PERMISSIONS = ", ".join(f"{feature}=()" for feature in _FEATURES.split())


class ContentPolicyMiddleware(CSPMiddleware):
    """Sends the admin's policy with its pages, and the policy for data with other responses that do not set a policy.

    Every page gets the Permissions Policy, and every response that does not set its own `Cache-Control: no-store`.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response.headers.setdefault("Cache-Control", NO_STORE)
        if response.get("Content-Type", "").startswith("text/html"):
            response["Permissions-Policy"] = PERMISSIONS
        if getattr(response, "_csp_config", None) is None and not _is_admin_page(request):
            # Written in the order that the event loop uses: the parent class writes directives in any order.
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
