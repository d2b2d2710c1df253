"""A log record is one line, for any content."""

import json
import logging
import sys

import pytest
from django.contrib.auth.models import User

from synapse.runtime.log_format import JsonLines, TextLines, WithoutTraceOfRefusals

# Looks like a second record; clears the screen; turns the direction; ends a line for some; cannot be UTF-8.
HOSTILE = "x\r\n2026-01-01 INFO root: all is well\x1b[2J\u202e\u2028\x85\x00\x7f\ud800"


def record(message, *arguments, error=None):
    return logging.LogRecord("synapse", logging.WARNING, "x.py", 1, message, arguments, error)


@pytest.mark.parametrize("form", [TextLines(), JsonLines()], ids=["text", "json"])
def test_control_characters_in_a_message_are_escaped(form):
    line = form.format(record("a name: %s", HOSTILE))

    assert line.splitlines() == [line]
    assert not set(line) & set("\r\n\x1b\u202e\u2028\x85\x00\x7f")


def test_a_json_line_is_an_object_with_the_message_as_it_was():
    line = json.loads(JsonLines().format(record("a name: %s", HOSTILE)))

    assert line["message"] == f"a name: {HOSTILE[:-1]}\\ud800"
    assert (line["level"], line["logger"]) == ("WARNING", "synapse")
    assert line["time"].endswith("Z")


def test_a_traceback_follows_its_line_in_text_and_is_part_of_it_in_json():
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        failed = record("it failed", error=sys.exc_info())

    text, line = TextLines().format(failed), JsonLines().format(failed)

    first, *rest = text.split("\n")
    assert first.endswith("WARNING synapse: it failed")
    assert rest
    assert all(part.startswith("    ") for part in rest)
    assert "\x1b" not in text
    assert "\n" not in line
    assert "ValueError" in json.loads(line)["error"]


@pytest.mark.django_db
def test_a_refusal_in_the_admin_is_one_line(client, caplog):
    client.force_login(User.objects.create_user("nobody", is_staff=True))

    assert client.get("/admin/streams/stream/").status_code == 403

    (refusal,) = [each for each in caplog.records if each.name == "django.request"]
    (line,) = TextLines().format(refusal).splitlines()
    # Behind it may stand how many like it were left out.
    assert " WARNING django.request: Forbidden (Permission denied): /admin/streams/stream/" in line


def test_an_unexpected_error_keeps_its_traceback():
    try:
        raise ValueError("x")
    except ValueError:
        failed = record("it failed", error=sys.exc_info())
    failed.status_code = 500

    assert WithoutTraceOfRefusals().filter(failed)
    assert failed.exc_info
