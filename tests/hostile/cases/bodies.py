"""Hostile bodies: invalid, ambiguous between two parsers, too large, or harmful to a page that shows them."""

import json

from tests.gzip_bombs import gzip_bomb
from tests.hostile.cases import JSON, Case, raw
from tests.publish.test_bad_bodies import BODIES, GOOD_BODIES


def value(text: str) -> bytes:
    return json.dumps({"event_type": "t", "a": text}).encode()


CHUNKED = b"POST /events/platform-events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
ENCODED = (*JSON, ("Content-Encoding", "gzip"))
LINES = (("Content-Type", "application/x-ndjson"),)

# Nothing is wrong with these: they are stored, and it is for those who show them to escape them.
SHOWN = {
    "a script": "<script>alert(1)</script>",
    "an image": '"><img src=x onerror=alert(1)>',
    "a template": "{{7*7}}{% load static %}${7*7}#{7*7}",
    "a formula": "=cmd|' /C calc'!A0",
    "a header": "%0d%0aSet-Cookie: a=b\r\nSet-Cookie: a=b",
    "an escape": "\x1b[2J\x1b]0;title\x07",
    "directions": "\u202etxt.exe\u2066\u200b\u200d\ufeff",
    "combining": "a" + "\u0301" * 10_000,
    "64 KiB": "x" * 65_536,
    "a path": "../../../../etc/passwd",
    "SQL": "'; DROP TABLE streams_stream; --",
    "Redis": "\r\nFLUSHALL\r\n*1\r\n$8\r\nFLUSHALL\r\n",
}
STRANGE_KEYS = (
    b'{"event_type":"t","__proto__":{"a":1},"constructor":{"prototype":{"a":1}},"toString":1,"":1,"a.b/c~d":1}'
)

CASES = [
    *(Case(name=name, body=body, status=status) for name, (body, status, _) in BODIES.items()),
    *(Case(name=name, body=body, status=201) for name, body in GOOD_BODIES.items()),
    *(Case(name=name, body=value(text), status=201) for name, text in SHOWN.items()),
    Case(name="strange keys", body=STRANGE_KEYS, status=201),
    Case(name="a million digits", body=b'{"event_type":"t","a":' + b"9" * 1_000_000 + b"}", status=413),
    Case(name="200,000 digits", body=b'{"event_type":"t","a":' + b"9" * 200_000 + b"}", status=400),
    Case(name="-1e400", body=b'{"event_type":"t","a":-1e400}', status=400),
    Case(name="a long exponent", body=b'{"event_type":"t","a":1e' + b"9" * 100_000 + b"}", status=400),
    Case(name="UTF-32", body='{"event_type":"t"}'.encode("utf-32"), status=400),
    Case(name="surrogates the wrong way round", body=b'{"event_type":"t","a":"\\udc00\\ud800"}', status=400),
    Case(name="a list of lists", body=b"[" * 60 + b"]" * 60, status=422),
    Case(name="10,001 events", body=b"[" + b"{}," * 10_000 + b"{}]", status=413),
    Case(name="10,001 lines", headers=LINES, body=b"{}\n" * 10_001, status=413),
    Case(name="8 MiB of white space", body=b" " * (8 * 1024 * 1024), status=413),
    Case(name="9 MiB", body=b"x" * (9 * 1024 * 1024), status=413),
    Case(name="a gzip bomb", headers=ENCODED, body=gzip_bomb(100), status=413),
    Case(name="gzip that is none", headers=ENCODED, body=b"hello", status=400),
    Case(name="two encodings", headers=(*JSON, ("Content-Encoding", "gzip, gzip")), body=b"x", status=415),
    Case(name="a form", headers=(("Content-Type", "application/x-www-form-urlencoded"),), body=b"a=b", status=415),
    Case(name="XML", headers=(("Content-Type", "text/xml"),), body=b"<!DOCTYPE a [<!ENTITY b 'c'>]>", status=415),
    Case(name="no content type", headers=(), body=b'{"event_type":"t"}', status=415, alone=415),
    Case(name="UTF-16 by its type", headers=(("Content-Type", "application/json; charset=utf-16"),), status=415),
    raw(
        "chunks",
        CHUNKED + b"Transfer-Encoding: chunked\r\n",
        b'9\r\n[{"event_\r\n9\r\ntype":"t"}]\r\n0\r\n\r\n',
        status=400,
        alone=400,
    ),
    raw("chunks of bad sizes", CHUNKED + b"Transfer-Encoding: chunked\r\n", b"zz\r\n{}\r\n0\r\n\r\n", status=400),
    raw(
        "a length and chunks",
        CHUNKED + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"0\r\n\r\n",
        status=400,
    ),
    raw("two lengths", CHUNKED + b"Content-Length: 2\r\nContent-Length: 3\r\n", b"{} ", status=400, alone=422),
    raw("a negative length", CHUNKED + b"Content-Length: -1\r\n", status=400),
    raw("a length that is none", CHUNKED + b"Content-Length: 0x10\r\n", status=400),
    raw("a length of 40 digits", CHUNKED + b"Content-Length: " + b"9" * 40 + b"\r\n", status=400, alone=413),
]
