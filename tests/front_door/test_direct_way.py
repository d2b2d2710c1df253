"""A request that is answered from the parser: on a real socket, among requests that go the long way."""

import signal

import httpx
import orjson
import pytest

from streams.snapshot import holder
from synapse.server import http_protocol
from synapse.server.fast_path import DirectCycle
from synapse.server.request_parser import RequestParser
from tests.connection import Connection, request
from tests.live.server import running_server
from tests.patience import eventually
from tests.tables import for_each


@pytest.fixture
def orders(define):
    define("orders", {"order-placed": {"required": ["n"]}})
    holder.refresh()


@pytest.fixture
def server(redis, orders):
    with running_server() as running:
        yield running


@pytest.fixture
def own_server(own_valkey, orders):
    with running_server() as running:
        yield running


def publishing(number, *headers):
    body = orjson.dumps({"event_type": "order-placed", "n": number})
    return request("POST", "/events/orders", body, "content-type: application/json", *headers)


@pytest.fixture
def connect():
    """Connect to a server: closed when the test ends."""
    clients = []

    def connect(server):
        clients.append(Connection(server.port))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def connection(server, connect):
    return connect(server)


def test_requests_of_both_ways_on_one_connection_are_answered_in_their_order(connection):
    connection.send(publishing(1) + request("GET", "/streams/orders") + publishing(2) + publishing("x") * 50)
    connection.send(request("GET", "/streams/nowhere") + request("GET", "/streams/orders/messages?count=1"))

    statuses = [connection.answer()[0] for _ in range(54)]
    status, _, body = connection.answer()

    assert statuses == [201, 200, 201] + [201] * 50 + [404]
    assert status == 200
    assert orjson.loads(body)["messages"][0]["event"]["n"] == "x"


def test_a_head_that_comes_again_means_the_same_again_and_another_does_not(connection):
    for number in (1, 22, 333):  # of different lengths
        connection.send(publishing(number))
    connection.send(publishing(4, "synapse-contract-version: 99"))
    connection.send(publishing(5).replace(b"/events/orders ", b"/events/orders/validate "))
    connection.send(publishing(6, "x-long: " + "y" * 5000) * 2)
    connection.send(publishing(7).replace(b"POST", b"PUT"))
    connection.send(publishing(8))

    assert [connection.answer()[0] for _ in range(9)] == [201, 201, 201, 422, 200, 201, 201, 405, 201]


def test_requests_one_after_another_are_answered_each_by_what_it_says(connection, monkeypatch):
    was_read, begin = [], DirectCycle.__init__
    # One that comes again begins with its body.
    monkeypatch.setattr(DirectCycle, "__init__", lambda *given: was_read.append(len(given) < 5) or begin(*given))
    version = "synapse-contract-version: 99"
    sent = [
        (publishing(1), 201),
        (publishing(2), 201),
        (publishing(33), 201),
        (request("GET", "/streams/orders"), 200),
        (publishing("4" * 20), 201),
        (request("POST", "/events/orders", b"{}", "content-type: application/json"), 422),
        (publishing(5, version), 422),
        (publishing(6, version), 422),
        (publishing(7, version), 422),
        (publishing(8), 201),
        (publishing(9), 201),
        (publishing(10), 201),
    ]

    answered = []
    for piece, _ in sent:
        connection.send(piece)
        answered.append(connection.answer()[0])

    assert answered == [status for _, status in sent]
    assert was_read == [True, True, False, False, False, True, True, False, True, True, False]


def test_requests_of_other_traces_and_keys_are_each_stored_with_their_own(connection, redis, monkeypatch):
    was_read, begin = [], DirectCycle.__init__
    monkeypatch.setattr(DirectCycle, "__init__", lambda *given: was_read.append(len(given) < 5) or begin(*given))
    traces = [f"00-{number:032x}-{'b' * 16}-01" for number in range(1, 7)]
    keys = ["a", "bb", "bb", "c", "d", "e"]

    answered = []
    for number, (trace, key) in enumerate(zip(traces, keys, strict=True)):
        connection.send(publishing(number, f"traceparent: {trace}", f"idempotency-key: {key}"))
        answered.append(connection.answer()[0])

    assert answered == [201, 201, 422, 201, 201, 201]
    assert [fields[b"traceparent"].decode() for _, fields in redis.xrange("orders")] == [*traces[:2], *traces[3:]]
    assert was_read == [True, True, False, False, False, False]


