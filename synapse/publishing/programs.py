"""Commands and programs that publish an event, to be copied from the page of an event.

Events are untrusted data of publishers, so each is written in ASCII and quoted for its language: no event can end the
string that contains it, or hide what the program does.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from synapse.formats import exact_json

# Linux allows at most 128 KiB for one argument of a program; a longer event is passed through the standard input.
LONGEST_ARGUMENT = 100_000
_NOT_ASCII = re.compile(r"[^ -~\n]")
_CURL = """\
curl --fail-with-body -X POST "$SYNAPSE_URL/events/{stream}" \\
  -H "Authorization: Bearer $SYNAPSE_API_KEY" \\
  -H "Content-Type: application/json" \\
{key}  --data-binary {event}"""
_PYTHON = '''\
import os
import urllib.request
{imported}
event = r"""{event}"""
request = urllib.request.Request(
    os.environ["SYNAPSE_URL"] + "/events/{stream}",
    data=event.encode(),
    headers={{
        "Authorization": "Bearer " + os.environ["SYNAPSE_API_KEY"],
        "Content-Type": "application/json",
{key}    }},
)
with urllib.request.urlopen(request) as response:
    print(response.read().decode())
'''
_TYPESCRIPT = """\
const event = String.raw`{event}`;
const response = await fetch(`${{process.env.SYNAPSE_URL}}/events/{stream}`, {{
  method: "POST",
  headers: {{
    "Authorization": `Bearer ${{process.env.SYNAPSE_API_KEY}}`,
    "Content-Type": "application/json",
{key}  }},
  body: event,
}});
const answer = await response.text();
if (!response.ok) {{
  throw new Error(`${{response.status}}: ${{answer}}`);
}}
console.log(answer);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program that publishes an event: the name of its language, an id for the page, and its text."""

    title: str
    id: str
    text: str


def programs(stream: str, event: Mapping[str, Any], *, needs_key: bool) -> list[Program]:
    """Return the programs that publish an event to a stream, at $SYNAPSE_URL with $SYNAPSE_API_KEY.

    Args:
        needs_key: whether the stream refuses events without an Idempotency-Key.
    """
    return [
        Program(title="curl", id="curl", text=curl(stream, event, needs_key=needs_key)),
        Program(title="Python", id="python", text=python(stream, event, needs_key=needs_key)),
        Program(title="TypeScript", id="typescript", text=typescript(stream, event, needs_key=needs_key)),
    ]


def curl(stream: str, event: Mapping[str, Any], *, needs_key: bool = False) -> str:
    """Return a command for a POSIX shell. An Idempotency-Key comes from `uuidgen`."""
    text = _write_json(event)
    body = shlex.quote(text) if len(text) < LONGEST_ARGUMENT else f"@- <<'EVENT'\n{text}\nEVENT"
    key = '  -H "Idempotency-Key: $(uuidgen)" \\\n' if needs_key else ""
    return _CURL.format(stream=_in_path(stream), event=body, key=key)


def python(stream: str, event: Mapping[str, Any], *, needs_key: bool = False) -> str:
    """Return a program for Python 3 without further packages. No JSON text holds three quotes in a row, which would
    end the text around it."""
    return _PYTHON.format(
        stream=_in_path(stream),
        event=_write_json(event),
        imported="import uuid\n" if needs_key else "",
        key='        "Idempotency-Key": str(uuid.uuid4()),\n' if needs_key else "",
    )


def typescript(stream: str, event: Mapping[str, Any], *, needs_key: bool = False) -> str:
    """Return a module for Node, Deno or Bun. The characters that begin code in a template text occur only in strings of
    the JSON, where an escape stands for each."""
    text = _write_json(event).replace("`", "\\u0060").replace("$", "\\u0024")
    key = '    "Idempotency-Key": crypto.randomUUID(),\n' if needs_key else ""
    return _TYPESCRIPT.format(stream=_in_path(stream), event=text, key=key)


def _write_json(event: Mapping[str, Any]) -> str:
    """Return the event as indented JSON in ASCII."""
    text = exact_json.dumps(event, option=orjson.OPT_INDENT_2).decode()
    return _NOT_ASCII.sub(lambda found: "\\u" + found[0].encode("utf-16-be").hex("-", 2).replace("-", "\\u"), text)


def _in_path(stream: str) -> str:
    return quote(stream, safe=":")
