"""Reading CloudEvents from HTTP requests: a JSON object (structured mode, and the items of a batch), or headers and a
body (binary mode). Both become an event, with the attributes that are stored in its entry.

After CloudEvents 1.0.2: JSON Event Format, and HTTP Protocol Binding.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import orjson

from synapse.cloudevents import attributes as ce
from synapse.cloudevents.attributes import HEADER_PREFIX
from synapse.errors.streams import BadCloudEvent
from synapse.formats.text import NO_TEXTS, RULE, is_name
from synapse.wire.encoding import CLOUDEVENT
from synapse.wire.trace_context import trace_fields

# Up to the closing quote, or to the end of the text if there is none. Possessive quantifiers avoid backtracking.
_QUOTED = re.compile(r'"((?:[^"\\]++|\\.)*+)("?)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PREFIX = len(HEADER_PREFIX)
# The number of characters of a name or a value that an error quotes.
_SHOWN = 100


class CloudEvent(NamedTuple):
    """An event that was published as a CloudEvent.

    Attributes:
        event: the canonical event.
        attributes: the context attributes that are stored in the entry.
    """

    event: dict[str, Any]
    attributes: dict[str, Any]

    @property
    def source(self) -> str:
        """The CloudEvent's `source`."""
        return str(self.attributes["source"])

    @property
    def time(self) -> str:
        """The CloudEvent's `time`; empty without one."""
        return str(self.attributes.get("time", ""))

    @property
    def key(self) -> str:
        """The idempotency key of the CloudEvent. No other pair of `source` and `id` has the same, and no
        Idempotency-Key of a request can be equal."""
        return f"cloudevent\n{self.attributes['source']}\n{self.attributes['id']}"

    def fields(self) -> dict[str, str]:
        """Return the fields that the entry has for the CloudEvent beside its event (`encoding.encode`)."""
        return {"source": self.attributes["source"], CLOUDEVENT: orjson.dumps(self.attributes).decode()}

    def content(self) -> str:
        """Return the attributes as a text that is equal for a repeated event."""
        return ce.content_of(self.attributes)

    def trace(self) -> Mapping[str, str]:
        """Return the fields of `trace_fields` for the trace context of the producer (extension Distributed Tracing)."""
        if "traceparent" not in self.attributes:
            return NO_TEXTS
        return trace_fields(*(str(self.attributes.get(name, "")) for name in ("traceparent", "tracestate")))


def event_of(item: Any) -> Any:
    """Return the event of a published item: the event of a CloudEvent, else the item itself."""
    return item.event if type(item) is CloudEvent else item


def read_structured(value: Any, types: Mapping[str, str]) -> CloudEvent:
    """Return the event of a CloudEvent in the JSON Event Format.

    Args:
        value: the parsed JSON.
        types: the event types by the `type` of CloudEvents, where the two differ.

    Raises:
        BadCloudEvent: when the value is no CloudEvent, or one that cannot be an event.
    """
    if not isinstance(value, dict):
        raise BadCloudEvent([("", "A CloudEvent is a JSON object.")])
    attributes = dict(value)
    version = attributes.pop("specversion", None)
    data = attributes.pop("data", None)
    has_data = data is not None or "data" in value
    content = attributes.get("datacontenttype")
    # The common case. Null values, and the name `data_base64`, do not keep the rules.
    if (
        version == ce.SPECVERSION
        and (data is None or type(data) is dict)
        and ce.keep_rules(attributes)
        and (content is None or not ce.find_fault_of_content(content))
    ):
        return _make_event(attributes, data, types, has_data=has_data)
    # JSON Event Format, 2.2: an attribute that is null is absent.
    attributes = {name: each for name, each in attributes.items() if each is not None}
    binary = attributes.pop("data_base64", None)
    faults = _Faults("“{}”", version, attributes)
    if binary is not None:
        faults.add("data_base64", "holds binary data, which is no event: send a JSON object in “data”")
    if has_data:
        faults.check_content(content)
    faults.raise_found(data)
    return _make_event(attributes, data, types, has_data=has_data)


