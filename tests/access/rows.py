"""The rows of the authorisation matrix: the right that each route requires of its caller.

A row is a method and a path as the routes are written. Endpoints declare theirs; a test fails for any other route that
has none.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from re import sub
from typing import Any, Literal

from django.urls import URLPattern, URLResolver, get_resolver

from contracts.api.urls import ENDPOINTS as REGISTRY
from synapse.auth.permission import Requirement
from synapse.auth.principal import EVERY_TYPE, Rights
from synapse.endpoints import Endpoint
from synapse_project.endpoints import ENDPOINTS, ROUTES

STREAM, SUBJECT = "training-events", "training-events.training-complete"
EVENT_TYPE = "training-complete"
Refusal = Literal["403", "nothing there", "empty list"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a route takes: some of these rights, all of them together. Nothing: to be known.

    `to_strangers`: not even that. `otherwise`: a scope that does instead. `refusal`: what who is known hears that may
    not; with the scope `sight`, a 403 all the same. `of_people`: scopes that a person needs besides.
    """

    publish: bool = False
    read: bool = False
    read_all: bool = False
    visible: bool = False
    scope: str = ""
    to_strangers: bool = False
    otherwise: str = ""
    refusal: Refusal = "403"
    sight: str = ""
    of_people: tuple[str, ...] = ()

    def allows(self, rights: Rights, *, is_person: bool = False) -> bool:
        if is_person and not all(rights.has(scope) for scope in self.of_people):
            return False
        if self.otherwise and rights.has(self.otherwise):
            return True
        return (
            (not self.publish or rights.may("publish", STREAM, EVENT_TYPE))
            and (not self.read or rights.may("read", STREAM, EVENT_TYPE))
            and (not self.read_all or rights.may("read", STREAM, EVERY_TYPE))
            and (
                not self.visible
                or rights.may("read", STREAM)
                or rights.may("publish", STREAM)
                or rights.has("streams:read")
            )
            and (not self.scope or rights.has(self.scope))
        )


STRANGERS, KNOWN = Rule(to_strangers=True), Rule()
SEEN = Rule(scope="registry:read", refusal="nothing there")
SEEN_LIST = Rule(scope="registry:read", refusal="empty list")
CHANGED = Rule(scope="registry:write", refusal="nothing there", sight="registry:read")

_R = "/registry"


def _rule(requires: Requirement) -> Rule:
    """Return the rule that an endpoint declares."""
    declared = {each.name: getattr(requires, each.name) for each in fields(Requirement)}
    del declared["is_checked_later"]
    return Rule(to_strangers=declared.pop("open_to_all"), **declared)


def _rule_of_registry(endpoint: Endpoint) -> Rule:
    """Return the rule of a registry endpoint: to a caller without read rights its resources do not exist."""
    if endpoint.name in ("list_schemas", "list_subjects"):
        return SEEN_LIST
    return {"": KNOWN, SEEN.scope: SEEN, CHANGED.scope: CHANGED}[endpoint.requires.scope]


ROWS: dict[tuple[str, str], Rule] = {
    ("GET", "/"): STRANGERS,
    ("GET", "/admin"): STRANGERS,
    ("GET", "/openapi.json"): KNOWN,
    ("GET", "/docs"): KNOWN,
    **{(each.method, each.path): _rule(each.requires) for each in ENDPOINTS},
    **{(each.method, f"{_R}{each.path}".rstrip("/")): _rule_of_registry(each) for each in REGISTRY},
    **{(method, f"{_R}/{{anything}}"): KNOWN for method in ("GET", "POST", "PUT", "PATCH", "DELETE")},
}


def routes() -> set[tuple[str, str]]:
    """Return every method and path that is served, but for the admin's pages: by the front door or by Django."""
    return {(route.method, route.path) for route in ROUTES} | set(_of_django(get_resolver().url_patterns, ""))


def admin_paths() -> list[str]:
    """Return the address of every page of the admin, about a thing that has the number 1."""
    (admin,) = (found for found in get_resolver().url_patterns if getattr(found, "app_name", "") == "admin")
    filled = (sub(r"<(\w+:)?\w+>", "1", path) for path in _paths(admin.url_patterns, "/admin/"))
    return sorted({path for path in filled if "(?P" not in path})


def _of_django(patterns: Any, before: str) -> Iterator[tuple[str, str]]:
    for found in patterns:
        if isinstance(found, URLResolver):
            if found.app_name != "admin":
                yield from _of_django(found.url_patterns, before + str(found.pattern))
        else:
            path = _written(before + str(found.pattern))
            yield from ((method, path) for method in _methods(found))


def _paths(patterns: Any, before: str) -> Iterator[str]:
    for found in patterns:
        if isinstance(found, URLResolver):
            yield from _paths(found.url_patterns, before + str(found.pattern))
        else:
            yield before + str(found.pattern)


def _methods(found: URLPattern) -> list[str]:
    view = getattr(found.callback, "cls", None) or getattr(found.callback, "view_class", None)
    assert view is not None, f"{found}: of a function nobody knows which methods it serves"
    if found.name in ("home", "admin-without-slash"):
        return ["GET"]
    names = ("get", "post", "put", "patch", "delete")
    return [name.upper() for name in names if hasattr(view, name) and name in view.http_method_names]


def _written(pattern: str) -> str:
    """Return a pattern as our routes are written: `/streams/{stream}/info`."""
    path = sub(r"\(\?P<(\w+)>(?:\[\^/\]\+|\[\\s\\S\]\+\?)\)", r"{\1}", sub(r"(?<!\[)\^", "", pattern))
    path = path.replace(r"[\s\S]*", "{anything}").removesuffix("$").removesuffix("/?").removesuffix("/")
    return f"/{path}"
