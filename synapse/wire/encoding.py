"""Encode canonical events as the fields of a stream entry, and decode entries. `docs/wire-format.md` is the
specification; the golden files in `tests/wire/` hold it. Pure: no I/O, no Django.

Encoding serves readers of any origin: every top-level property is a field of its own. Decoding accepts entries of any
writer: entries written by Synapse give back exactly the event that was published; foreign entries are understood as far
as possible.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import chain
from typing import Any, Literal, NamedTuple

import orjson

from synapse.formats import exact_json
from synapse.formats.text import NO_TEXTS, is_name

Layout = Literal["flat", "dual", "envelope", "foreign"]
TopLevelTypes = Mapping[str, frozenset[str]]

# Chooses how the texts of a foreign event are read, given their other possible readings: see
# synapse.schema.text_readings.
_Settle = Callable[[dict[str, Any], Callable[[], Mapping[str, Sequence[Sequence[Any]]]]], dict[str, Any]]


class TypesOfContract(dict[str, frozenset[str]]):
    """The JSON types that a contract allows for the top-level properties of an event. `settle` chooses among several
    possible readings of their texts."""

    __slots__ = ("settle",)

    def __init__(self, types: TopLevelTypes, settle: _Settle) -> None:
        super().__init__(types)
        self.settle = settle


OWN_PREFIX = "synapse_"
ADDED = "synapse_added"
VERSION = "synapse_version"
TYPES = "synapse_types"
LAYOUT = "synapse_layout"
# The publisher's `tracestate` (W3C Trace Context, 3.3), beside `traceparent`.
TRACESTATE = "synapse_tracestate"
# The streams that an event came through, oldest first, with commas between.
HOPS = "synapse_hops"
# The context attributes of an event that came as a CloudEvent, as JSON: see synapse.cloudevents.
CLOUDEVENT = "synapse_cloudevent"
# A key in that JSON that no attribute can have.
CLOUDEVENT_MARKS = "_"

# The fields that encoding adds for other readers, by their letter in `synapse_added`.
_LETTER_OF = {
    "event": "e",
    "timestamp": "t",
    "source": "s",
    "traceparent": "c",
    "payload": "p",
    "sender": "d",
    "priority": "r",
    "recipient": "n",
    "ttl_sec": "l",
}
# Fields that are stored beside an event and are no properties of it: who wrote it, and how it is delivered.
# `tracestate` is not among them: it is a text of the publisher, and may quote the event.
BESIDE = frozenset(
    {VERSION, ADDED, LAYOUT, HOPS, "timestamp", "source", "traceparent"}
    | {"priority", "ttl_sec", "ttl", "retry_count", "max_retries"}
)
# The types in `synapse_types`: a string that could be read as JSON, and a null, which has no field.
_STRING, _NULL = "s", "n"

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_JSON_WORDS = {"true": True, "false": False, "null": None}
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,299})")
_LONGEST_INTEGER = 18
# Texts that other programs write for a missing value.
_NO_VALUES = ("", "undefined", "None", "null")
_ENVELOPE_FIELDS = frozenset(
    {"event_type", "event", "sender", "recipient", "priority", "timestamp", "payload", "message_id"}
    | {"ttl_sec", "ttl", "retry_count", "max_retries"}
)
# The first and last characters of numbers, booleans, null, objects and arrays in JSON: checking them is cheaper than
# parsing.
JSON_BEGINS = frozenset("-0123456789tfn{[")
_JSON_ENDS = frozenset("0123456789el}] \t\n\r")
_MAY_BE_JSON = re.compile(r"[{\[]|-?[0-9.eE+-]+$|true$|false$|null$")
_MISSING = object()


class DecodedEntry(NamedTuple):
    """A decoded event, and the metadata of its entry.

    Attributes:
        event_type: the event type, "" when the entry has none.
        timestamp: of the publisher, or added by Synapse (ISO 8601).
        source: of the publisher, or added by Synapse.
        contract_version: 0 when the event was checked against no contract, None when Synapse did not check it.
        cloudevent: the context attributes of an event that was published as a CloudEvent, else None.
    """

    event: dict[str, Any]
    event_type: str
    timestamp: str | None
    source: str | None
    contract_version: int | None
    layout: Layout
    cloudevent: dict[str, Any] | None = None


def canonical(published: dict[str, Any]) -> dict[str, Any]:
    """Return the canonical event: `event_type` is filled from `event`, and `event` is removed when both are equal. An
    event that is canonical already is returned uncopied, and one without a type stays without one.
    """
    if "event" not in published:
        return published
    event = dict(published)
    if "event_type" not in event and isinstance(event["event"], str):
        # First, as in every event that we write: a stable order keeps entries small.
        return {"event_type": event.pop("event"), **event}
    if event["event"] == event.get("event_type"):
        del event["event"]
    return event


def further_types(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield further types that other programs may read from a canonical event, as pairs of a JSON Pointer and the type.

    Some programs read `event` in place of `event_type`; some merge the object in `payload` into the event, or read only
    `payload`. A value is a type when its text in the entry is a name.
    """
    yield from _types_named_by(event, ("event",), "")
    payload = event.get("payload")
    if isinstance(payload, str) and payload.lstrip()[:1] == "{":
        payload = _loads(payload, otherwise=None)
    if isinstance(payload, dict):
        yield from _types_named_by(payload, ("event_type", "event"), "/payload")


