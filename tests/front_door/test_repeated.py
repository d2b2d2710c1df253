"""A request that comes again with another body, told by its bytes."""

import pytest

from synapse.server.request_parser import cacheable_head

HEAD = b"POST /events/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: %s\r\nX-API-Key: k\r\n\r\n"
LIST = b"GET /streams/orders/messages HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(body, length=None):
    return HEAD % (b"%d" % len(body) if length is None else length) + body


@pytest.fixture
def known():
    return cacheable_head(post(b"{}"), b"2", most=2048)


@pytest.mark.parametrize("body", [b"{}", b"", b'{"n": 1}', b"x" * 5000, b"\r\n\r\n", post(b"{}")])
def test_the_same_head_with_another_body_is_told(known, body):
    assert known.match(post(body)) == (b"%d" % len(body), body)


def test_digits_are_handed_on_as_they_were_sent(known):
    assert known.match(post(b"{}", b"0002")) == (b"0002", b"{}")


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
    known = cacheable_head(LIST, b"", most=2048)

    assert known.match(LIST) == (b"", b"")
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
    assert cacheable_head(piece, length, most=2048) is None
