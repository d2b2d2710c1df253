"""The base of all errors: an exception that knows its HTTP response.

Every app's errors descend from `Problem`. Every edge (the fast path, Django REST framework, a management command)
renders them with the same function, as the problem document of RFC 9457.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson

PROBLEM_JSON = "application/problem+json"
TYPE_PREFIX = "urn:synapse:problem:"
# The challenge of a 401 (RFC 6750, 3).
CHALLENGE = 'Bearer realm="synapse"'


class Problem(Exception):
    """An error that is reported to the caller.

    `detail` is one sentence for a person. `members` are further members of the problem document (RFC 9457, 3.2);
    `headers` go into the HTTP answer. `trace_id` is the id of the request's trace, "" without one.

    Attributes:
        retry_after: the seconds of the header Retry-After, which every 503 has.
        quotes_event: whether the detail may quote an event; such a detail is left out of the records of refused events.
    """

    trace_id = ""
    retry_after = 1
    quotes_event = True

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Something went wrong inside Synapse"

    def __init_subclass__(cls, *, status: int = 0, slug: str = "", title: str = "") -> None:
        """Set the status, slug and title of the class; those not given are inherited."""
        cls.status, cls.slug, cls.title = status or cls.status, slug or cls.slug, title or cls.title

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = dict(headers or {})
        if self.status == 503:
            self.headers.setdefault("Retry-After", str(self.retry_after))
        self.members = members


class BadRequest(Problem, status=400, slug="bad-request", title="The request is not well formed"):
    """The request itself is not well formed."""


class Unauthenticated(Problem, status=401, slug="unauthenticated", title="Authentication required"):
    """The request has no credential, or an invalid one (RFC 9110, 15.5.2)."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": CHALLENGE})


class Forbidden(Problem, status=403, slug="forbidden", title="The caller may not do this"):
    """The caller is authenticated, but lacks a right, which `missing` names."""

    quotes_event = False


class ForeignOrigin(Problem, status=403, slug="foreign-origin", title="Pages of other sites may change nothing here"):
    """A page of another site sent a request that changes something, without a key."""

    def __init__(self, origin: str | None) -> None:
        whose = "a page of another site" if origin is None else f"a page of “{origin[:100]}”"
        super().__init__(
            f"The request was sent by {whose}, which is not in CORS_ALLOWED_ORIGINS. Add the origin there, or send the"
            " request from a program."
        )


class BadParameter(Problem, status=400, slug="bad-parameter", title="A parameter has a value that cannot be used"):
    """A parameter, in the query or in the body, has a value that cannot be used."""


class NotFound(Problem, status=404, slug="not-found", title="Nothing is served under this path"):
    """Nothing is served under this path."""


class MethodNotAllowed(Problem, status=405, slug="method-not-allowed", title="This method is not served here"):
    """The path exists; the method does not."""

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        names = ", ".join(allowed)
        super().__init__(f"{method} is not served here; use {names}.", headers={"Allow": names})


class NotAcceptable(
    Problem, status=406, slug="not-acceptable", title="The header Accept accepts no form of the answer"
):
    """The header Accept refuses all forms in which the answer is available (RFC 9110, 15.5.7)."""

    def __init__(self, forms: Sequence[str]) -> None:
        super().__init__(
            f"The header Accept accepts no form of this answer. It is available as {', '.join(forms)}.",
            headers={"Vary": "Accept"},
            available=[*forms],
        )


class PreconditionFailed(Problem, status=412, slug="precondition-failed", title="The definition has changed"):
    """The header If-Match names no tag of the definition as it is now (RFC 9110, 13.1.1)."""

    def __init__(self) -> None:
        super().__init__(
            "If-Match does not name the definition as it is now; nothing was changed. Read it again, and send the "
            "change with the new ETag."
        )


class PayloadTooLarge(Problem, status=413, slug="too-large", title="The request is larger than the limit"):
    """The body exceeds the size limit."""


class UnsupportedMediaType(
    Problem, status=415, slug="unsupported-media-type", title="This content type is not accepted"
):
    """The body's content type is not supported."""


class DatabaseDown(Problem, status=503, slug="database-down", title="The database cannot be used now"):
    """The database cannot be reached, is locked, or has no room. The same request can succeed later."""

    def __init__(self, detail: str = "The database cannot be used now: nothing was changed. Try again.") -> None:
        super().__init__(detail)


def document(problem: Problem, *, trace_id: str = "") -> dict[str, Any]:
    """Return the problem document. `error` repeats the detail for clients that were written before RFC 9457.

    `trace_id` is used for a problem without a trace id of its own; "" without one.
    """
    trace_id = problem.trace_id or trace_id
    return {
        "type": TYPE_PREFIX + problem.slug,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "error": problem.detail,
        **problem.members,
        **({"trace_id": trace_id} if trace_id else {}),
    }


def render(problem: Problem, *, trace_id: str = "") -> bytes:
    """Return the problem document as JSON (UTF-8); `trace_id` as for `document`."""
    return orjson.dumps(document(problem, trace_id=trace_id))


def too_large(limit: int) -> PayloadTooLarge:
    """Return the problem for a body that exceeds the limit in bytes, and is not read."""
    return PayloadTooLarge(f"The body is larger than the {limit} bytes that are accepted here.")
