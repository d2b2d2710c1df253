"""Bodies sent with gzip: read on every route and on both ways in, within the limits on what they decode to."""

import asyncio
import gzip
import re

import orjson
import pytest

from streams.connections import shares_of
from synapse.server.body_limits import SMALL
from synapse_project.endpoints import ENDPOINTS
from tests.access.conftest import bearer
from tests.both_ways import DjangoAlone, headers_of
from tests.endpoints.test_both_ways import EVENT_LOOP, PLACES
from tests.explorer.test_import import NDJSON
from tests.tables import for_each

MIB = 1024 * 1024
GZIP = {"content-encoding": "gzip"}
JSON = {"host": "localhost", "content-type": "application/json"}
EVENT = b'{"event_type": "order-placed", "order_id": 1}'
LIMIT = 8 * MIB + 64 * 1024
SCHEMA = orjson.dumps({"schemaType": "JSON", "schema": '{"type": "object"}'})
VERSIONS = "/registry/subjects/orders.order-placed/versions"
LOG_IN = "/admin/login/"
PULLED = orjson.dumps({"stream": "orders", "event_type": "order-placed", "payload": {"order_id": 1}})
CLOUDEVENT = orjson.dumps(
    {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order-placed", "data": {"order_id": 1}}
)
# A path, a body, and headers, of each kind of route.
GOOD = {
    "an event": ("/events/orders", EVENT, {}),
    "a batch": ("/events/orders", b"[" + b",".join([EVENT] * 2000) + b"]", {}),
    "a batch in lines": ("/events/orders", b"\n".join([EVENT] * 2000), NDJSON),
    "an atomic batch": ("/events/orders?atomic=true", b"[" + EVENT + b"," + EVENT + b"]", {}),
    "a validation": ("/events/orders/validate", EVENT, {}),
    "an import": ("/streams/orders/import?dry_run=true", b"\n".join([EVENT] * 2000), NDJSON),
    "the pull protocol": ("/v1/publish", PULLED, {}),
    "a CloudEvent": ("/events/orders/validate", CLOUDEVENT, {"content-type": "application/cloudevents+json"}),
    "a schema": (VERSIONS, SCHEMA, {}),
}
WITH_BODY = [each for each in ENDPOINTS if each.body is not None or each.documented_body]


def gzipped(body):
    return gzip.compress(body, 6, mtime=0)


def what_matters(answer):
    return answer.status, headers_of(answer), re.sub(rb"\d{13}-\d+", b"<id>", answer.body)


@pytest.fixture
def way(event_loop_client, define):
    define("orders", {"order-placed": None})
    return event_loop_client


def ways_to(way, endpoint=None):
    is_both = endpoint is None or (endpoint.method, endpoint.path) in EVENT_LOOP
    return (DjangoAlone(), way) if is_both else (DjangoAlone(),)


@for_each("kind", GOOD)
def test_a_request_with_gzip_is_answered_as_the_same_one_without(way, kind):
    path, body, headers = GOOD[kind]

    # Django's threads do not see the rows of the test: its routes are asked there.
    for each in (DjangoAlone(),) if path == VERSIONS else (DjangoAlone(), way):
        plain = each("POST", path, body, headers)
        coded = each("POST", path, gzipped(body), headers | GZIP)

        assert plain.status in (200, 201)
        assert what_matters(coded) == what_matters(plain)


@for_each("endpoint", WITH_BODY)
def test_every_route_with_a_body_decodes_it_and_refuses_one_that_it_cannot(way, endpoint):
    path = endpoint.path.format(**PLACES)
    kind = {"content-type": next(iter(endpoint.documented_body), "application/json")}
    half = gzipped(EVENT)[:-3]

    for each in ways_to(way, endpoint):
        plain, coded = (
            each(endpoint.method, path, b"{oops", kind),
            each(endpoint.method, path, gzipped(b"{oops"), kind | GZIP),
        )
        damaged, other = (
            each(endpoint.method, path, half, kind | GZIP),
            each(endpoint.method, path, half, kind | {"content-encoding": "br"}),
        )

        assert what_matters(coded) == what_matters(plain)
        assert (damaged.status, damaged.json["type"]) == (400, "urn:synapse:problem:bad-request")
        assert damaged.json["detail"] == "The body cannot be decoded as gzip (RFC 1952): its end is missing."
        assert (other.status, other.json["type"]) == (415, "urn:synapse:problem:unsupported-media-type")
        assert other.headers["accept-encoding"] == "gzip"


def test_both_ways_refuse_a_body_that_cannot_be_decoded_with_the_same_answer(way):
    for body, headers in ((b"hello", GZIP), (gzipped(EVENT) * 2, GZIP), (EVENT, {"content-encoding": "zstd"})):
        answers = [what_matters(each("POST", "/events/orders", body, headers)) for each in ways_to(way)]

        assert answers[0] == answers[1]
        assert answers[0][0] in (400, 415)


def test_a_caller_without_a_key_hears_of_the_key_before_the_coding(way, settings):
    settings.AUTH = "required"

    for each in ways_to(way):
        for headers in (GZIP, {"content-encoding": "br"}):
            assert each("POST", "/events/orders", b"hello", headers).status == 401


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
def test_the_limit_is_on_what_a_body_decodes_to(way, size):
    body = gzipped(b"[" + b" " * (size - 2) + b"]")
    assert len(body) < 10_000

    for each in ways_to(way):
        answer = each("POST", "/events/orders", body, GZIP)

        detail = f"larger than the {LIMIT} bytes" if size > LIMIT else f"The batch is {size} bytes long"
        assert answer.status == 413
        assert detail in answer.json["detail"]


def test_forms_of_pages_are_decoded_too(way):
    form = {"content-type": "application/x-www-form-urlencoded"}

    shown = DjangoAlone()("POST", LOG_IN, gzipped(b"username=ada-of-the-form"), form | GZIP)
    damaged = [each("POST", LOG_IN, b"a=b", form | GZIP).status for each in ways_to(way)]

    assert b'value="ada-of-the-form"' in shown.body
    assert damaged == [400, 400]


@pytest.mark.parametrize("header", ["br", "gzip"])
def test_a_request_without_a_body_has_nothing_to_decode(way, header):
    for each in ways_to(way):
        assert each("GET", "/streams", b"", {"content-encoding": header}).status == 200


@pytest.fixture
def shares(way, settings):
    """Keys are required; a service may hold 5 MiB of 20, all anonymous callers 2, an address 1."""
    settings.AUTH, settings.BODY_MEMORY = "required", 20
    settings.SHARES = {"body-memory": shares_of("body-memory").resource.percents._replace(caller=25, anonymous=10)}
    shares_of.cache_clear()
    return shares_of("body-memory")


def test_a_bomb_without_a_key_is_decoded_no_further_than_a_small_body(way, shares):
    form = {"content-type": "application/x-www-form-urlencoded"}

    answer = way("POST", LOG_IN, gzipped(b"x" * (SMALL + 1)), form | GZIP)

    assert (answer.status, answer.json["detail"]) == (
        413,
        "Of callers without a good key or session at most 64 KiB are read.",
    )
    assert shares.used == 0


def test_the_decoded_body_counts_in_the_share_of_its_caller(way, shares, key_of):
    key = JSON | bearer(key_of("eager", publishes=["orders"])) | GZIP
    body = gzipped(b'"' + b"x" * (3 * MIB) + b'"')

    async def send():
        # The first holds its body until its last byte is there.
        wire, protocol = way.begin("POST", "/events/orders", body[:-1], {**key, "content-length": str(len(body))})
        while shares.used < 3 * MIB:
            await asyncio.sleep(0)
        refused = await way.ask("POST", "/events/orders", body, key)
        protocol.data_received(body[-1:])
        answer = await wire.answer
        protocol.connection_lost(None)
        return refused, answer

    refused, answer = way.run(send())

    assert (refused.status, refused.json["resource"]) == (429, "body-memory")
    assert answer.status == 413  # of the event
    assert shares.used == 0


def test_other_requests_are_answered_while_a_large_body_is_decoded(way):
    bomb = gzipped(b" " * (16 * MIB))
    answered = []

    async def send(name, body, headers):
        answered.append((name, (await way.ask("POST", "/events/orders", body, headers)).status))

    async def send_all():
        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(send(f"bomb {number}", bomb, JSON | GZIP))
            for _ in range(3):
                await asyncio.sleep(0)
            group.create_task(send("event", EVENT, JSON))

    way.run(send_all())

    assert answered[0] == ("event", 201)
    assert {status for _, status in answered[1:]} == {413}


EXPECTING = (
    "POST /events/orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n"
)


def test_a_body_whose_coding_is_not_decoded_is_refused_before_it_is_sent(way):
    async def send():
        wire, protocol = way.connect("POST", "127.0.0.1")
        sent = []
        wire.write = lambda data, write=wire.write: (sent.append(data), write(data))
        protocol.data_received(f"{EXPECTING}content-encoding: br\r\ncontent-length: 5\r\n\r\n".encode())
        answer = await wire.answer
        protocol.connection_lost(None)
        return answer, b"".join(sent)

    answer, sent = way.run(send())

    assert (answer.status, answer.headers["connection"]) == (415, "close")
    assert b"100 Continue" not in sent


def test_a_client_that_waits_for_100_continue_gets_it_and_sends_its_body_in_chunks(way):
    body = gzipped(EVENT)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"

    async def send():
        wire, protocol = way.connect("POST", "127.0.0.1")
        sent, write = [], wire.write
        # The parser of answers would take the first line for the answer.
        wire.write = lambda data: sent.append(data) if b"100 Continue" in data else write(data)
        protocol.data_received(f"{EXPECTING}content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        while not sent:
            await asyncio.sleep(0)
        protocol.data_received(chunks)
        answer = await wire.answer
        protocol.connection_lost(None)
        return answer, sent

    answer, sent = way.run(send())

    assert sent == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    assert answer.status == 201


def test_the_next_request_of_the_connection_begins_behind_the_body_as_it_was_sent(way):
    head = "POST /events/orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    coded = gzipped(EVENT)
    first = f"{head}content-encoding: gzip\r\ncontent-length: {len(coded)}\r\n\r\n".encode() + coded
    second = f"{head}content-length: {len(EVENT)}\r\n\r\n".encode() + EVENT

    async def send():
        wire, protocol = way.connect("POST", "127.0.0.1")
        sent = []
        wire.write = sent.append
        protocol.data_received(first + second + first)
        while b"".join(sent).count(b"HTTP/1.1 ") < 3:
            await asyncio.sleep(0.001)
        protocol.connection_lost(None)
        return b"".join(sent)

    assert re.findall(rb"HTTP/1.1 (\d+)", way.run(send())) == [b"201"] * 3
