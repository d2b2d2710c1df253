"""Writing stored entries as CloudEvents: structured, binary, or several in a batch.

An event that was published as a CloudEvent has the attributes with which it was published. The attributes of a native
event are made from its entry.

After CloudEvents 1.0.2: JSON Event Format, and HTTP Protocol Binding.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from synapse.catalog.stream_definitions import Snapshot
from synapse.cloudevents.attributes import (
    BATCH,
    HEADER_PREFIX,
    NOT_IN_TEXTS,
    SPECVERSION,
    STRUCTURED,
    data_of,
    fault_of_name,
    fault_of_source,
    fault_of_time,
    type_of,
)
from synapse.formats import exact_json
from synapse.http.accept import form_of, refuses
from synapse.http.exchange import JSON
from synapse.wire.encoding import CLOUDEVENT, DecodedEntry, attributes_of
from synapse.wire.ids import iso_of, moment_of

# The `type` of a foreign entry without a type: each CloudEvent needs one.
UNTYPED = "untyped"
# RFC 3986, 2.2 and 2.4.
_IN_ADDRESS = ":/?#[]@!$&'()*+,;=%"
# The characters of a media type in a header.
_MEDIA_TYPE = re.compile("[!-~](?:[ -~]*[!-~])?")
# HTTP Protocol Binding, 3.1.3.2: the characters that are not escaped in the value of a header.
_IN_HEADER = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


class OutgoingEvent(NamedTuple):
    """A CloudEvent to be written.

    Attributes:
        attributes: the context attributes by name.
        body: the member `data`; empty for an event without data.
    """

    attributes: Mapping[str, Any]
    body: Mapping[str, Any]


def cloudevent_of(catalog: Snapshot, stream: str, id_: str, entry: DecodedEntry) -> OutgoingEvent:
    """Return the event of an entry as a CloudEvent.

    Args:
        catalog: contains the registry's address of the contract that a native event was checked against.
        stream: the name of the stream.
        id_: the id of the entry.
        entry: the entry, with PII masked if the reader may not see it.
    """
    came = entry.cloudevent
    if came is None:
        return OutgoingEvent(dict(_native_attributes(catalog, stream, id_, entry)), {"data": entry.event})
    attributes = {
        "specversion": SPECVERSION,
        "type": type_of(came, entry.event_type) or UNTYPED,
        # Without the marks, and without names and values that no attribute can have, which other programs may have
        # written.
        **{
            name: value
            for name, value in came.items()
            if isinstance(value, str | int) and not fault_of_name(name) and name != "type"
        },
    }
    # The characters of a mask are allowed neither in a URI nor in a time.
    for name in ("source", "dataschema"):
        if not str(attributes.get(name, "")).isascii():
            attributes[name] = quote(str(attributes[name]), safe=_IN_ADDRESS)
    if not str(attributes.get("time", "")).isascii():
        del attributes["time"]
    return OutgoingEvent(attributes, data_of(came, entry.event))


def cloudevent_of_row(catalog: Snapshot, stream: str, row: Mapping[str, Any]) -> OutgoingEvent:
    """Return the event of a row of `synapse.wire.masking.entry_row` as a CloudEvent."""
    text = row["data"].get(CLOUDEVENT)
    entry = DecodedEntry(
        event=row["event"],
        event_type=row["event_type"] or "",
        timestamp=row["timestamp"],
        source=row["source"],
        contract_version=row["contract_version"],
        layout=row["layout"],
        cloudevent=None if text is None else attributes_of(text),
    )
    return cloudevent_of(catalog, stream, row["id"], entry)


def _native_attributes(catalog: Snapshot, stream: str, id_: str, entry: DecodedEntry) -> Iterator[tuple[str, str]]:
    """Yield the attributes of an event that was not published as a CloudEvent."""
    yield "specversion", SPECVERSION
    yield "id", f"{stream}/{id_}"
    yield "source", _source_uri(entry.source or "") or f"{catalog.public_url}/streams/{quote(stream, safe='')}"
    yield "type", NOT_IN_TEXTS.sub("\ufffd", entry.event_type) or UNTYPED
    if time := _rfc3339_time(entry.timestamp or "") or iso_of(moment_of(id_)):
        yield "time", time
    yield "datacontenttype", JSON
    if address := schema_address(catalog, stream, entry):
        yield "dataschema", address


def schema_address(catalog: Snapshot, stream: str, entry: DecodedEntry) -> str:
    """Return the registry's address of the contract version that an event was checked against; "" when it was checked
    against none, and when Synapse's own address is not configured."""
    defined = catalog.streams.get(stream)
    event_type = defined and defined.event_types.get(entry.event_type)
    if not (event_type and event_type.versions and entry.contract_version and catalog.public_url):
        return ""
    subject = quote(next(iter(event_type.versions.values())).subject, safe="")
    return f"{catalog.public_url}/registry/subjects/{subject}/versions/{entry.contract_version}/schema"


