"""Helpers that read and post admin pages."""

import re
from html import unescape

from django.urls import reverse


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
