"""The ids by which an event can be found, beside its entry id: its trace id, its id as a CloudEvent, and the values of
the properties that its stream declares.

The index holds digests with a secret key, never the values. PII has digests of another kind than other values, so that
callers without access to PII cannot find events by it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b, blake2s
from typing import Any

import orjson

from synapse.catalog.stream_definitions import StreamDefinition
from synapse.formats import exact_json
from synapse.tracing.context import trace_id_in
from synapse.wire.encoding import CLOUDEVENT, VERSION, DecodedEntry, attributes_of, pairs, text_fields
from synapse.wire.fast_decoder import decode_parts
from synapse.wire.masking import Mask, mask_of

TRACE_ID, CLOUDEVENT_ID = "trace id", "CloudEvent id"
# Longer texts (characters, or bytes in an entry) are not indexed.
LONGEST = 256

_FORMAT = b"1"
_VERSION, _TRACEPARENT, _CLOUDEVENT = VERSION.encode(), b"traceparent", CLOUDEVENT.encode()
_TRACE = re.compile(r"[0-9a-f]{32}")


class Digests:
    """Computes digests of values with a secret key, as 32-bit numbers."""

    def __init__(self, secret: bytes) -> None:
        self._all = blake2s(key=secret, digest_size=4)
        self._pii = blake2s(key=secret, digest_size=4, person=b"pii")
        self._secret = secret

    def digest_value(self, value: bytes, *, pii: bool = False) -> int:
        """Return the digest of a value; `pii`: a contract marks the value as PII."""
        digest = (self._pii if pii else self._all).copy()
        digest.update(value)
        return int.from_bytes(digest.digest(), "big")

    def lookup_digests(self, text: str, *, pii: bool) -> list[int]:
        """Return the digests to look a text up with; `pii`: also those of values that are PII."""
        values = {_encode(each) for each in (text, trace_of(text)) if each}
        return [self.digest_value(value, pii=kind) for value in values for kind in ((False, True) if pii else (False,))]

    def index_name(self, stream: StreamDefinition) -> str:
        """Return the name of a stream's index: a digest of the key and the declared properties, so that it changes when
        the index has to be rebuilt.
        """
        digest = blake2b(key=self._secret, digest_size=16, person=_FORMAT)
        digest.update(orjson.dumps(list(stream.correlation)))
        return digest.hexdigest()


class EntryDigests:
    """Computes the digests of the ids in the entries of a stream."""

    def __init__(self, digests: Digests, stream: StreamDefinition) -> None:
        self._digests = digests
        self._stream = stream
        self._names = [name.encode() for name in stream.correlation]

    def digest_entry(self, parts: Sequence[bytes]) -> set[int]:
        """Return the digests of an entry, from its alternating names and values."""
        fields = pairs(parts)
        if self._stream.marks or _VERSION not in fields:
            return self._digest_decoded(parts, fields)
        digest, found = self._digests.digest_value, set()
        for name in self._names:
            value = fields.get(name)
            if value and len(value) <= LONGEST:
                found.add(digest(value))
        if parent := fields.get(_TRACEPARENT):
            # Not validated here: the search compares the whole trace id.
            found.add(digest(parent[3:35].lower()))
        if text := fields.get(_CLOUDEVENT):
            attributes = attributes_of(text.decode("utf-8", "replace"))
            if attributes is not None and len(id_ := _encode(attributes["id"])) <= LONGEST:
                found.add(digest(id_))
        return found

    def _digest_decoded(self, parts: Sequence[bytes], fields: Mapping[bytes, bytes]) -> set[int]:
        stream = self._stream
        decoded = decode_parts(parts, types_of=stream.types_of)
        texts = text_fields(fields)
        mask = mask_of(stream, decoded)
        known = dict(ids_of_entry(stream, decoded, texts))
        shown = known if mask is None else dict(ids_of_entry(stream, *mask_entry(mask, decoded, texts)))
        return {self._digests.digest_value(_encode(text), pii=shown.get(name) != text) for name, text in known.items()}


def marks_name(stream: StreamDefinition) -> str:
    """Return a digest of the stream's marks of PII."""
    if not stream.marks:
        return ""
    marks = [[name, [each.source for each in found]] for name, found in sorted(stream.marks.items())]
    return blake2b(exact_json.dumps(marks), digest_size=16).hexdigest()


def mask_entry(mask: Mask, decoded: DecodedEntry, texts: Mapping[str, str]) -> tuple[DecodedEntry, dict[str, str]]:
    """Return an entry and its fields without PII."""
    return mask.decoded(decoded), mask.fields(texts, decoded.event)


def ids_of_entry(
    stream: StreamDefinition, decoded: DecodedEntry, texts: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each id of an entry; the name is `TRACE_ID`, `CLOUDEVENT_ID`, or that of a
    property.
    """
    for name in stream.correlation:
        if (text := _text_of(decoded.event.get(name))) and len(_encode(text)) <= LONGEST:
            yield name, text
    if trace := trace_of(texts.get("traceparent", "")):
        yield TRACE_ID, trace
    if decoded.cloudevent is not None and len(_encode(id_ := decoded.cloudevent["id"])) <= LONGEST:
        yield CLOUDEVENT_ID, id_


def trace_of(text: str) -> str:
    """Return the trace id in a text that is a trace id or a `traceparent` (W3C Trace Context), in lower case; "" in
    others.
    """
    text = text.lower()
    return text if _TRACE.fullmatch(text) else trace_id_in(text)


def _text_of(value: Any) -> str:
    """Return the text of a property's value, as it is stored in a field of an entry; "" for null."""
    if isinstance(value, str):
        return value
    return "" if value is None else exact_json.dumps(value).decode()


def _encode(text: str) -> bytes:
    # The JSON of other programs may contain lone surrogates.
    return text.encode("utf-8", "surrogatepass")
