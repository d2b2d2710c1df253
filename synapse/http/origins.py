"""Whether a browser sent a request on behalf of a page of another site. Pure."""

from collections.abc import Collection, Mapping

# What browsers add to requests that could change something, and no page can forge: the page's origin (Fetch standard,
# 3.2) and its relation to the target (W3C Fetch Metadata Request Headers, 2.3).
ORIGIN, SITE = "origin", "sec-fetch-site"
BROWSERS_OWN = frozenset((ORIGIN, SITE))
_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
# `none`: a person's own doing, such as a bookmark.
_OWN_SITES = frozenset(("same-origin", "none"))
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def is_foreign(method: str, headers: Mapping[str, str], *, scheme: str, allowed: Collection[str]) -> bool:
    """Say whether a request could change something and comes from a page that is neither ours nor of an allowed origin.

    Args:
        headers: by lower-case names; those in which a proxy speaks, only from a trusted one.
        scheme: that of the connection, unless the proxy names another.
        allowed: origins as browsers write them.
    """
    if method in _SAFE_METHODS or BROWSERS_OWN.isdisjoint(headers):
        return False
    origin = headers.get(ORIGIN)
    if origin in allowed:
        return False
    # The browser compared what the person sees, which may differ from what a proxy passes on.
    if (site := headers.get(SITE)) is not None:
        return site.strip().lower() not in _OWN_SITES
    return origin not in _own_origins(headers, scheme)


def _own_origins(headers: Mapping[str, str], scheme: str) -> set[str]:
    scheme = headers.get("x-forwarded-proto", scheme).partition(",")[0].strip().lower()
    hosts = (headers.get(name, "").partition(",")[0].strip().lower() for name in ("host", "x-forwarded-host"))
    return {f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}" for host in hosts if host}
