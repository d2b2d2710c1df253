"""Helpers that read and post admin pages."""

import re
from html import unescape

import pytest
from django.contrib import admin
from django.http import HttpResponse
from django.template.response import SimpleTemplateResponse
from django.urls import reverse

from synapse.schema.codegen import generator
from synapse_project import urls


def url(model, page="changelist", *arguments):
    """Return a page's address: `url("streams.stream", "messages", 1)`."""
    return reverse(f"admin:{model.replace('.', '_')}_{page}", args=arguments)


def text_of(response):
    """Return what a person reads on a page: without tags, and with single spaces."""
    html = response.content.decode()
    html = re.sub(r"<(script|style|title)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", html)))


def timeless(text):
    """Return a text with every age written as “now”: how long ago something was is the machine's business."""
    return re.sub(r"\d+ (?:s|min) ago", "now", text)


def messages_of(response):
    """Return what the admin said after a POST."""
    return [str(message) for message in response.context["messages"]]


def no_rows(prefix):
    """Return the management form of an inline that stays as it is."""
    return {f"{prefix}-{part}": "0" for part in ("TOTAL_FORMS", "INITIAL_FORMS")}


def leave_pages_undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer with the status alone: drawing a page, with the frame around it, or generating its code takes longer than
    deciding on its status and asking the database.
    """
    monkeypatch.setattr(SimpleTemplateResponse, "rendered_content", "")
    monkeypatch.setattr(admin.site, "each_context", lambda _: {})
    monkeypatch.setattr(generator, "generate_module", lambda *_: generator.Code(file_name="a.py", text=""))
    for status in (400, 403):
        monkeypatch.setattr(urls, f"handler{status}", lambda *_, status=status, **__: HttpResponse(status=status))
