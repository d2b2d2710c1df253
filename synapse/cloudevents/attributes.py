"""The context attributes of CloudEvents 1.0.2, and how entries store them.

A CloudEvent is stored as the event `{"event_type": type, **data}`. Beside it, the field `synapse_cloudevent` has the
attributes unchanged, as JSON: without `specversion`, which is always 1.0, and with `type` only when it differs from the
event type. Under `MARKS`, a key that no attribute can have, are letters for those properties of `data` that the event
does not show.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from synapse.http.accept import split_unquoted
from synapse.wire.encoding import CLOUDEVENT_MARKS
from synapse.wire.fast_decoder import SecondHitCache

SPECVERSION = "1.0"
# Attributes that are kept when an event is edited. The others may repeat values of the event before.
_IDENTIFYING = frozenset({"id", "source", "time", "type"})
# JSON Event Format, 3 and 4.
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
_JSON = "application/json"
# HTTP Protocol Binding, 3.1.3: the prefix of headers that are attributes.
HEADER_PREFIX = "ce-"
REQUIRED = ("id", "source", "type")
# The attributes that the specification defines, all of them texts; any other is an extension.
DEFINED = frozenset({"specversion", *REQUIRED, "datacontenttype", "dataschema", "subject", "time"})
# Extensions with the trace context of the producer, which intermediaries may change.
TRACING = frozenset({"traceparent", "tracestate"})

MARKS = CLOUDEVENT_MARKS
# `data` was absent or null; `data` had a property `event_type` or `event` that repeats the event type.
NO_DATA, NULL_DATA, HAS_EVENT_TYPE, HAS_EVENT = "n", "0", "t", "e"

# CloudEvents 1.0.2, Naming Conventions.
_NAME = re.compile(r"[a-z0-9]+")
# CloudEvents 1.0.2, Type System: control characters, noncharacters and surrogates.
_PLANES = "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
NOT_IN_TEXTS = re.compile(f"[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ud800-\udfff{_PLANES}]")
_LEAST, _MOST = -(2**31), 2**31 - 1
# The greatest number of errors that are listed for one event: 256 KiB can contain thousands of invalid names.
MOST_FAULTS = 20
# RFC 3986, appendix A. A relative reference has no colon in its first segment.
_UNRESERVED = r"A-Za-z0-9\-._~!$&'()*+,;="
_ESCAPED = r"%[0-9A-Fa-f]{2}"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.\-]*+:"
_AUTHORITY = (
    rf"//(?:(?:[{_UNRESERVED}:]++|{_ESCAPED})*+@)?"
    rf"(?:\[[0-9A-Za-z:.]++\]|(?:[{_UNRESERVED}]++|{_ESCAPED})*+)(?::[0-9]*+)?(?=[/?#]|\Z)"
)
_PATH = rf"(?:[{_UNRESERVED}:@/]++|{_ESCAPED})*+"
_QUERY = rf"(?:\?(?:[{_UNRESERVED}:@/?]++|{_ESCAPED})*+)?"
_FRAGMENT = rf"(?:#(?:[{_UNRESERVED}:@/?]++|{_ESCAPED})*+)?"
_REST = rf"(?:{_AUTHORITY}|(?!//)){_PATH}{_QUERY}{_FRAGMENT}"
_URI = re.compile(_SCHEME + _REST)
_URI_REFERENCE = re.compile(rf"(?:{_SCHEME}|(?![^/?#]*:)){_REST}")
# RFC 3339, 5.6. The calendar is checked too; a minute may have 61 seconds.
_TIME = re.compile(
    r"([0-9]{4}-(?:0[1-9]|1[0-2])-(?!00)([0-9]{2})T(?:[01][0-9]|2[0-3]):[0-5][0-9]):(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])",
    re.IGNORECASE,
)
# RFC 2045, 5.1, and RFC 9110, 8.3.1.
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # noqa: S105 - a token of a grammar
_QUOTED = r'"(?:[^"\\\x00-\x1f\x7f]++|\\[\t -~])*+"'
_BLANKS = r"[ \t]*+"
_PARAMETER = rf"{_BLANKS};{_BLANKS}{_TOKEN}=(?:{_TOKEN}|{_QUOTED})"
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/({_TOKEN})((?:{_PARAMETER})*+)(?:{_BLANKS};)?{_BLANKS}")
# Checks of longer texts are not cached.
_MOST_KEPT = 256
# The greatest number of sets of names that are cached, and the limits on their names and on the characters in all.
_MOST_NAMES, _NAMES, _CHARACTERS = 512, 32, 512


class _Names(NamedTuple):
    """The names of one CloudEvent's attributes.

    Attributes:
        checks: the attributes whose values have a syntax, with the check of each; None when a name is invalid, a
            required one is missing, or there are too many.
        compared: returns the values of the attributes that must be equal in a repeated event, ordered by name.
        heading: the names of these attributes, separated by spaces.
    """

    checks: tuple[tuple[str, Callable[[str], str]], ...] | None
    compared: Callable[[Mapping[str, Any]], Sequence[Any]]
    heading: str


_names: SecondHitCache[tuple[str, ...], _Names] = SecondHitCache(_MOST_NAMES)


def keep_rules(attributes: Mapping[str, Any]) -> bool:
    """Say whether the context attributes of an event certainly keep all rules of `find_faults`. Fast, because producers
    use few sets of names. False when the attributes have to be checked one by one."""
    if len(attributes) > _NAMES:
        return False  # such names are not cached, and checking them here and in `find_faults` would take twice as long
    names = tuple(attributes)
    checks = (_names.made.get(names) or _names_of(names)).checks
    values = attributes.values()
    try:
        if checks is None or not all(values) or not "".join(values).isprintable():
            return False
    except TypeError:
        return False  # one is no text
    for name, check in checks:  # noqa: SIM110 - a generator would take longer than the checks
        if check(attributes[name]):
            return False
    return True


def content_of(attributes: Mapping[str, Any]) -> str:
    """Return valid attributes as a text that is equal for a repeated event, in any order and in any mode. The trace
    context is left out, because each attempt to send the event may have another one."""
    names = tuple(attributes)
    known = _names.made.get(names) or _names_of(names)
    values = known.compared(attributes)
    try:
        texts = "\n".join(values)
    except TypeError:
        # In binary mode, all are texts.
        texts = "\n".join(value if type(value) is str else orjson.dumps(value).decode() for value in values)
    # Without one, data is JSON (CloudEvents 1.0.2, datacontenttype).
    content = content_to_compare(attributes["datacontenttype"]) if "datacontenttype" in attributes else _JSON
    return f"{known.heading}\n{content}\n{texts}\n"


def _names_of(names: tuple[str, ...]) -> _Names:
    compared = tuple(sorted(set(names) - TRACING - {"datacontenttype"}))
    are_right = len(names) <= _NAMES and set(REQUIRED).issubset(names) and not any(map(fault_of_name, names))
    checks = tuple((name, check) for name, check in _CHECKS.items() if name in names and check is not _fault_of_text)
    # With fewer than two names, `itemgetter` returns no tuple; but then `id` or `source` is missing, and nothing is
    # compared.
    values = itemgetter(*compared) if len(compared) > 1 else itemgetter("id", "source")
    found = _Names(checks if are_right else None, values, " ".join(compared))
    if len(names) <= _NAMES and len("".join(names)) <= _CHARACTERS and _names.seen_before(names):
        _names.keep(names, found)
    return found


def find_faults(attributes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the errors in the context attributes of an event, at most `MOST_FAULTS`: pairs of the name of an attribute
    and the predicate of a sentence about it.

    Args:
        attributes: the attributes without `specversion` and without nulls.
    """
    faults = [(name, "is missing") for name in REQUIRED if name not in attributes]
    for name, value in attributes.items():
        # Nearly all texts are printable; of the others, some are allowed.
        if type(value) is str and (value.isprintable() or not NOT_IN_TEXTS.search(value)):
            check = _CHECKS.get(name)
            fault = fault_of_name(name) if check is None else check(value)
        else:
            fault = fault_of_name(name) or _fault_of_value(name, value)
        if fault:
            faults.append((name, fault))
            if len(faults) >= MOST_FAULTS:
                break
    return faults


