"""Opening a WebSocket: who may, from which pages, and what a handshake has to look like."""

import base64

import pytest

from streams.snapshot import holder
from synapse.problems import BadRequest
from synapse.server.websocket import handshake as server_handshake
from tests.websocket.client import ACCEPT, NONCE, Client, connected, handshake
from tests.websocket.frames import text

PROTOCOL = "synapse.v1"


def refusal(port, *arguments, **headers):
    client = Client(port, handshake(*arguments, **headers))
    status, answered = client.head()
    assert answered["connection"] in ("close", "Upgrade")
    problem = client.problem()
    client.socket.close()
    return status, answered, problem


def in_a_protocol(key):
    return f"{PROTOCOL}, synapse.key.{base64.urlsafe_b64encode(key.encode()).decode().rstrip('=')}"


@pytest.fixture
def key(key_of, settings, server):
    """A key, where one is required."""
    settings.AUTH = "required"
    key = key_of("helox", publishes=["orders"], subscribes=["orders"])
    holder.refresh()
    return key


def test_frames_behind_the_handshake_in_one_piece_are_answered(server):
    client = Client(server.port, handshake() + text('{"op":"ping","id":1}') + text('{"op":"ping","id":2}'))

    status, headers = client.head()

    assert (status, headers["upgrade"], headers["connection"]) == (101, "websocket", "Upgrade")
    assert headers["sec-websocket-accept"] == ACCEPT
    assert "sec-websocket-protocol" not in headers
    assert "sec-websocket-extensions" not in headers
    assert [client.hear(), client.hear()] == [{"op": "pong", "id": 1}, {"op": "pong", "id": 2}]
    client.socket.close()


def test_a_handshake_of_a_client_that_says_that_it_has_no_body_is_accepted(server):
    client = Client(server.port, handshake(Content_Length="0") + text('{"op":"ping"}'))

    assert client.head()[0] == 101
    assert client.hear() == {"op": "pong"}
    client.socket.close()


def test_an_offer_with_a_body_is_no_handshake(server):
    client = Client(server.port, handshake(Content_Length="1", Connection="Upgrade, close") + b"x")

    assert client.head()[0] == 426
    client.socket.close()


def test_a_handshake_byte_by_byte_behind_another_request_is_accepted_in_its_turn(server):
    client = Client(server.port)
    sent = b"GET /streams HTTP/1.1\r\nHost: localhost\r\n\r\n" + handshake() + text('{"op":"ping"}')
    for at in range(len(sent)):
        client.socket.sendall(sent[at : at + 1])

    assert client.head()[0] == 200
    assert b"orders" in client._came or client._receive() is None
    client._came = client._came[client._came.index(b"HTTP/1.1 101") :] if b"HTTP/1.1 101" in client._came else b""
    assert client.head()[0] == 101
    assert client.hear() == {"op": "pong"}
    client.socket.close()


