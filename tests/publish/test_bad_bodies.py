"""Bodies that no event may have: each is refused with a reason, and nothing is stored."""

import pytest

from tests.tables import for_each

DEEP = b'{"event_type":"t","a":' + b"[" * 64 + b"]" * 64 + b"}"

# body: (status, words of the reason)
BODIES = {
    "empty": (b"", 400, "body is empty"),
    "white space": (b" \n ", 400, "body is empty"),
    "not JSON": (b"hello", 400, "Not valid JSON"),
    "cut off": (b'{"event_type":"t"', 400, "Not valid JSON"),
    "trailing comma": (b'{"event_type":"t",}', 400, "Not valid JSON"),
    "two documents": (b'{"event_type":"t"}{"event_type":"t"}', 400, "Not valid JSON"),
    "a string": (b'"event"', 400, "JSON object"),
    "a number": (b"5", 400, "JSON object"),
    "null": (b"null", 400, "JSON object"),
    "bad UTF-8": (b'{"event_type":"t","a":"\xff"}', 400, "not UTF-8"),
    "overlong UTF-8": (b'{"event_type":"t","a":"\xc0\xaf"}', 400, "not UTF-8"),
    "UTF-16": ('{"event_type":"t"}'.encode("utf-16"), 400, "not UTF-8"),
    "byte order mark": (b'\xef\xbb\xbf{"event_type":"t"}', 400, "byte order mark"),
    "NaN": (b'{"event_type":"t","a":NaN}', 400, "Not valid JSON"),
    "Infinity": (b'{"event_type":"t","a":-Infinity}', 400, "Not valid JSON"),
    "a number beyond a double": (
        b'{"event_type":"t","a":1e400}',
        400,
        'number "1e400" is larger than a double can hold; send it as a string',
    ),
    "2^64": (b'{"event_type":"t","a":18446744073709551616}', 400, "64 bits"),
    "-2^63-1": (b'{"event_type":"t","a":-9223372036854775809}', 400, "64 bits"),
    "5,000 digits": (b'{"event_type":"t","a":' + b"9" * 5000 + b"}", 400, "send it as a string"),
    "a key twice": (b'{"event_type":"t","a":1,"a":2}', 400, "appears twice"),
    "a key twice, deeper": (b'{"event_type":"t","a":{"b":[{"c":1,"c":1}]}}', 400, "appears twice"),
    "a key twice, once escaped": (b'{"event_type":"t","a":1,"\\u0061":2}', 400, "appears twice"),
    "NUL in a value": (b'{"event_type":"t","a":"x\\u0000y"}', 400, "NUL"),
    "NUL in a key": (b'{"event_type":"t","x\\u0000y":1}', 400, "NUL"),
    "a raw NUL": (b'{"event_type":"t","a":"\x00"}', 400, "control character"),
    "a lone surrogate": (b'{"event_type":"t","a":"\\ud800"}', 400, "Not valid JSON"),
    "65 levels": (DEEP, 400, "64 levels"),
    "100,000 brackets": (b"[" * 100_000, 400, "levels deep"),
    "1,025 objects deep": (b'{"a":' * 1025, 400, "levels deep"),
    "256 KiB and a byte": (b'{"event_type":"t","a":"' + b"x" * (256 * 1024 - 24) + b'"}', 413, "262144"),
    "a string over 64 KiB": (b'{"event_type":"t","a":"' + b"x" * 65_537 + b'"}', 400, "longer than 65536"),
    "1,025 keys": (
        b'{"event_type":"t",' + b",".join(b'"k%d":1' % n for n in range(1024)) + b"}",
        400,
        "1025 keys",
    ),
    "over 10,000 parts": (b'{"event_type":"t","a":[' + b"1," * 10_000 + b"1]}", 400, "10000 parts"),
    "no type": (b'{"a":1}', 422, "no “event_type”"),
    "a type that is a number": (b'{"event_type":5}', 422, "is a name"),
    "a type that is null": (b'{"event_type":null}', 422, "is a name"),
    "an empty type": (b'{"event_type":""}', 422, "is a name"),
    "a type with spaces": (b'{"event_type":"a b"}', 422, "is a name"),
    "a type of Synapse's own": (b'{"event_type":"syn:x"}', 422, "is a name"),
    "a type that is too long": (b'{"event_type":"' + b"t" * 101 + b'"}', 422, "is a name"),
    "a property of Synapse's own": (b'{"event_type":"t","synapse_version":"9"}', 400, "synapse_version"),
}


@pytest.fixture(autouse=True)
def orders(define):
    define("orders")


@for_each("name", BODIES)
def test_a_bad_body_is_refused_with_a_reason(ask, redis, name):
    body, status, reason = BODIES[name]

    answer = ask("POST", "/events/orders", body)

    assert answer.status == status, answer.json
    assert reason in answer.json["detail"]
    assert answer.json["status"] == status
    assert redis.exists("orders") == 0


GOOD_BODIES = {
    "2^64-1 and -2^63": b'{"event_type":"t","a":18446744073709551615,"b":-9223372036854775808}',
    "64 levels": b'{"event_type":"t","a":' + b"[" * 63 + b"]" * 63 + b"}",
    "brackets in strings": b'{"event_type":"t","a":"' + b"[{" * 500 + b'\\""}',
    "an escaped backslash before u0000": b'{"event_type":"t","a":"\\\\u0000"}',
    "white space around": b' \r\n{"event_type" : "t"}\t',
    "strange names": b'{"event_type":"t","":1,"__proto__":2,"<script>":"=cmd|x","\xe2\x80\xae":"\\u001b[2J"}',
    "numbers in many forms": b'{"event_type":"t","a":-0,"b":1E2,"c":1.50,"d":-0.0,"e":9007199254740993}',
    "256 KiB exactly": b'{"event_type":"t","a":["'
    + b'","'.join([b"x" * 60_000] * 4)
    + b'","'
    + b"y" * (256 * 1024 - 240_040)
    + b'"]}',
}


@for_each("name", GOOD_BODIES)
def test_an_unusual_but_good_body_is_stored(ask, redis, name):
    redis.delete("orders")

    answer = ask("POST", "/events/orders", GOOD_BODIES[name])

    assert answer.status == 201, answer.json
    assert redis.xlen("orders") == 1


@for_each(
    "body, is_lines",
    [
        (b'{"event_type":"t","n":1}\n{"event_type":"t","n":2}\n', True),
        (b'{"event_type":"t"}\r\n{"event_type":"t"}', True),
        (b'\n{"event_type":"t"}\n\n{"event_type":"t"', True),
        (b'{"event_type":"t"} {"event_type":"t"}', False),
        (b'{"event_type":\n"t"', False),
        (b'{"event_type":"t"}}', False),
    ],
)
def test_lines_of_json_that_are_sent_as_one_value_are_refused_with_their_content_type(ask, body, is_lines):
    answer = ask("POST", "/events/orders", body, {"content-type": "application/json"})

    assert answer.status == 400
    assert ("application/x-ndjson" in answer.json["detail"]) is is_lines


@for_each("kind", ["application/jsonl", "text/plain"])
def test_a_content_type_that_is_not_read_is_refused_with_those_that_are(ask, kind):
    answer = ask("POST", "/events/orders", b"{}", {"content-type": kind})

    assert answer.status == 415
    assert answer.headers["accept-post"].split(", ") == [
        "application/json",
        "application/x-ndjson",
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
    ]
