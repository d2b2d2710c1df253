"""The routes of the registry, below the path that the project gives them."""

import re
from collections.abc import Mapping

from django.urls import URLPattern, re_path

from contracts.api import configuration, schemas, subjects
from contracts.api.base import RegistryView, view_of
from synapse.endpoints import Endpoint, by_path, endpoints_of

# Whatever it holds; the class stands for a dot that also means a newline, which Django cannot write backwards.
_SUBJECT = r"(?P<subject>[\s\S]+?)"
_PART = re.compile(r"\{(\w+)\}")
ENDPOINTS = endpoints_of(schemas, subjects, configuration)


class Unknown(RegistryView):
    """Refuses unknown paths with 404: clients try paths of other registries, and stop at any other refusal."""

    schema = None
    get = post = put = delete = patch = RegistryView.answer


def _route(path: str, methods: Mapping[str, Endpoint]) -> URLPattern:
    """Return Django's pattern of a path written as `/subjects/{subject}/versions`.

    A subject may hold slashes, which clients encode and Django decodes before it looks here. A trailing slash is the
    same route: a redirect would lose the body of a POST.
    """
    pattern = _PART.sub(r"(?P<\1>[^/]+)", path.lstrip("/").replace("{subject}", _SUBJECT))
    end = "/?$" if pattern else "$"
    found: URLPattern = re_path(f"^{pattern}{end}", view_of(methods).as_view(), name=next(iter(methods.values())).name)
    return found


# Of two that fit, the first counts: a subject's own paths come before those that end with a subject.
_PATHS = sorted(by_path(ENDPOINTS).items(), key=lambda each: each[0].endswith("{subject}"))
urlpatterns = [_route(*each) for each in _PATHS]
urlpatterns.append(re_path(r"^[\s\S]*$", Unknown.as_view(), name="registry-unknown"))
root = view_of(by_path(ENDPOINTS)["/"]).as_view()
