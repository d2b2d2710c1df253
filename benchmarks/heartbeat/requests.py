"""The slowest requests, each kind with its body and its concurrency."""
# ruff: noqa: E501 - a table

from dataclasses import dataclass

from benchmarks.events import EVENT, JSON, STREAM, compact

MEBIBYTE = 1024 * 1024
NDJSON = "application/x-ndjson"
FREE = "heartbeat-free"
LARGE = "heartbeat-large"
MANY = "heartbeat-many"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of request.

    Attributes:
        callers: The number of concurrent callers.
        expected: The expected statuses.
        seconds: The time for which an endless answer is read.
    """

    name: str
    method: str = "GET"
    path: str
    body: bytes = b""
    content_type: str = JSON
    callers: int = 1
    expected: frozenset[int] = frozenset((200, 201, 207))
    seconds: float | None = None


def _array(item: bytes, size: int = 8 * MEBIBYTE - 1024, most: int = 10**9) -> bytes:
    count = min(most, (size - 2) // (len(item) + 1))
    return b"[" + (item + b",") * (count - 1) + item + b"]"


def _lines(item: bytes, most: int = 10_000) -> bytes:
    return (item + b"\n") * min(most, (8 * MEBIBYTE - 1024) // (len(item) + 1))


_FULL = compact({**EVENT, "note": "x" * 500})
_TOLD_OTHERWISE = b'{ "event_type": "free-form", "list": [' + b"1, " * 9000 + b'2], "caf\\u00e9": "caf\\u00e9"}'
_NESTED = b'{"event_type":"free-form","list":[' + b"[]," * 9000 + b"1]}"
_KEYS = b'{"event_type":"free-form",' + b",".join(b'"k%d":%d' % (number, number) for number in range(1000)) + b"}"
_REFUSED = frozenset((400, 413, 422))
_BUSY = frozenset((200, 207, 400, 413, 429, 503))

KINDS = (
    Kind(name="nothing", path="/healthz"),
    Kind(name="one event", method="POST", path=f"/events/{STREAM}", body=compact(EVENT), callers=8),
    Kind(name="batches of 100", method="POST", path=f"/events/{STREAM}", body=_array(compact(EVENT), most=100), callers=8),
    Kind(name="batch of 10,000", method="POST", path=f"/events/{STREAM}", body=_array(_FULL, most=10_000)),
    Kind(name="10,000 bad events", method="POST", path=f"/events/{STREAM}", body=_array(b"{}", most=10_000), expected=_REFUSED),
    Kind(name="10,000 together", method="POST", path=f"/events/{FREE}?atomic=true", body=_array(b'{"event_type":"x"}', most=10_000)),
    Kind(name="empty objects", method="POST", path=f"/events/{STREAM}", body=_array(b"{}"), expected=_REFUSED),
    Kind(name="24 x empty objects", method="POST", path=f"/events/{STREAM}", body=_array(b"{}"), callers=24, expected=_BUSY),
    Kind(name="nested lists", method="POST", path=f"/events/{FREE}", body=_array(_NESTED), expected=_BUSY),
    Kind(name="many keys", method="POST", path=f"/events/{FREE}", body=_array(_KEYS), expected=_BUSY),
    Kind(name="written otherwise", method="POST", path=f"/events/{FREE}", body=_array(_TOLD_OTHERWISE), expected=_BUSY),
    Kind(name="one array of arrays", method="POST", path=f"/events/{FREE}", body=b"[" + _array(b"[]") + b"]", expected=_REFUSED),
    Kind(name="commas in a text", method="POST", path=f"/events/{FREE}", body=b'[{"a":"' + b"},{" * 2_700_000 + b'"}]', expected=_REFUSED),
    Kind(name="brackets", method="POST", path=f"/events/{FREE}", body=b"[" * (8 * MEBIBYTE), expected=_REFUSED),
    Kind(name="white space", method="POST", path=f"/events/{FREE}", body=b"[1" + b" " * (8 * MEBIBYTE - 3) + b"]", expected=_REFUSED),
    Kind(name="not JSON at the end", method="POST", path=f"/events/{STREAM}", body=_array(_FULL)[:-1], expected=_REFUSED),
    Kind(name="lines", method="POST", path=f"/events/{FREE}", body=_lines(_NESTED), content_type=NDJSON),
    Kind(name="line feeds", method="POST", path=f"/events/{FREE}", body=b"\n" * (8 * MEBIBYTE), content_type=NDJSON, expected=_REFUSED),
    Kind(name="40 x 256 KiB", method="POST", path=f"/events/{FREE}", body=_array(_NESTED, 250_000), callers=40),
    Kind(name="event of 256 KiB", method="POST", path=f"/events/{FREE}", body=_TOLD_OTHERWISE.replace(b"1, ", b"1," + b" " * 24), callers=8),
    Kind(name="pull: 8 MiB", method="POST", path="/v1/ack", body=b'{"ids":' + _array(b'"1-1"', 8 * MEBIBYTE - 4096) + b"}", expected=_REFUSED),
    Kind(name="registry: 8 MiB", method="POST", path="/registry/subjects/s/versions", body=b'{"schema":' + _array(b"{}", 8 * MEBIBYTE - 4096) + b"}", callers=4, expected=frozenset((400, 413, 422, 429, 503))),
    Kind(name="log-in form of 8 MiB", method="POST", path="/admin/login/", body=b"a=b&" * (2 * MEBIBYTE), content_type="application/x-www-form-urlencoded", callers=4, expected=frozenset((400, 403, 413, 429, 503))),
    Kind(name="messages: 1,000", path=f"/streams/{STREAM}/messages?count=1000"),
    Kind(name="messages: 1,000 large", path=f"/streams/{LARGE}/messages?count=1000"),
    Kind(name="64 filtered reads", path=f"/streams/{STREAM}/messages?count=1000&event_type=nothing-like-it", callers=64, expected=_BUSY),
    Kind(name="8 filtered, large", path=f"/streams/{LARGE}/messages?count=1000&event_type=nothing-like-it", callers=8, expected=_BUSY),
    Kind(name="8 replays", path=f"/streams/{STREAM}/live?since=0", callers=8, seconds=3),
    Kind(name="8 replays, large", path=f"/streams/{LARGE}/live?since=0", callers=8, seconds=3),
    Kind(name="pull: 100 large", method="POST", path="/v1/read", body=compact({"stream": LARGE, "consumer_group": "heartbeat", "consumer_name": "c", "count": 100, "block_ms": 0})),
    Kind(name="8 x /streams", path="/streams", callers=8),
    Kind(name="8 x /metrics", path="/metrics", callers=8, expected=_BUSY),
    Kind(name="8 x /openapi.json", path="/openapi.json", callers=8, expected=_BUSY),
)  # fmt: skip