def read_binary(
    headers: Mapping[str, str], content_type: str, data: Any, types: Mapping[str, str], *, has_data: bool
) -> CloudEvent:
    """Return the event of a CloudEvent in binary mode.

    Args:
        headers: the headers of the request, by lower-case name.
        content_type: its Content-Type, which is the attribute `datacontenttype`; "" when it is missing.
        data: the parsed JSON of its body; None when the request has no body.
        types: as for `read_structured`.
        has_data: whether the request has a body.

    Raises:
        BadCloudEvent: as `read_structured`.
    """
    bad: list[tuple[str, str]] = []
    attributes: dict[str, Any] = attributes_of_headers(headers)
    for name, text in attributes.items():
        if "%" not in text and '"' not in text and text.isascii():
            continue  # as nearly all
        try:
            attributes[name] = decode_header(text)
        except ValueError as error:
            bad.append((name, str(error)))
            attributes[name] = "?"
    version = attributes.pop("specversion", None)
    if "datacontenttype" in attributes:
        bad.append(("datacontenttype", "must not be there: Content-Type says it (HTTP Protocol Binding, 3.1.1)"))
    if content_type:
        attributes["datacontenttype"] = content_type
    if bad or version != ce.SPECVERSION or not ce.keep_rules(attributes) or not isinstance(data, dict | None):
        faults = _Faults("The header “ce-{}”", version, attributes)
        for name, fault in bad:
            faults.add(name, fault)
        faults.raise_found(data)
    return _make_event(attributes, data, types, has_data=has_data)


def check_repeated_headers(headers: Mapping[str, str], value: Any) -> None:
    """Check that headers of a request in structured mode have the values of the attributes in its body. Senders may
    repeat attributes in headers, and some receivers read only these (HTTP Protocol Binding, 3.2.3).

    Raises:
        BadCloudEvent: when a header has another value.
    """
    # Few senders add them.
    if not _may_have_attributes(tuple(headers)) or not isinstance(value, dict):
        return
    faults = []
    for name, text in attributes_of_headers(headers).items():
        found = value.get(name)
        written = found if isinstance(found, str) else orjson.dumps(found, default=str).decode()
        if name == "data" or found is None or written not in (text, _decode_leniently(text)):
            faults.append(
                (
                    f"/{_pointer_part(name)}",
                    f"The header “{HEADER_PREFIX}{name[:_SHOWN]}” says {_quote(text)}, and the body something else:"
                    " send the attributes in one place, or equal in both.",
                )
            )
    if faults:
        raise BadCloudEvent(faults)


@lru_cache(maxsize=64)
def _may_have_attributes(names: tuple[str, ...]) -> bool:
    """Say whether one of these names of headers may be that of an attribute. Cached: most requests have the same
    names."""
    return HEADER_PREFIX in " ".join(names)


def _decode_leniently(text: str) -> str:
    try:
        return decode_header(text)
    except ValueError:
        return text