def test_a_thousand_that_are_refused_at_once_are_answered_in_their_order(connection):
    connection.send(publishing(0))
    connection.send(b"".join(request("GET", f"/streams/none-{number}/info") for number in range(1000)))

    assert connection.answer()[0] == 201
    for number in range(1000):
        status, _, body = connection.answer()
        assert status == 404
        assert f"none-{number}”" in orjson.loads(body)["detail"]


def test_a_piece_of_many_requests_is_parsed_in_turns_and_answered_in_order(connection, monkeypatch):
    sizes, feed = [], RequestParser.feed
    monkeypatch.setattr(RequestParser, "feed", lambda parser, piece: sizes.append(len(piece)) or feed(parser, piece))
    monkeypatch.setattr(http_protocol, "TURN", 0.0)
    body = orjson.dumps({"event_type": "order-placed", "n": 1, "texts": ["x" * 1000] * 100})
    large = request("POST", "/events/orders", body, "content-type: application/json")
    small = [request("GET", f"/streams/none-{number}/info") for number in range(1000)]

    connection.send(b"".join([*small, large, *small, large, publishing(2)]))

    assert [connection.answer()[0] for _ in range(2003)] == [*[404] * 1000, 201, *[404] * 1000, 201, 201]
    assert 16 * 1024 in sizes
    assert max(sizes) <= 40 * 1024


def test_a_body_in_many_pieces_is_put_together(connection):
    data = publishing(7)
    for place in range(0, len(data), 40):
        connection.send(data[place : place + 40])

    assert connection.answer()[0] == 201