def test_compression_is_not_accepted(server):
    with connected(server.port, Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits") as client:
        client.socket.sendall(text('{"op":"ping"}'))
        assert client.hear() == {"op": "pong"}


BAD = {
    "another version": ({"Sec_WebSocket_Version": "8"}, 426),
    "no version": ({"Sec_WebSocket_Version": None}, 426),
    "no nonce": ({"Sec_WebSocket_Key": None}, 400),
    "a nonce of another length": ({"Sec_WebSocket_Key": "dGhlIHNhbXBsZQ=="}, 400),
    "a nonce with blanks": ({"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ= "}, 400),
    "two nonces": ({"Sec_WebSocket_Key": f"{NONCE}, {NONCE}"}, 400),
    "only other protocols": ({"Sec_WebSocket_Protocol": "graphql-ws, chat"}, 400),
    "a key alone": ({"Sec_WebSocket_Protocol": "synapse.key.c3lu"}, 400),
    "a key that is no base64url": ({"Sec_WebSocket_Protocol": f"{PROTOCOL}, synapse.key.€"}, 400),
    "a host of others": ({"Host": "evil.example"}, 400),
    "an unknown parameter": ({}, 400),
}


def test_a_bad_handshake_is_answered_with_a_problem(server):
    found = {}

    for which, (headers, expected) in BAD.items():
        target = "/ws?stream=orders" if which == "an unknown parameter" else "/ws"
        status, answered, problem = refusal(server.port, target, **headers)
        found[which] = status, problem["status"]
        if expected == 426:
            assert (answered["upgrade"], answered["sec-websocket-version"]) == ("websocket", "13")

    assert found == {which: (expected, expected) for which, (_, expected) in BAD.items()}


ORDINARY = {
    "no offer": {"Upgrade": None, "Connection": "close"},
    "an offer that the connection does not name": {"Connection": "close"},
    "another protocol": {"Upgrade": "h2c", "Connection": "Upgrade, close"},
}


def test_a_request_that_is_no_handshake_is_answered_as_any_request(server):
    for which, headers in ORDINARY.items():
        status, _, problem = refusal(server.port, **headers)

        assert (status, problem["type"]) == (426, "urn:synapse:problem:websocket-required"), which


def test_an_offer_elsewhere_is_ignored_and_what_follows_is_the_next_request(server):
    for line in (b"POST /ws", b"GET /streams", b"GET /nowhere"):
        offer = handshake().replace(b"GET /ws", line)
        client = Client(server.port, offer + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

        came = b""
        while part := client.socket.recv(65536):
            came += part

        assert came.count(b"HTTP/1.1 ") == 2, line
        assert b"HTTP/1.1 101" not in came, line
        client.socket.close()


def test_bytes_after_a_refused_handshake_are_never_read_as_a_request(server, redis):
    hidden = (
        b"POST /events/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 33\r\n"
    )
    client = Client(
        server.port, handshake(Sec_WebSocket_Version="8") + hidden + b'\r\n{"event_type":"order-lost","n":1}'
    )

    assert client.head()[0] == 426
    assert client.problem()["status"] == 426
    assert redis.xlen("orders") == 0
    client.socket.close()


class TestPages:
    def test_a_page_of_another_site_is_refused_even_with_a_key(self, server, key):
        for origin in ("https://evil.example", "null", "http://localhost.evil.example", ""):
            status, _, problem = refusal(server.port, Origin=origin, Authorization=f"Bearer {key}")

            assert (status, problem["type"]) == (403, "urn:synapse:problem:foreign-origin"), origin

    def test_a_page_of_another_site_is_refused_where_access_is_open(self, server):
        assert refusal(server.port, Origin="https://evil.example")[0] == 403

    def test_an_own_page_and_an_allowed_one_are_accepted(self, server, settings):
        settings.CORS_ALLOWED_ORIGINS = ["https://ui.example"]
        for origin in ("http://localhost", "https://ui.example"):
            with connected(server.port, Origin=origin) as client:
                assert client.ask(op="ping") == {"op": "pong"}


class TestCredentials:
    def test_no_key_and_a_bad_key_are_refused(self, server, key):
        bad = key[:-1] + ("a" if key[-1] != "a" else "b")
        for headers in ({}, {"X_API_Key": bad}, {"Sec_WebSocket_Protocol": in_a_protocol(bad)}):
            status, answered, _ = refusal(server.port, **headers)
            assert (status, "www-authenticate" in answered) == (401, True)

    def test_a_key_is_shown_in_a_header_or_in_a_protocol(self, server, key):
        shown = (
            {"Authorization": f"Bearer {key}"},
            {"X_API_Key": key},
            {"Sec_WebSocket_Protocol": in_a_protocol(key)},
        )
        for headers in shown:
            client = Client(server.port, handshake(**headers))
            status, answered = client.head()
            expected = PROTOCOL if "Sec_WebSocket_Protocol" in headers else None
            assert (status, answered.get("sec-websocket-protocol")) == (101, expected)
            assert client.ask(op="subscribe", stream="orders")["op"] == "subscribed"
            client.socket.close()

    def test_two_keys_are_refused(self, server, key):
        both = {"Authorization": f"Bearer {key}", "Sec_WebSocket_Protocol": in_a_protocol(key)}
        assert refusal(server.port, **both)[0] == 400
        twice = f"{in_a_protocol(key)}, {in_a_protocol(key).split(', ')[1]}"
        assert refusal(server.port, Sec_WebSocket_Protocol=twice)[0] == 400

    def test_a_session_of_the_admin_opens_nothing(self, server, key, admin_client):
        session = admin_client.cookies["sessionid"].value

        assert refusal(server.port, Cookie=f"sessionid={session}")[0] == 401

    def test_a_ticket_opens_one_connection_that_only_watches(self, server, key, ask):
        ticket = ask("POST", "/live-ticket", headers={"authorization": f"Bearer {key}"}).json["ticket"]

        with connected(server.port, f"/ws?ticket={ticket}") as client:
            assert client.ask(op="subscribe", stream="orders")["op"] == "subscribed"
            answer = client.ask(op="publish", stream="orders", event={"event_type": "order-lost"})
            assert answer["problem"]["status"] == 403
        assert refusal(server.port, f"/ws?ticket={ticket}")[0] == 401

    def test_a_ticket_of_one_stream_opens_nothing(self, server, key, ask):
        headers = {"authorization": f"Bearer {key}"}
        ticket = ask("POST", "/streams/orders/live-ticket", headers=headers).json["ticket"]

        assert refusal(server.port, f"/ws?ticket={ticket}")[0] == 401


def test_a_caller_at_its_share_gets_429_in_place_of_a_connection(server, settings):
    from streams.connections import tails
    from synapse.shares.counter import Limits

    before, tails().shares.limits = tails().shares.limits, Limits(total=9, per_caller=1, per_address=1, anonymous=9)
    try:
        with connected(server.port):
            status, answered, _ = refusal(server.port)
            assert (status, "retry-after" in answered) == (429, True)
    finally:
        tails().shares.limits = before


def test_a_rate_counts_handshakes_and_commands(server, settings):
    from synapse.formats.durations import Rate

    settings.RATE_PER_ADDRESS = Rate(3, 3600)
    with connected(server.port) as client:
        assert client.ask(op="ping") == {"op": "pong"}
        assert client.ask(op="ping") == {"op": "pong"}
        client.say(op="ping", id=1)
        refused = client.hear()
        assert (refused["problem"]["status"], refused["id"]) == (429, 1)
        assert f"Ask again in {refused['retry_after']} s." in refused["problem"]["detail"]
    assert refusal(server.port)[0] == 429


def test_a_message_that_is_no_command_counts_as_a_request_too(server, settings):
    from synapse.formats.durations import Rate

    settings.RATE_PER_ADDRESS = Rate(2, 3600)
    with connected(server.port) as client:
        for status in (400, 429):
            client.socket.sendall(text(b"ping"))
            refused = client.hear()
            assert (refused["problem"]["status"], "retry_after" in refused) == (status, status == 429)


def test_the_key_of_a_protocol_is_that_of_a_header():
    found = server_handshake.with_credential(
        {"sec-websocket-protocol": f"synapse.key.{base64.urlsafe_b64encode(b'syn_x').decode()[:7]}", "cookie": "a=b"}
    )

    assert found["authorization"] == "Bearer syn_x"
    assert "cookie" not in found


@pytest.mark.parametrize("key", ["syn_x", "a", "~~>?", "???", "syn-" + "x" * 60])
def test_a_key_of_visible_characters_is_read_from_a_protocol(key):
    found = server_handshake.with_credential({"sec-websocket-protocol": in_a_protocol(key)})

    assert found["authorization"] == f"Bearer {key}"


@pytest.mark.parametrize("text", ["", "a", "fn4-Pw==", "fn4+Pw", "Pz8/", "c3lu.c3lu", "€", "c3lu\n"])
def test_a_key_that_is_not_in_base64url_is_refused(text):
    with pytest.raises(BadRequest):
        server_handshake._decode_key(text)


@pytest.mark.parametrize("key", ["syn_x\r\nx-admin: 1", "syn_x\n", "syn x", "\tsyn", "syn\0", "syn_\x7f", "schlüssel"])
def test_a_key_with_characters_that_no_header_has_is_refused(key):
    with pytest.raises(BadRequest, match="base64url"):
        server_handshake.with_credential({"sec-websocket-protocol": in_a_protocol(key)})
