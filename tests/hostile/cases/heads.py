"""Hostile heads: headers sent twice, with forbidden characters, or that speak for another client."""

from tests.hostile.cases import EVENT, JSON, Case, raw

PUBLISH = b"POST /events/platform-events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(EVENT)
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(EVENT), EVENT)


def publish(name: str, *pairs: tuple[str, str], status: int, alone: int | None = None) -> Case:
    return Case(name=name, headers=(*JSON, *pairs), body=EVENT, status=status, alone=alone)


def bytewise(name: str, line: bytes, *, status: int, alone: int | None = None) -> Case:
    return raw(name, PUBLISH + LENGTH + line + b"\r\n", EVENT, status=status, alone=alone)


def coded(coding: str, *, status: int) -> Case:
    head = PUBLISH + b"Transfer-Encoding: " + coding.encode() + b"\r\n"
    return raw(f"a body coded as {coding}", head, CHUNKS, status=status, alone=400)


CASES = [
    publish("an empty idempotency key", ("Idempotency-Key", ""), status=400),
    publish("one of spaces", ("Idempotency-Key", "   "), status=400),
    publish("one of 129 characters", ("Idempotency-Key", "k" * 129), status=400),
    publish("one that is not ASCII", ("Idempotency-Key", "schlüssel"), status=400),
    bytewise("one with a carriage return", b"Idempotency-Key: a\rSet-Cookie: b", status=400, alone=201),
    bytewise("one with NUL", b"Idempotency-Key: a\0b", status=400),
    bytewise("two of them", b"Idempotency-Key: a\r\nIdempotency-Key: b", status=400, alone=201),
    bytewise("one that goes on in the next line", b"Idempotency-Key: a\r\n b", status=400, alone=400),
    publish("an unknown method in a header", ("X-HTTP-Method-Override", "DELETE"), status=201),
    publish("another host in a header", ("X-Forwarded-Host", "evil.example"), status=201),
    publish("another address in a header", ("X-Forwarded-For", "127.0.0.1, ::1"), status=201),
    publish("another path in a header", ("X-Original-URL", "/admin/"), status=201),
    publish("a version that is none", ("Synapse-Contract-Version", "-1"), status=400),
    publish("a version of 30 digits", ("Synapse-Contract-Version", "9" * 30), status=400),
    publish("a traceparent that is none", ("traceparent", "00-" + "z" * 50), status=201),
    publish("an origin of nowhere", ("Origin", "null"), status=403),
    publish("an origin of another site", ("Origin", "http://evil.example"), status=403),
    publish("a page of another site", ("Sec-Fetch-Site", "cross-site"), status=403),
    # Django's development server reads no body in chunks; what ends a request is tried in tests/framing.
    coded("Chunked", status=501),
    coded("gzip, chunked", status=501),
    coded("chunked, chunked", status=400),
    raw("a tunnel", b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n", status=501, alone=404),
    publish("a cookie of another's making", ("Cookie", "sessionid=" + "a" * 4000), status=201),
    publish("a range", ("Range", "bytes=0-18446744073709551615"), status=201),
    publish("an expectation of nothing", ("Expect", "200-maybe"), status=201, alone=201),
    publish("a hundred headers more", *((f"X-{n}", "a") for n in range(110)), status=431, alone=431),
    publish("16 KiB of headers", *((f"X-{n}", "a" * 1000) for n in range(20)), status=431, alone=201),
    Case(name="no host", raw=b"GET /streams HTTP/1.0\r\n\r\n", status=400, alone=200),
    raw("two hosts", b"GET /streams HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n", status=400),
    raw("another host", b"GET /streams HTTP/1.1\r\nHost: evil.example\r\n", status=400),
    raw("a host with a user", b"GET /streams HTTP/1.1\r\nHost: a@localhost\r\n", status=400),
    raw("a host with a path", b"GET /streams HTTP/1.1\r\nHost: localhost/evil\r\n", status=400),
    raw("a host with a bad port", b"GET /streams HTTP/1.1\r\nHost: localhost:99x\r\n", status=400),
    raw("a host that is not ASCII", b"GET /streams HTTP/1.1\r\nHost: l\xf6calhost\r\n", status=400),
    Case(name="a method of nobody's", method="BREW", target="/streams", status=400, alone=405),
    Case(name="TRACE", method="TRACE", target="/streams", status=405),
    Case(name="DELETE of what can only be read", method="DELETE", target="/streams", status=405),
]
