"""A version as a file: its schema, and Python code made from it."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import content_disposition_header

from contracts.admin.versions import numbered
from contracts.registry.references import documents_of
from synapse.errors.contracts import NoPythonCode
from synapse.schema import codegen, validator


def schema(admin: Any, request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Give the schema, as its author wrote it."""
    contract = admin.found(request, pk)
    version = numbered(contract, number)
    name = f"{codegen.module_name(contract.subject)}_v{number}.schema.json"
    return _file(version.text, name, "application/schema+json")


def code(admin: Any, request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Give a module with a model of the events that keep the version."""
    contract = admin.found(request, pk)
    version = numbered(contract, number)
    if version.schema is None:
        raise Http404
    try:
        made = codegen.make(contract.subject, number, validator.parse(version.text), documents_of(version.schema))
    except NoPythonCode as problem:
        admin.message_user(request, f"There is no Python code for version {number}. {problem.detail}", messages.ERROR)
        return redirect(admin.page_url("version", pk, number))
    return _file(made.text, made.file_name, "text/x-python; charset=utf-8")


def _file(text: str, name: str, content_type: str) -> HttpResponse:
    headers = {
        "Content-Disposition": str(content_disposition_header(True, name)),
        # Shown as a page it could be read as one, on this host.
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return HttpResponse(text, content_type=content_type, headers=headers)
