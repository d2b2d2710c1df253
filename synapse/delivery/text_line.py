"""A delivered event as one line of text.

Publishers' text is data: in neither form can it move the cursor, hide text or start a line of its own.
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
        text = _dumps(line)
    except TypeError:
        text = _dumps({**line, "event": with_deep_values_as_text(entry.event)})
    return text.encode() + b"\n"


def terminal_line(delivery: Delivery, *, now: datetime, colour: bool, mask: Mask | None = None) -> bytes:
    """Return the event as a line for a person: when it came (UTC), its type, id and source, then its properties.

    Long values and long lists of properties are cut.
    """

    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    entry = mask.decoded(delivery.entry) if mask else delivery.entry
    parts = [
        paint(_DIM, _time(delivery.id, now)),
        paint(_BOLD, _shown(entry.event_type) or "(no type)"),
        paint(_DIM, delivery.id),
        paint(_CYAN, _shown(entry.source or "-")),
    ]
    if delivery.attempt > 1:
        parts.append(paint(_YELLOW, f"attempt {delivery.attempt}"))
    shown = [(name, value) for name, value in entry.event.items() if name not in ("event_type", "source")]
    for name, value in shown[:MAX_PROPERTIES]:
        parts.append(f"{paint(_DIM, _shown(name) + '=')}{_value(value)}")
    if len(shown) > MAX_PROPERTIES:
        parts.append(paint(_DIM, f"… {len(shown) - MAX_PROPERTIES} more"))
    return (" ".join(parts) + "\n").encode("utf-8", "replace")


def harmless(text: str) -> str:
    """Return the text with all that does not simply show as a character written as JSON would escape it."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _time(id_: str, now: datetime) -> str:
    time = moment_of(id_)
    if time is None:
        return "(no time)"
    clock = time.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    return clock.partition(" ")[2] if time.date() == now.date() else clock


def _value(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value not in _JSON_WORDS:
        return _shown(value)
    return _shown(_dumps(value))


def _shown(text: str) -> str:
    # Cut first: the rest is never needed.
    return harmless(text) if len(text) <= MAX_VALUE else harmless(text[:MAX_VALUE]) + "…"


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _dumps(value: Any) -> str:
    return _ACTIVE.sub(lambda found: _escaped(found[0]), exact_json.dumps(value).decode())


def with_deep_values_as_text(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event that can be written inside a line: a value that alone is as deep as JSON can be written (streams
    of foreign entries have such) would not fit there."""
    return {name: value if _fits(value) else _dumps(value) for name, value in event.items()}


def _fits(value: Any) -> bool:
    try:
        exact_json.dumps([[value]])
    except TypeError:
        return False
    return True
