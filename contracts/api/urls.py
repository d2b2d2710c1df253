"""The routes of the registry, under whatever path the project gives them."""

import re
from typing import Any

from django.urls import URLPattern, re_path

from contracts.api import (
    compatibility,
    configuration,
    modes,
    schemas,
    server_info,
    subjects,
    versions,
)

# Whatever it holds; the class stands for a dot that also means a newline, which Django cannot write backwards.
_SUBJECT = r"(?P<subject>[\s\S]+?)"
_PART = re.compile(r"\{(\w+)\}")


def route(path: str, view: Any, name: str) -> URLPattern:
    """Return Django's pattern of a path written as `/subjects/{subject}/versions`.

    A subject may hold slashes, which clients encode and Django decodes before it looks here. A trailing slash is the
    same route: a redirect would lose the body of a POST.
    """
    pattern = _PART.sub(r"(?P<\1>[^/]+)", path.lstrip("/").replace("{subject}", _SUBJECT))
    found: URLPattern = re_path(f"^{pattern}/?$", view.as_view(), name=f"registry-{name}")
    return found


# Of two that fit, the first counts: a subject's own paths come before those that end with a subject.
urlpatterns = [
    re_path("^$", server_info.Root.as_view(), name="registry-root"),
    route("/schemas", schemas.Schemas, "schemas"),
    route("/schemas/types", schemas.Types, "types"),
    route("/schemas/ids/{id}", schemas.ById, "schema"),
    route("/schemas/ids/{id}/schema", schemas.SchemaAlone, "schema-alone"),
    route("/schemas/ids/{id}/subjects", schemas.SubjectsOf, "subjects-of-schema"),
    route("/schemas/ids/{id}/versions", schemas.VersionsOf, "versions-of-schema"),
    route("/schemas/guids/{guid}", schemas.ByGuid, "schema-by-guid"),
    route("/schemas/guids/{guid}/ids", schemas.IdsOfGuid, "ids-of-guid"),
    route("/subjects", subjects.Subjects, "subjects"),
    route("/subjects/{subject}/versions", subjects.Versions, "versions"),
    route("/subjects/{subject}/versions/{version}", versions.Version, "version"),
    route("/subjects/{subject}/versions/{version}/schema", versions.VersionSchema, "version-schema"),
    route("/subjects/{subject}/versions/{version}/referencedby", versions.ReferencedBy, "referenced-by"),
    route("/subjects/{subject}/metadata", subjects.LatestWithMetadata, "metadata"),
    route("/subjects/{subject}", subjects.Subject, "subject"),
    route("/compatibility/subjects/{subject}/versions", compatibility.WithVersions, "compatibility"),
    route("/compatibility/subjects/{subject}/versions/{version}", compatibility.WithVersion, "compatibility-version"),
    route("/config", configuration.OfAll, "config"),
    route("/config/{subject}", configuration.OfSubject, "subject-config"),
    route("/mode", modes.OfAll, "mode"),
    route("/mode/{subject}", modes.OfSubject, "subject-mode"),
    route("/contexts", server_info.Contexts, "contexts"),
    route("/associations/resources/{namespace}/{resource}", server_info.Associations, "associations"),
    route("/v1/metadata/id", server_info.ServerId, "id"),
    route("/v1/metadata/version", server_info.ServerVersion, "server-version"),
    re_path(r"^[\s\S]*$", server_info.Unknown.as_view(), name="registry-unknown"),
]
