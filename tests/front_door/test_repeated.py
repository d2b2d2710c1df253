"""A request that comes again with another body, told by its bytes."""

import pytest

from synapse.server.cached_head import cacheable_head

HEAD = b"POST /events/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: %s\r\nX-API-Key: k\r\n\r\n"
HEADERS = [(b"host", b"localhost"), (b"x-api-key", b"k")]
LIST = b"GET /streams/orders/messages HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(body, length=None):
    return HEAD % (b"%d" % len(body) if length is None else length) + body


@pytest.fixture
def known():
    return cacheable_head(post(b"{}"), b"2", HEADERS, most=2048)


@pytest.mark.parametrize("body", [b"{}", b"", b'{"n": 1}', b"x" * 5000, b"\r\n\r\n", post(b"{}")])
def test_the_same_head_with_another_body_is_told(known, body):
    assert known.match(post(body)) == (b"%d" % len(body), body, {})


def test_digits_are_handed_on_as_they_were_sent(known):
    assert known.match(post(b"{}", b"0002")) == (b"0002", b"{}", {})


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(post(b"{}") + b"P", id="more than the request"),
        pytest.param(post(b"{}") * 2, id="two requests"),
        pytest.param(post(b"{}")[:-1], id="less than the request"),
        pytest.param(post(b"{}")[:40], id="a part of the head"),
        pytest.param(post(b"{}", b""), id="no digits"),
        pytest.param(post(b"{}", b"+2"), id="a sign"),
        pytest.param(post(b"{}", b"2 "), id="a space behind"),
        pytest.param(post(b"{}", b"2, 2"), id="two values"),
        pytest.param(post(b"{}", b"000000002"), id="more digits than any length has"),
        pytest.param(post(b"{}", b"2\r\nContent-Length: 2"), id="twice"),
        pytest.param(post(b"{}", b"2\r\nTransfer-Encoding: chunked"), id="another header behind"),
        pytest.param(post(b"{}").replace(b"Key: k", b"Key: l"), id="another key"),
        pytest.param(post(b"{}").replace(b"localhost", b"elsewhere"), id="another host"),
        pytest.param(post(b"{}").replace(b"orders", b"others"), id="another stream"),
        pytest.param(post(b"{}").replace(b"Content", b"content"), id="the same, written otherwise"),
        pytest.param(b"\r\n" + post(b"{}"), id="a blank line before"),
    ],
)
def test_everything_else_is_left_to_the_parser(known, piece):
    assert known.match(piece) is None


def test_a_request_without_a_body_comes_again_as_it_is():
    known = cacheable_head(LIST, b"", [], most=2048)

    assert known.match(LIST) == (b"", b"", {})
    assert known.match(LIST + LIST) is None
    assert known.match(LIST[:-2]) is None
    assert known.match(LIST.replace(b"orders", b"others")) is None


@pytest.mark.parametrize(
    ("piece", "length"),
    [
        pytest.param(post(b"{}") * 2, b"2", id="two requests"),
        pytest.param(LIST + post(b"{}"), b"2", id="two that are not alike"),
        pytest.param(b"\r\n\r\n" + post(b"{}"), b"2", id="blank lines before"),
        pytest.param(post(b"{}") + b"\r\n", b"2", id="a blank line behind"),
        pytest.param(post(b"{}", b"2 "), b"2", id="a space behind the digits"),
        pytest.param(HEAD % b"2" + b"2\r\n{}\r\n0\r\n\r\n", b"", id="chunks"),
        pytest.param(post(b"{}").replace(b"k", b"k" * 2048), b"2", id="a head too large to be kept"),
    ],
)
def test_data_other_than_a_single_plain_request_is_not_kept(piece, length):
    assert cacheable_head(piece, length, HEADERS, most=2048) is None


TRACED = (
    b"POST /events/orders HTTP/1.1\r\nHost: localhost\r\nTraceParent:%s\r\nContent-Length: %d\r\nX-API-Key: k\r\n"
    b"idempotency-key: %s\r\n\r\n%s"
)


def traced(trace=b" 00-a-b-01", key=b"one", body=b"{}"):
    return TRACED % (trace, len(body), key, body)


@pytest.fixture
def known_trace():
    headers = [(b"traceparent", b"00-a-b-01"), *HEADERS, (b"idempotency-key", b"one")]
    return cacheable_head(traced(), b"2", headers, most=2048)


def test_a_head_with_another_trace_and_key_is_told_with_both(known_trace):
    found = known_trace.match(traced(b" 00-c-d-00", b"two words", b'{"n": 1}'))

    assert found == (b"8", b'{"n": 1}', {"traceparent": "00-c-d-00", "idempotency-key": "two words"})


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(traced(b" "), id="without a value"),
        pytest.param(traced(b"  00-a-b-01"), id="two spaces before a value"),
        pytest.param(traced(b" 00-a-b-01 "), id="a space behind a value"),
        pytest.param(traced(b" 00-a-b\t01"), id="a tab in a value"),
        pytest.param(traced(b" 00-a\n-b-01"), id="a line feed in a value"),
        pytest.param(traced(b" 00-a\x00-b-01"), id="a NUL in a value"),
        pytest.param(traced(b" caf\xe9"), id="a value that is not ASCII"),
        pytest.param(traced(b" " + b"x" * 513), id="a long value"),
        pytest.param(traced(b" a\r\n b"), id="a value on two lines"),
        pytest.param(traced(key=b"a\r\nidempotency-key: b"), id="a header twice"),
        pytest.param(traced(key=b"a\r\nTransfer-Encoding: chunked"), id="a header behind a value"),
        pytest.param(traced(key=b"a\r\n\r\n{}POST / HTTP/1.1"), id="a request behind a value"),
        pytest.param(traced().replace(b"Key: k", b"Key: l"), id="another key of the API"),
        pytest.param(
            traced().replace(
                b"Host: localhost\r\nTraceParent: 00-a-b-01", b"TraceParent: 00-a-b-01\r\nHost: localhost"
            ),
            id="headers in another order",
        ),
    ],
)
def test_a_head_whose_varying_values_may_be_read_otherwise_is_left_to_the_parser(known_trace, piece):
    assert known_trace.match(piece) is None


@pytest.mark.parametrize(
    ("piece", "headers"),
    [
        pytest.param(traced(b" a\r\n b"), [(b"traceparent", b"a b"), (b"idempotency-key", b"one")], id="on two lines"),
        pytest.param(
            traced(b" a\r\ntraceparent: a"),
            [(b"traceparent", b"a"), (b"traceparent", b"a"), (b"idempotency-key", b"one")],
            id="twice",
        ),
        pytest.param(traced(b" "), [(b"traceparent", b""), (b"idempotency-key", b"one")], id="without a value"),
        pytest.param(traced(), [(b"idempotency-key", b"one")], id="not seen by the parser"),
    ],
)
def test_a_head_whose_varying_values_are_not_plain_is_not_kept(piece, headers):
    assert cacheable_head(piece, b"2", [*HEADERS, *headers], most=2048) is None


def test_a_head_of_many_blanks_is_searched_in_time_that_grows_with_its_length():
    # In the square of the length, this would take minutes.
    piece = traced(b" " * 100_000, key=b"\t " * 50_000 + b"x" + b" " * 100_000)

    assert cacheable_head(piece, b"2", [*HEADERS, (b"traceparent", b"")], most=1_000_000) is None