def _source_uri(text: str) -> str:
    """Return the source of a native event, which can be any text, as a URI reference."""
    return text if not fault_of_source(text) else quote(text, safe="", errors="replace")


def _rfc3339_time(text: str) -> str:
    """Return a time in ISO 8601 as a time of RFC 3339, in UTC when it has no zone; "" for another text."""
    if not fault_of_time(text):
        return text
    try:
        moment = datetime.fromisoformat(text)
        return iso_of(moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)) or ""
    except (ValueError, OverflowError):
        return ""


def chosen_form(accept: str, *forms: str) -> str:
    """Return the media type in which a client gets events: one of the given forms of CloudEvents when the client
    prefers it to Synapse's own JSON, else `application/json`.

    Raises:
        NotAcceptable: when the client refuses all of them.
    """
    return form_of(accept, (JSON, *forms))


def chosen_form_of_list(accept: str) -> str:
    """Return the media type in which a client gets several events: a batch of CloudEvents, or Synapse's own JSON. A
    client that asks for single CloudEvents gets a batch unless it refuses batches.

    Raises:
        NotAcceptable: when the client refuses both.
    """
    form = chosen_form(accept, BATCH) if refuses(accept, BATCH) else chosen_form(accept, BATCH, STRUCTURED)
    return JSON if form == JSON else BATCH


def structured(event: OutgoingEvent, *, otherwise: Mapping[str, str] | None = None) -> bytes:
    """Return a CloudEvent in structured mode.

    Args:
        event: the CloudEvent.
        otherwise: replaces data of a foreign entry that is nested too deeply to be written as JSON.

    Raises:
        orjson.JSONEncodeError: when the data is nested too deeply and `otherwise` is None.
    """
    return orjson.dumps(
        {**event.attributes, **{name: _encode_json(each, otherwise) for name, each in event.body.items()}}
    )


def _encode_json(data: Any, otherwise: Mapping[str, str] | None) -> Any:
    try:
        return orjson.Fragment(exact_json.dumps(data))
    except orjson.JSONEncodeError:
        if otherwise is None:
            raise
        return otherwise


def binary(event: OutgoingEvent) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a CloudEvent in binary mode. An event without data has an empty body, and a
    Content-Type only when it has the attribute `datacontenttype`.

    Raises:
        orjson.JSONEncodeError: when the data is nested too deeply.
    """
    headers = {
        f"{HEADER_PREFIX}{name}": header_value(value)
        for name, value in event.attributes.items()
        if name != "datacontenttype"
    }
    media_type = str(event.attributes.get("datacontenttype", JSON if event.body else ""))
    if media_type:
        headers["Content-Type"] = media_type if _MEDIA_TYPE.fullmatch(media_type) else JSON
    return headers, b"".join(exact_json.dumps(data) for data in event.body.values())


def header_value(value: Any) -> str:
    """Return the value of an attribute as the value of a header (HTTP Protocol Binding, 3.1.3.2)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return quote(str(value), safe=_IN_HEADER, errors="replace")