def attributes_of_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the context attributes among headers: names without `ce-`, with undecoded values."""
    return {name[_PREFIX:]: text for name, text in headers.items() if name.startswith(HEADER_PREFIX)}


def decode_header(text: str) -> str:
    """Return the value of an attribute from its header: quoted strings are unquoted, then percent-encoding is decoded
    once (HTTP Protocol Binding, 3.1.3.2). A quoted string that does not end is left unchanged.

    Raises:
        ValueError: when it is not percent-encoded UTF-8; its text is the predicate of a sentence.
    """
    if '"' in text:
        text = _QUOTED.sub(lambda found: _ESCAPED.sub(r"\1", found[1]) if found[2] else found[0], text)
    if "%" not in text and text.isascii():
        return text
    if _BAD_ESCAPE.search(text):
        raise ValueError("has a “%” without two hexadecimal digits: write %25 for the character itself")
    try:
        # Headers are decoded as Latin-1; bytes that are UTF-8 without percent-encoding are accepted too.
        return unquote_to_bytes(text.encode("latin-1", "replace")).decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("is not percent-encoded UTF-8") from None


class _Faults:
    """The first errors in one CloudEvent, those of attributes first. `subject` is the subject of the sentence about
    one."""

    __slots__ = ("_subject", "found")

    def __init__(self, subject: str, version: Any, attributes: Mapping[str, Any]) -> None:
        self._subject = subject
        self.found: list[tuple[str, str]] = []
        if version is None:
            self.add("specversion", f"is missing: it says {ce.SPECVERSION}")
        elif version != ce.SPECVERSION:
            self.add("specversion", f"is {_quote(version)}; CloudEvents {ce.SPECVERSION} are read here")
        for name, fault in ce.find_faults(attributes):
            self.add(name, fault)

    def add(self, name: str, fault: str) -> None:
        self.add_message(f"/{_pointer_part(name)}", f"{self._subject.format(name[:_SHOWN])} {fault}.")

    def add_message(self, pointer: str, message: str) -> None:
        if len(self.found) < ce.MOST_FAULTS:
            self.found.append((pointer, message))

    def check_content(self, media_type: Any) -> None:
        # An error about another member was found before.
        if isinstance(media_type, str) and (fault := ce.find_fault_of_content(media_type)):
            self.add("datacontenttype", f"is {_quote(media_type)}: it {fault}")

    def raise_found(self, data: Any) -> None:
        """Raise the errors, that about `data` last.

        Raises:
            BadCloudEvent: when there are any.
        """
        if data is not None and not isinstance(data, dict):
            self.add_message("/data", "The data of an event is a JSON object, or absent.")
        if self.found:
            raise BadCloudEvent(self.found)


def _pointer_part(name: str) -> str:
    """Return a name as a part of a JSON Pointer (RFC 6901, 3)."""
    return name[:_SHOWN].replace("~", "~0").replace("/", "~1")


def _quote(value: Any) -> str:
    """Return the beginning of a value in quotation marks, as errors show it."""
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    return f"“{text[:_SHOWN]}”"


def _make_event(
    attributes: dict[str, Any], data: dict[str, Any] | None, types: Mapping[str, str], *, has_data: bool
) -> CloudEvent:
    """Return the event of attributes and data, with marks for the parts that the event itself does not show.

    Raises:
        BadCloudEvent: when its `type` is no valid event type.
    """
    marks = ""
    if data is None:
        data, marks = {}, ce.NULL_DATA if has_data else ce.NO_DATA
    type_ = attributes["type"]
    event_type = types.get(type_, type_)
    if not _is_event_type(event_type):
        raise BadCloudEvent(
            [
                (
                    "/type",
                    f"“type” is {_quote(type_)}, and an event type is {RULE}: map it in `cloudevents_types`.",
                )
            ]
        )
    if event_type == type_:
        del attributes["type"]
    if "event_type" in data:
        if data["event_type"] != event_type:
            raise BadCloudEvent([("/data/event_type", _type_mismatch("event_type", data["event_type"], event_type))])
        marks += ce.HAS_EVENT_TYPE
    event = {"event_type": event_type, **data}
    if event.get("event") == event_type:
        # As in the canonical form of an event.
        del event["event"]
        marks += ce.HAS_EVENT
    if marks:
        attributes[ce.MARKS] = marks
    return tuple.__new__(CloudEvent, (event, attributes))


def _is_event_type(text: str) -> bool:
    return _is_name_kept(text) if len(text) <= _SHOWN else is_name(text)


_is_name_kept = lru_cache(maxsize=1024)(is_name)


def _type_mismatch(name: str, found: Any, event_type: str) -> str:
    return (
        f"The property “{name}” of the data is {_quote(found)}, and the event type is “{event_type}”: leave the"
        " property out, or let both be one."
    )
