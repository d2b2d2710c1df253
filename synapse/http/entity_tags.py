"""Tell clients whether the answer that they keep is still the current one (RFC 9110, 8.8.3 and 13).

A tag is a digest of the answer to this caller, made after the caller's rights were checked. So a tag is known only to
those who may have the answer, and the same definition has another tag for a caller who sees less of it.
"""

import re
from collections.abc import Iterator
from hashlib import blake2b

from synapse.http.exchange import Request, Response

_READING = ("GET", "HEAD")
# The browser of the caller may keep the answer, and asks each time whether it is current. No cache of several callers
# may (RFC 9111, 5.2.2.7); caches that still do tell the callers apart.
CACHE_CONTROL = "private, no-cache"
VARY = "Authorization, Cookie, X-API-Key"
# A member of a list of tags. A text between quotes may hold commas (RFC 9110, 8.8.3).
_MEMBER = re.compile(r'[ \t]*(W/)?("[^"]*")[ \t]*(?:,|$)|[^,]*(?:,|$)')


def tag_of(content_type: str, body: bytes) -> str:
    """Return the strong entity tag of a representation. One of another content type has another tag."""
    digest = blake2b(content_type.encode(), digest_size=16)
    digest.update(b"\0" + body)
    return f'"{digest.hexdigest()}"'


def names_tag(header: str, tag: str, *, is_weak: bool) -> bool:
    """Say whether the value of If-Match or If-None-Match names a tag, or any with `*`.

    Args:
        tag: a strong one.
        is_weak: whether the weak comparison is asked for (RFC 9110, 8.8.3.2), to which `W/"a"` is `"a"`.
    """
    if header.strip() == "*":
        return True
    return any(text == tag and (is_weak or not weak) for weak, text in _members(header))


def _members(header: str) -> Iterator[tuple[str, str]]:
    """Yield the well-formed members of a list of tags: the mark of a weak one, and the text with its quotes."""
    for found in _MEMBER.finditer(header):
        if found[2] is not None:
            yield found[1] or "", found[2]


def with_tag(request: Request, response: Response, tag: str = "") -> Response:
    """Return the answer to a read with its entity tag; 304 without a body when the client has that answer.

    Those without success have none, nor have long ones, which are sent in parts: their digest would keep the event loop
    for milliseconds.

    Args:
        tag: that of the answer, where it is known.
    """
    if response.status != 200 or request.method not in _READING or response.rest:
        return response
    tag = tag or tag_of(response.content_type, response.body)
    vary = response.headers.get("Vary")
    headers = {"ETag": tag, "Cache-Control": CACHE_CONTROL, "Vary": f"{VARY}, {vary}" if vary else VARY}
    if names_tag(request.headers.get("if-none-match", ""), tag, is_weak=True):
        # RFC 9110, 15.4.5: without the headers that describe the content.
        return Response(status=304, content_type="", headers=headers)
    return response._replace(headers={**response.headers, **headers})
