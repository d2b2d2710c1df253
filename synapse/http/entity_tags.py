"""Entity tags, with which clients ask whether a cached answer is current (RFC 9110, 8.8.3 and 13).

A tag is a digest of the answer to this caller, made after the caller's rights were checked. So only callers who may
read the answer can know its tag, and a definition has another tag for a caller who sees less of it.
"""

import re
from collections.abc import Iterator
from hashlib import blake2b

from synapse.http.exchange import Request, Response

_READING = ("GET", "HEAD")
# The caller's browser may cache the answer, and has to revalidate it each time. Shared caches must not store it (RFC
# 9111, 5.2.2.7); if one stores it nevertheless, Vary keeps the callers apart.
CACHE_CONTROL = "private, no-cache"
VARY = "Authorization, Cookie, X-API-Key"
# A member of a list of tags. A text between quotes may hold commas (RFC 9110, 8.8.3).
_MEMBER = re.compile(r'[ \t]*(W/)?("[^"]*")[ \t]*(?:,|$)|[^,]*(?:,|$)')


def tag_of(content_type: str, body: bytes) -> str:
    """Return the strong entity tag of a representation; it depends on the content type, too."""
    digest = blake2b(content_type.encode(), digest_size=16)
    digest.update(b"\0" + body)
    return f'"{digest.hexdigest()}"'


def names_tag(header: str, tag: str, *, weakly: bool) -> bool:
    """Say whether the value of If-Match or If-None-Match lists a tag, or is `*`.

    Args:
        tag: a strong tag.
        weakly: whether to compare weakly (RFC 9110, 8.8.3.2), so that `W/"a"` equals `"a"`.
    """
    if header.strip() == "*":
        return True
    return any(text == tag and (weakly or not weak) for weak, text in _parse_members(header))


def _parse_members(header: str) -> Iterator[tuple[str, str]]:
    """Yield the well-formed members of a list of tags: `W/` or "", and the text with its quotes."""
    for found in _MEMBER.finditer(header):
        if found[2] is not None:
            yield found[1] or "", found[2]


def with_tag(request: Request, response: Response, tag: str = "") -> Response:
    """Return the answer to a read with its entity tag, or 304 without a body when the client has the answer already.

    Only successful answers have a tag, and only those in one piece: the digest of a long one would block the event loop
    for milliseconds.

    Args:
        tag: the tag of the answer, if it is known.
    """
    if response.status != 200 or request.method not in _READING or response.rest:
        return response
    tag = tag or tag_of(response.content_type, response.body)
    vary = response.headers.get("Vary")
    headers = {"ETag": tag, "Cache-Control": CACHE_CONTROL, "Vary": f"{VARY}, {vary}" if vary else VARY}
    if names_tag(request.headers.get("if-none-match", ""), tag, weakly=True):
        # RFC 9110, 15.4.5: without the headers that describe the content.
        return Response(status=304, content_type="", headers=headers)
    return response._replace(headers={**response.headers, **headers})