def fault_of_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        return "is no name of an attribute: use lower-case letters and digits"
    return "is no name of an attribute: it is kept for the event's data" if name == "data" else ""


def _fault_of_value(name: str, value: Any) -> str:
    if isinstance(value, str):
        found = NOT_IN_TEXTS.search(value)
        return f"has the character U+{ord(found[0]):04X}, which no attribute may have" if found else ""
    if name in DEFINED:
        return "must be a text"
    if type(value) is int:
        return "" if _LEAST <= value <= _MOST else f"must be an integer from {_LEAST} to {_MOST}, or a text"
    return "" if type(value) is bool else "must be a text, an integer, true or false"


def _fault_of_text(text: str) -> str:
    return "" if text else "must not be empty"


def fault_of_source(text: str) -> str:
    is_reference = _is_reference_kept(text) if len(text) <= _MOST_KEPT else _is_reference(text)
    return "" if is_reference else "must be a URI reference (RFC 3986, 4.1) that is not empty, such as /shop/checkout"


def _is_reference(text: str) -> bool:
    return text != "" and _URI_REFERENCE.fullmatch(text) is not None


_is_reference_kept = lru_cache(maxsize=1024)(_is_reference)


def _fault_of_schema(text: str) -> str:
    return "" if _URI.fullmatch(text) else "must be an absolute URI (RFC 3986, 3)"