def _types_named_by(values: Mapping[str, Any], names: Sequence[str], parent: str) -> Iterator[tuple[str, str]]:
    for name in names:
        value = values.get(name)
        if isinstance(value, bool | int | float):
            value = _dumps(value)
        # A reader may strip what a writer padded.
        if isinstance(value, str) and is_name(text := value.strip()):
            yield f"{parent}/{name}", text


def encode(
    event: Mapping[str, Any],
    *,
    layout: Literal["flat", "dual"],
    timestamp: str,
    source: str,
    contract_version: int,
    beside: Mapping[str, str] = NO_TEXTS,
) -> list[str]:
    """Return the entry of a canonical event: names and values in turn, as XADD takes them.

    Args:
        timestamp: used when the event has none; left out when empty.
        source: used when the event has none; left out when empty.
        contract_version: 0 when the event was checked against no contract.
        beside: fields about the event that are no properties of it: `traceparent`, `sender`, `recipient`, `priority`,
            `ttl_sec`, the `source` of a CloudEvent, and Synapse's own fields. A property of the event with the same
            name has precedence.
    """
    fields: dict[str, str] = {}
    types: dict[str, str] = {}
    for name, value in event.items():
        if isinstance(value, str):
            fields[name] = value
            if value[:1] in JSON_BEGINS and may_read_as_json(value) and not isinstance(read(value), str):
                types[name] = _STRING
        elif value is None:
            types[name] = _NULL
        else:
            fields[name] = _dumps(value)
    added = _add_fields(fields, {"event": event["event_type"]})
    if timestamp:
        added += _add_fields(fields, {"timestamp": timestamp})
    if source:
        added += _add_fields(fields, {"source": source})
    if beside:
        added += _add_fields(fields, beside)
    if layout == "dual":
        if "payload" in event:
            # Consumers of this layout parse `payload`, so a string stands there as JSON too.
            fields["payload"] = _dumps(event["payload"])
            types.pop("payload", None)
        added += _add_fields(fields, {"payload": _dumps(event), "sender": fields["source"], "priority": "normal"})
        fields[LAYOUT] = "dual"
    fields[VERSION] = str(contract_version)
    fields[ADDED] = added
    if types:
        fields[TYPES] = _dumps(types)
    return list(chain.from_iterable(fields.items()))


def _add_fields(fields: dict[str, str], values: Mapping[str, str]) -> str:
    letters = ""
    for name, value in values.items():
        if name not in fields:
            fields[name] = value
            # Readers skip all fields with Synapse's prefix, so these need no letter.
            letters += _LETTER_OF.get(name, "")
    return letters


