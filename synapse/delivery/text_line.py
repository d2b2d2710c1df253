"""A delivered event as one line of text.

Text of publishers cannot move the cursor, hide text or begin a new line, neither as JSON nor for a terminal.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from synapse.delivery.sink import Delivery
from synapse.formats import exact_json
from synapse.wire.ids import moment_of
from synapse.wire.masking import Mask

MAX_VALUE = 200
MAX_PROPERTIES = 40
# Characters that JSON allows in a string although a terminal may act on them: C1 controls, separators, marks of
# direction.
_ACTIVE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
# Strings that can stand without quotation marks and are distinct from every other value.
_PLAIN = re.compile(r"[A-Za-z_][^\s\"'={}\[\],]*")
_JSON_WORDS = ("true", "false", "null")

_BOLD, _DIM, _CYAN, _YELLOW, _RED = "1", "2", "36", "33", "31"


def json_line(delivery: Delivery, *, mask: Mask | None = None) -> bytes:
    """Return the event as a line of JSON with its metadata, masked by `mask`."""
    entry = mask.decoded(delivery.entry) if mask else delivery.entry
    line = {
        "id": delivery.id,
        "stream": delivery.stream,
        "event_type": entry.event_type,
        "timestamp": entry.timestamp,
        "source": entry.source,
        "attempt": delivery.attempt,
        "event": entry.event,
    }
    try:
        text = _json_text(line)
    except TypeError:
        text = _json_text({**line, "event": with_deep_values_as_text(entry.event)})
    return text.encode() + b"\n"


def terminal_line(delivery: Delivery, *, now: datetime, colour: bool, mask: Mask | None = None) -> bytes:
    """Return the event as a line for a person: when it was stored (UTC), its type, id and source, then its properties.

    Long values and long lists of properties are cut.
    """

    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    entry = mask.decoded(delivery.entry) if mask else delivery.entry
    parts = [
        paint(_DIM, _time_text(delivery.id, now)),
        paint(_BOLD, _cut_and_escape(entry.event_type) or "(no type)"),
        paint(_DIM, delivery.id),
        paint(_CYAN, _cut_and_escape(entry.source or "-")),
    ]
    if delivery.attempt > 1:
        parts.append(paint(_YELLOW, f"attempt {delivery.attempt}"))
    shown = [(name, value) for name, value in entry.event.items() if name not in ("event_type", "source")]
    for name, value in shown[:MAX_PROPERTIES]:
        parts.append(f"{paint(_DIM, _cut_and_escape(name) + '=')}{_value_text(value)}")
    if len(shown) > MAX_PROPERTIES:
        parts.append(paint(_DIM, f"… {len(shown) - MAX_PROPERTIES} more"))
    return (" ".join(parts) + "\n").encode("utf-8", "replace")


def escape_unprintable(text: str) -> str:
    """Return the text with unprintable characters escaped as in JSON."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def _time_text(id_: str, now: datetime) -> str:
    time = moment_of(id_)
    if time is None:
        return "(no time)"
    clock = time.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    return clock.partition(" ")[2] if time.date() == now.date() else clock


def _value_text(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value not in _JSON_WORDS:
        return _cut_and_escape(value)
    return _cut_and_escape(_json_text(value))


def _cut_and_escape(text: str) -> str:
    # Cut first, so that the rest is not escaped for nothing.
    return escape_unprintable(text) if len(text) <= MAX_VALUE else escape_unprintable(text[:MAX_VALUE]) + "…"


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_text(value: Any) -> str:
    return _ACTIVE.sub(lambda found: _escape(found[0]), exact_json.dumps(value).decode())


def with_deep_values_as_text(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event that can be nested in a JSON line: values that are nested as deeply as can be written (foreign
    entries may have them) become texts.
    """
    return {name: value if _fits_inside(value) else _json_text(value) for name, value in event.items()}


def _fits_inside(value: Any) -> bool:
    try:
        exact_json.dumps([[value]])
    except TypeError:
        return False
    return True