def fault_of_time(text: str) -> str:
    found = _TIME.fullmatch(text)
    try:
        # All months have the first 28 days.
        if found is not None and (found[2] <= "28" or datetime.fromisoformat(found[1].upper())):
            return ""
    except ValueError:
        pass  # a day that no month has
    return "must be a time as RFC 3339 writes it, such as 2026-01-31T12:00:00Z"


def _fault_of_media_type(text: str) -> str:
    return "" if _read_media_type(text)[0] else "must be a media type (RFC 2046), such as application/json"


_CHECKS = {
    **dict.fromkeys(("id", "type", "subject"), _fault_of_text),
    "source": fault_of_source,
    "time": fault_of_time,
    "dataschema": _fault_of_schema,
    "datacontenttype": _fault_of_media_type,
}


def find_fault_of_content(media_type: str) -> str:
    """Return why data of a media type cannot be an event, as the predicate of a sentence; "" for JSON in UTF-8.

    JSON is each type `*/json` and `*/*+json` (JSON Event Format 1.0.2, 3.1.1).
    """
    return _read_media_type(media_type)[1]


def _read_media_type(text: str) -> tuple[bool, str]:
    """Say whether a text is a media type, and why data of it cannot be an event."""
    return _media_type_kept(text) if len(text) <= _MOST_KEPT else (False, "is too long")


@lru_cache(maxsize=256)
def _media_type_kept(text: str) -> tuple[bool, str]:
    found = _MEDIA_TYPE.fullmatch(text)
    if found is None:
        return False, "is no media type (RFC 2046)"
    subtype = found[1].lower()
    if subtype != "json" and not subtype.endswith("+json"):
        return True, "does not declare JSON, and an event's data is a JSON object"
    for parameter in split_unquoted(found[2].lower(), ";"):
        name, _, value = parameter.strip().partition("=")
        if name == "charset" and value.strip('"') not in ("utf-8", "utf8"):
            return True, "does not declare UTF-8 (RFC 8259, 8.1)"
    return True, ""


def content_to_compare(media_type: str) -> str:
    """Return the media type of JSON without its charset, which is always UTF-8, and other media types unchanged."""
    return media_type if find_fault_of_content(media_type) else _without_charset(media_type)


@lru_cache(maxsize=256)
def _without_charset(media_type: str) -> str:
    name, *parameters = (part.strip() for part in split_unquoted(media_type, ";"))
    others = (each for each in parameters if each and each.partition("=")[0].lower() != "charset")
    return "; ".join([name.lower(), *others])


def type_of(attributes: Mapping[str, Any], event_type: str) -> str:
    """Return the `type` of a stored CloudEvent, given the attributes in its entry, and the event type."""
    found = attributes.get("type")
    return found if isinstance(found, str) and found else event_type


def attributes_of_edited(attributes: Mapping[str, Any], *, has_same_type: bool) -> dict[str, Any]:
    """Return the attributes to store with an edited CloudEvent, whose identity stays the same.

    Args:
        attributes: the attributes that were stored before.
        has_same_type: whether the event type is unchanged, so that a mapped `type` still belongs to it.
    """
    kept = (_IDENTIFYING | {MARKS}) if has_same_type else (_IDENTIFYING | {MARKS}) - {"type"}
    return {name: value for name, value in attributes.items() if name in kept}


def data_of(attributes: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with the member `data` of a stored CloudEvent; an empty object when the CloudEvent had none.

    Args:
        attributes: the attributes in the entry.
        event: the canonical event.
    """
    marks = str(attributes.get(MARKS, ""))
    data = dict(event)
    event_type = data.get("event_type")
    if HAS_EVENT_TYPE not in marks:
        data.pop("event_type", None)
    if HAS_EVENT in marks and "event" not in data:
        data["event"] = event_type
    if not data:
        if NO_DATA in marks:
            return {}
        if NULL_DATA in marks:
            return {"data": None}
    return {"data": data}