def test_a_body_in_chunks_is_put_together(connection):
    body = orjson.dumps({"event_type": "order-placed", "n": 1})
    connection.send(
        b"POST /events/orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"transfer-encoding: chunked\r\n\r\n" + b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    )

    assert connection.answer()[0] == 201


def test_a_client_that_expects_100_continue_is_told_to_send_its_body(connection):
    data = publishing(7, "expect: 100-continue")
    head, _, body = data.partition(b"\r\n\r\n")
    connection.send(head + b"\r\n\r\n")
    assert connection.answer() == (100, {}, b"")

    connection.send(body)

    assert connection.answer()[0] == 201


@pytest.mark.parametrize("length", ["content-length: 99999999", "transfer-encoding: chunked"])
def test_a_body_that_is_too_large_is_refused_before_it_is_whole(server, connect, settings, length):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100_000  # before: it is read once for each connection
    connection = connect(server)
    connection.send(f"POST /events/orders HTTP/1.1\r\nhost: localhost\r\n{length}\r\n\r\n".encode())
    if "chunked" in length:
        connection.send(b"1e848\r\n" + b"x" * 125_000)  # and the chunk's end does not come

    assert connection.answer()[0] == 413


def test_a_large_batch_is_read_in_a_thread_and_answered_all_the_same(connection, redis):
    events = [{"event_type": "order-placed", "n": number, "text": "x" * 1000} for number in range(500)]
    connection.send(
        request("POST", "/events/orders", orjson.dumps(events), "content-type: application/json") + publishing(1)
    )

    assert [connection.answer()[0], connection.answer()[0]] == [200, 201]
    assert redis.xlen("orders") == 501


@pytest.mark.parametrize(("version", "header"), [("1.1", "connection: close"), ("1.0", "accept: */*")])
def test_a_connection_that_is_not_to_be_kept_is_closed(connection, version, header):
    connection.send(f"GET /streams/orders/info HTTP/{version}\r\nhost: localhost\r\n{header}\r\n\r\n".encode())

    status, headers, _ = connection.answer()

    assert (status, headers["connection"]) == (200, "close")
    assert connection.is_closed()


def test_a_page_of_an_allowed_origin_may_read_the_answer(connection, settings):
    settings.CORS_ALLOWED_ORIGINS = ["http://localhost:5173"]
    connection.send(publishing(1, "origin: http://localhost:5173") + publishing(2, "origin: http://elsewhere"))

    (_, allowed, _), (_, refused, _) = connection.answer(), connection.answer()

    assert allowed["access-control-allow-origin"] == "http://localhost:5173"
    assert "access-control-allow-origin" not in refused


@for_each("target", ["/events/ord%65rs", "/events/orders/", "/events/orders?atomic=true"])
def test_the_same_route_may_be_written_in_several_ways(connection, target):
    body = orjson.dumps([{"event_type": "order-placed", "n": 1}])
    connection.send(request("POST", target, body, "content-type: application/json"))

    assert connection.answer()[0] == 200


@for_each("target", ["http://[/x", "http://localhost:99999999/healthz", "http://"])
@for_each("before", [0, 1, 2, 3])
def test_a_target_that_is_no_url_is_refused_after_the_earlier_answers(server, connect, target, before):
    connection = connect(server)
    connection.send(publishing(1) * before + request("GET", target))

    assert [connection.answer()[0] for _ in range(before + 1)] == [201] * before + [400]
    assert connection.is_closed()


def test_a_host_that_is_not_ours_is_refused(connection):
    connection.send(b"GET /streams/orders/info HTTP/1.1\r\nhost: elsewhere.example\r\n\r\n")

    assert connection.answer()[0] == 400


def test_a_client_that_goes_away_leaves_other_clients_their_answers(own_server, own_valkey, connect):
    gone, stays = connect(own_server), connect(own_server)
    stays.send(publishing(0))
    assert stays.answer()[0] == 201
    own_valkey.process.send_signal(signal.SIGSTOP)
    gone.send(publishing(1))
    stays.send(publishing(2))
    gone.close()
    own_valkey.process.send_signal(signal.SIGCONT)

    assert stays.answer()[0] == 201
    eventually(lambda: own_valkey.client().xlen("orders") == 3)


def test_a_redis_that_was_lost_is_a_503_and_found_again(own_server, own_valkey, connect):
    connection = connect(own_server)
    connection.send(publishing(1))
    assert connection.answer()[0] == 201
    own_valkey.kill()

    connection.send(publishing(2) + publishing(3))
    assert {connection.answer()[0], connection.answer()[0]} == {503}

    own_valkey.start()
    eventually(lambda: httpx.get(f"{own_server.url}/streams/orders/info").status_code == 200)
    connection.send(publishing(4))
    assert connection.answer()[0] == 201


def test_a_redis_that_does_not_answer_in_time_is_a_503(own_server, own_valkey, connect, settings):
    settings.REDIS_TIMEOUT = 3
    connection = connect(own_server)
    connection.send(publishing(1))
    assert connection.answer()[0] == 201
    own_valkey.process.send_signal(signal.SIGSTOP)

    connection.send(publishing(2))
    status, headers, body = connection.answer()

    own_valkey.process.send_signal(signal.SIGCONT)
    assert (status, headers["retry-after"]) == (503, "1")
    assert orjson.loads(body)["type"].startswith("urn:synapse:problem:")


def test_a_handler_that_fails_is_a_500_and_the_connection_goes_on(connection, monkeypatch, caplog):
    def broken(*_, **__):
        raise ZeroDivisionError
        yield

    monkeypatch.setattr("synapse.inspection.streams._read_statistics", broken)
    connection.send(request("GET", "/streams/orders/info") + publishing(1))

    status, headers, _ = connection.answer()

    assert (status, headers["content-type"]) == (500, "application/problem+json")
    assert connection.answer()[0] == 201
    assert "GET /streams/orders/info failed" in caplog.text


def test_for_a_client_that_takes_no_answers_nothing_more_is_read(server, redis, connect):
    text = {"event_type": "order-placed", "n": 1, "text": "x" * 60_000}
    for _ in range(20):
        assert httpx.post(f"{server.url}/events/orders", json=text).status_code == 201
    idle, other = connect(server), connect(server)
    redis.config_resetstat()

    idle.send(request("GET", "/streams/orders/messages?count=20") * 60)  # 72 MB
    for _ in range(100):
        other.send(publishing(1))
        assert other.answer()[0] == 201

    assert redis.info("commandstats")["cmdstat_xrevrange"]["calls"] < 40
    assert {idle.answer()[0] for _ in range(60)} == {200}