def decode(fields: Mapping[bytes, bytes], *, types_of: Mapping[str, TopLevelTypes] | None = None) -> DecodedEntry:
    """Decode the event of an entry of any writer. Never fails: a byte that is not UTF-8 becomes U+FFFD.

    Args:
        types_of: by event type, the JSON types of the top-level properties; they tell how foreign texts are read.
    """
    return decode_texts(text_fields(fields), types_of=types_of)


def decode_texts(texts: dict[str, str], *, types_of: Mapping[str, TopLevelTypes] | None = None) -> DecodedEntry:
    """Decode an entry like `decode`, given its fields as text."""
    if VERSION in texts or LAYOUT in texts:
        return _decode_own(texts)
    return _decode_envelope(texts) or _decode_foreign(texts, types_of or {})


def text_fields(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """Return the fields of an entry as text. A byte that is not UTF-8 becomes U+FFFD."""
    return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in fields.items()}


def pairs(parts: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return the fields of an entry from the flat list of names and values that Redis answers."""
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _decode_own(texts: dict[str, str]) -> DecodedEntry:
    layout: Layout = "dual" if texts.get(LAYOUT) == "dual" else "flat"
    added = texts.get(ADDED, "")
    types = types_told(texts)
    strings = {name for name, kind in types.items() if kind == _STRING}
    if layout == "dual":
        # In this layout, `payload` is JSON, also when it is a string.
        strings.add("payload")
    not_of_event = _names_added(added)
    event: dict[str, Any] = {
        name: text if text[:1] not in JSON_BEGINS or name in strings else read(text)
        for name, text in texts.items()
        if name not in not_of_event and not name.startswith(OWN_PREFIX)
    }
    if layout == "dual" and "payload" in event:
        event["payload"] = _loads(texts["payload"], otherwise=texts["payload"])
    event.update({name: None for name, kind in types.items() if kind == _NULL and name not in event})
    decoded = _make_entry(event, texts, layout=layout, contract_version=version_of(texts.get(VERSION, "")))
    return decoded._replace(cloudevent=attributes_of(texts[CLOUDEVENT])) if CLOUDEVENT in texts else decoded


def attributes_of(text: str) -> dict[str, Any] | None:
    """Return the context attributes of a CloudEvent, given the text of `synapse_cloudevent`; None when the text is not
    one that Synapse wrote."""
    found = _loads(text, otherwise=None)
    if not isinstance(found, dict):
        return None
    return found if all(isinstance(found.get(name), str) and found[name] for name in ("id", "source")) else None


def types_told(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON types that `synapse_types` declares for an entry's properties, by property name."""
    found = _loads(texts[TYPES], otherwise=None) if TYPES in texts else None
    return found if isinstance(found, dict) else {}


def is_property(name: str, added: str) -> bool:
    """Say whether a field of an entry written by Synapse is a property of its event; `added` is the entry's
    `synapse_added`."""
    return name not in _names_added(added) and not name.startswith(OWN_PREFIX)


@lru_cache(maxsize=64)
def _names_added(added: str) -> frozenset[str]:
    """Return the fields that stand beside an event's properties, by the letters of its entry's `synapse_added`."""
    return frozenset(name for name, letter in _LETTER_OF.items() if letter in added)


def _decode_envelope(texts: dict[str, str]) -> DecodedEntry | None:
    """Decode an envelope of another publisher (a JSON object in `payload`, and only metadata in the other fields); None
    when the entry is none."""
    if "payload" not in texts or not _ENVELOPE_FIELDS.issuperset(texts):
        return None
    payload = _loads(texts["payload"], otherwise=None)
    if not isinstance(payload, dict):
        return None
    event = canonical(payload)
    if not isinstance(event.get("event_type"), str) and (name := texts.get("event_type") or texts.get("event")):
        event = {**event, "event_type": name}
    if texts.get("sender"):
        event.setdefault("source", texts["sender"])
    return _make_entry(event, texts, layout="envelope", contract_version=None)


def _decode_foreign(texts: dict[str, str], types_of: Mapping[str, TopLevelTypes]) -> DecodedEntry:
    types = types_of.get(texts.get("event_type") or texts.get("event") or "", {})
    # The names of events stay text even where they look like a number.
    event = {
        name: text if name in ("event_type", "event") else value
        for name, text in texts.items()
        if (value := _read_as(text, types.get(name, frozenset()))) is not _MISSING
    }
    event = canonical(event)
    if isinstance(types, TypesOfContract):
        event = types.settle(event, partial(other_readings, texts, event))
    return _make_entry(event, texts, layout="foreign", contract_version=None)


def other_readings(texts: Mapping[str, str], event: Mapping[str, Any]) -> dict[str, list[list[Any]]]:
    """Return the possible readings of the texts of a foreign entry other than those in `event`, by property, in the
    order in which they are tried. Each is a list of one value, or an empty list for a property that is absent."""
    found = {name: _other_readings(text, event.get(name, _MISSING)) for name, text in texts.items() if name in event}
    left_out = (name for name in texts if name not in event and name not in ("event_type", "event"))
    found.update((name, [[texts[name]]]) for name in left_out)
    return {name: readings for name, readings in found.items() if readings and name not in ("event_type", "event")}


def _other_readings(text: str, first: Any) -> list[list[Any]]:
    readings = [[value]] if not isinstance(value := read(text), str) else []
    if text in ("True", "False"):
        readings.append([text == "True"])
    if text in _NO_VALUES:
        readings.append([None])
    if len(text) > _LONGEST_INTEGER and _INTEGER.fullmatch(text):
        readings.append([exact_json.integer(text)])
    readings.append([text])
    if text in _NO_VALUES:
        readings.append([])
    return [each for each in readings if not (each and type(each[0]) is type(first) and each[0] == first)]


def _make_entry(
    event: dict[str, Any], texts: Mapping[str, str], *, layout: Layout, contract_version: int | None
) -> DecodedEntry:
    event_type = event.get("event_type")
    return DecodedEntry(
        event=event,
        event_type=event_type if isinstance(event_type, str) else "",
        timestamp=_text_or_none(event.get("timestamp")) or texts.get("timestamp"),
        source=_text_or_none(event.get("source")) or texts.get("source") or texts.get("sender"),
        contract_version=contract_version,
        layout=layout,
    )


def may_read_as_json(text: str) -> bool:
    """Say of a text that begins as one of `JSON_BEGINS`, without reading it, whether it may be a number, a boolean,
    null, an object or an array in JSON."""
    return text[-1:] in _JSON_ENDS and _MAY_BE_JSON.match(text) is not None


def read(text: str) -> Any:
    """Return the value of a text that is JSON (a number, boolean, null, object or array), else the text itself."""
    if text[-1:] not in _JSON_ENDS:
        return text
    first = text[:1]
    if first in ("{", "["):
        return _loads(text, otherwise=text)
    if first == "-" or first.isdigit():
        return _number_or_text(text)
    return _JSON_WORDS.get(text, text)


def _number_or_text(text: str) -> Any:
    # The common case: a short number in the form in which Python writes it.
    if len(text) < 16 and "e" not in text:
        try:
            number = int(text) if text.isdigit() else float(text)
        except ValueError:
            return text
        if str(number) == text:
            return number
    if not _JSON_NUMBER.fullmatch(text):
        return text
    try:
        number = exact_json.loads(text)
    except orjson.JSONDecodeError:
        return text
    # An integer of more than 64 bits would lose digits as a float: long identifiers stay text.
    return text if isinstance(number, float) and text.lstrip("-").isdigit() else number


def _read_as(text: str, types: frozenset[str]) -> Any:
    """Read a foreign text as one of the types that its contract allows; `_MISSING` when it stands for no value."""
    if not types:
        return read(text)
    if "boolean" in types and text in ("True", "False"):
        return text == "True"
    if "string" in types and not types & {"object", "array"}:
        return text
    if text in _NO_VALUES:
        return None if "null" in types else _MISSING
    return read(text)


def _dumps(value: Any) -> str:
    return exact_json.dumps(value).decode()


def _loads(text: str, *, otherwise: Any) -> Any:
    try:
        # A foreign value that is nested too deeply to be written as JSON again stays text.
        return exact_json.loads(text)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return otherwise


def version_of(text: str) -> int | None:
    """Return the contract version in a text of `synapse_version`; None when it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
