"""Fast encoding of events: the parts that events of one kind have in common are packed for Redis once.

Services publish few kinds of events, again and again. Most of the about twenty words of an entry are names, and the
fields
that Synapse adds hardly differ: writing them for each event costs more than writing its values. The template of a kind
is made by `encoding.encode`, from an event with a placeholder for each value, so both encoders write the same bytes.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from synapse.formats.exact_json import written
from synapse.formats.text import NO_TEXTS
from synapse.redis import Command
from synapse.redis.commands.publishing import Once, append_once, packed_once
from synapse.redis.commands.streams import packed_xadd, xadd
from synapse.wire.encoding import JSON_BEGINS, encode, may_read_as_json
from synapse.wire.fast_decoder import SecondHitCache

_Kind = tuple[str, tuple[str, ...], str, int, tuple[str, ...], tuple[int, int] | None]

# The placeholder of a value: no event contains this character (synapse.formats.strict_json).
_HOLE = "\0"
_DIGEST = _HOLE * 64
# The greatest number of forms that are cached, and the limits on the names of an event and on their characters in all.
_MOST, _NAMES, _CHARACTERS = 1024, 64, 2048
# Templates by stream, names of properties, source, contract version, names of the fields beside the event, and the
# window and hard length of `Once`.
_templates: SecondHitCache[_Kind, bytes] = SecondHitCache(_MOST)


def append(
    stream: str,
    event: Mapping[str, Any],
    timestamp: str,
    source: str,
    contract_version: int,
    *,
    beside: Mapping[str, str] = NO_TEXTS,
    once: Once | None = None,
) -> Command | None:
    """Return the command that appends a canonical event in the layout `flat`, as `encoding.encode` would encode it;
    with `once`, the command that appends it once.

    None for the first event of a kind, and for one that needs more than values in a template: with a null, or a string
    that could be read as JSON.
    """
    kind = (stream, tuple(event), source, contract_version, tuple(beside), None if once is None else once[2:])
    form = _templates.made.get(kind) or _learn(kind)
    if form is None:
        return None
    texts: list[int | bytes] = []
    if once is not None:
        text = once.fingerprint.encode()
        texts += (once.digest.encode(), len(text), text)
    for value in event.values():
        if type(value) is str:
            if value[:1] in JSON_BEGINS and may_read_as_json(value):
                return None
            text = value.encode()
        elif value is None:
            return None
        else:
            text = orjson.dumps(value, default=written)
        texts.append(len(text))
        texts.append(text)
    if "event" not in event:
        text = event["event_type"].encode()
        texts += (len(text), text)
    if "timestamp" not in event:
        text = timestamp.encode()
        texts += (len(text), text)
    for name in beside:
        if name not in event:
            text = beside[name].encode()
            texts += (len(text), text)
    packed = form % tuple(texts)
    return packed_xadd(stream, packed) if once is None else packed_once(stream, packed)


def _learn(kind: _Kind) -> bytes | None:
    """Make and store the template of a kind of events that occurs for the second time; None for the first time."""
    if len(kind[1]) > _NAMES or len("".join(kind[1])) > _CHARACTERS:
        return None
    return _templates.keep(kind, _make_template(kind)) if _templates.seen_before(kind) else None


def _make_template(kind: _Kind) -> bytes:
    """Return the template: the packed command, with format specifiers for the length and the text of each value."""
    stream, names, source, contract_version, beside, once = kind
    fields = encode(
        dict.fromkeys(names, _HOLE),
        layout="flat",
        timestamp=_HOLE,
        source=source,
        contract_version=contract_version,
        beside=dict.fromkeys(beside, _HOLE),
    )
    command = xadd(stream, fields) if once is None else append_once(stream, fields, Once(_DIGEST, _HOLE, *once))
    words = command.words
    # RESP2: an array of bulk strings.
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        if word == _HOLE:
            parts.append(b"$%d\r\n%b\r\n")
        else:
            text = str(word).encode()
            # The digest is only the end of the name of the Redis key.
            shown = text.replace(b"%", b"%%").replace(_DIGEST.encode(), b"%b")
            parts.append(b"$%d\r\n%b\r\n" % (len(text), shown))
    return b"".join(parts)
