"""The target of a request that offers WebSocket: where it is read as a handshake, in each form that a target has."""

import pytest

from synapse.server.request_parser import Refused, RequestParser
from tests.tables import for_each

OFFER = b"Host: other\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


class Served:
    """Serves WebSocket at /ws, and keeps what it was asked and the heads."""

    def __init__(self):
        self.asked, self.heads = [], []
        self.parser = RequestParser(self)

    def is_over(self):
        return False

    def accepts_websocket(self, target):
        self.asked.append(target)
        return target.partition(b"?")[0] == b"/ws"

    def accept_head(self):
        self.heads.append((self.parser.url, self.parser.is_handshake, dict(self.parser.headers)[b"host"]))

    def begin_request(self, request):
        pass

    def end_request(self):
        pass


@for_each(
    "target, read, host",
    [
        (b"/ws", b"/ws", b"other"),
        (b"/nowhere", b"/nowhere", b"other"),
        (b"*", b"*", b"other"),
        (b"http://localhost", b"/", b"localhost"),
        (b"http://localhost?a=1", b"/?a=1", b"localhost"),
        (b"http://localhost:80/", b"/", b"localhost:80"),
        (b"http://localhost/ws", b"/ws", b"localhost"),
        (b"ws://localhost/ws?a=1", b"/ws?a=1", b"localhost"),
        (b"http://localhost/nowhere", b"/nowhere", b"localhost"),
    ],
)
def test_websocket_is_looked_for_at_the_path_of_a_target(target, read, host):
    served = Served()

    served.parser.feed(b"GET " + target + b" HTTP/1.1\r\n" + OFFER)

    assert served.asked == [read]
    assert served.heads == [(read, read.startswith(b"/ws"), host)]


@for_each("target", [b"a://", b"http://[::1", b"http:///ws", b"http://localhost:99999/ws"])
def test_a_target_that_is_no_url_is_refused_before_websocket_is_looked_for(target):
    served = Served()

    with pytest.raises(Refused) as refused:
        served.parser.feed(b"GET " + target + b" HTTP/1.1\r\n" + OFFER)

    assert refused.value.status == 400
    assert served.asked == []
