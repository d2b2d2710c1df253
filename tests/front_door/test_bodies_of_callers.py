"""Callers share the memory for bodies: the head of a request tells whose share its body takes."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from django.contrib.auth.models import User
from django.test import Client

from streams.connections import shares_of
from synapse.server.body_limits import SMALL
from tests.access.conftest import bearer
from tests.tables import for_each

MIB = 1024 * 1024
# Two ways to be read: on the event loop, and by Django.
PUBLISH, REGISTER = "/events/orders", "/registry/subjects/orders.order-placed/versions"
LOG_IN = "/admin/login/"
JSON = {"host": "localhost", "content-type": "application/json"}
LARGE = b'"' + b"x" * (2 * MIB) + b'"'
EVENT = b'{"event_type": "order-placed"}'


@pytest.fixture
def way(event_loop_client, settings, define):
    """Keys are required; a service may hold 5 MiB of 20, all anonymous callers 2, an address 1."""
    settings.AUTH, settings.BODY_MEMORY, settings.SHARES = "required", 20, {}
    settings.SHARES = {"body-memory": shares_of("body-memory").resource.percents._replace(caller=25, anonymous=10)}
    shares_of.cache_clear()
    define("orders", {"order-placed": None})
    return event_loop_client


@pytest.fixture
def keys(way, key_of):
    return {name: JSON | bearer(key_of(name, publishes=["orders"])) for name in ("eager", "calm")}


@asynccontextmanager
async def holding(way, path, headers, size, *, count=1, address="127.0.0.1"):
    """Send `count` requests that announce `size` bytes, all but the last byte of each; yield what reads the answers."""
    announced = {**headers, "content-length": str(size)}
    open_ = [way.begin("POST", path, b"", announced, address=address) for _ in range(count)]
    for begin in range(0, size - 1, MIB):
        for _, protocol in open_:
            protocol.data_received(b"x" * min(MIB, size - 1 - begin))
            await asyncio.sleep(0)
    await settled()
    try:
        yield [wire for wire, _ in open_]
    finally:
        for _, protocol in open_:
            protocol.connection_lost(None)
        await settled()


async def settled():
    """Let all tasks run that wait for nothing except the event loop."""
    for _ in range(20):
        await asyncio.sleep(0)


def used():
    return shares_of("body-memory").used


@for_each(
    "method, path, status",
    [("POST", PUBLISH, 401), ("POST", REGISTER, 401), ("POST", LOG_IN, 413), ("GET", "/health", 413)],
)
@for_each("shown", [{}, {"x-api-key": "syn_live_abcdefgh_" + "x" * 38}, {"cookie": "sessionid=made-up"}])
def test_a_large_body_without_a_good_key_or_session_is_refused_by_its_head(way, method, path, status, shown):
    async def send_head_alone():
        wire, protocol = way.begin(method, path, b"", {**JSON, **shown, "content-length": str(SMALL + 1)})
        answer = await wire.answer
        protocol.connection_lost(None)
        return answer

    answer = way.run(send_head_alone())

    assert answer.status == status
    assert used() == 0


@pytest.mark.parametrize(("path", "status"), [(REGISTER, 401), (LOG_IN, 413)])
def test_a_body_in_chunks_without_a_key_is_refused_once_it_is_larger_than_a_small_one(way, path, status):
    async def send_chunks():
        wire, protocol = way.begin("POST", path, b"", {**JSON, "transfer-encoding": "chunked"})
        refused = []
        for _ in range(3):
            protocol.data_received(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
            await settled()
            refused.append(wire.answer.done())
        answer = await wire.answer
        protocol.connection_lost(None)
        return refused, answer

    refused, answer = way.run(send_chunks())

    # Two chunks are as long as the largest small body.
    assert refused == [False, False, True]
    assert answer.status == status
    assert used() == 0


def test_a_large_body_to_the_health_route_is_refused_where_access_is_open_too(way, settings):
    settings.AUTH = "open"

    answer = way("GET", "/health", b"x" * (SMALL + 1))

    assert answer.status == 413


def test_anonymous_callers_share_a_part_of_the_memory_and_an_address_has_half_of_that_part(way, keys):
    async def fill():
        async with (
            holding(way, LOG_IN, JSON, SMALL, count=16, address="192.0.2.1") as first,
            holding(way, LOG_IN, JSON, SMALL, count=16, address="192.0.2.2"),
            holding(way, LOG_IN, JSON, SMALL, count=2, address="192.0.2.2") as second,
            holding(way, LOG_IN, JSON, SMALL, count=2, address="192.0.2.3") as third,
        ):
            served = [
                await way.ask("POST", path, LARGE, {**keys["calm"], "content-length": str(len(LARGE))})
                for path in (PUBLISH, REGISTER)
            ]
            refused = [(await wires[-1].answer) for wires in (second, third)]
            return served, refused, [wire.answer.done() for wire in first], used()

    served, (own, all_), first, held = way.run(fill())

    # Read to the end; the event is too large, and the contract is none that the service may see.
    assert [answer.status for answer in served] == [413, 404]
    assert (own.status, all_.status) == (429, 503)
    assert {own.headers["retry-after"], all_.headers["retry-after"]} == {"1"}
    assert {own.json["resource"], all_.json["resource"]} == {"body-memory"}
    assert not any(first)
    assert held <= 2 * MIB
    assert used() == 0


@pytest.mark.parametrize("path", [PUBLISH, REGISTER])
def test_a_service_whose_share_is_used_up_is_refused_and_another_one_is_served(way, keys, path):
    async def fill():
        async with (
            holding(way, path, keys["eager"], 2 * MIB, count=2),
            holding(way, path, keys["eager"], 2 * MIB) as (refused,),
        ):
            small = await way.ask("POST", PUBLISH, EVENT, keys["eager"])
            other = await way.ask("POST", path, LARGE, keys["calm"])
            return await refused.answer, small, other

    refused, small, other = way.run(fill())

    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert refused.json["type"].endswith("share-used-up")
    assert small.status == 201
    assert other.status in (413, 404)
    assert used() == 0


def test_an_address_has_half_of_the_memory_where_access_is_open(way, settings):
    settings.AUTH = "open"
    shares_of.cache_clear()

    async def fill():
        async with (
            holding(way, PUBLISH, JSON, 5 * MIB, count=2, address="192.0.2.1") as held,
            holding(way, PUBLISH, JSON, 2 * MIB, address="192.0.2.1") as (refused,),
        ):
            other = await way.ask("POST", PUBLISH, LARGE, JSON)
            return await refused.answer, other, [wire.answer.done() for wire in held]

    refused, other, done = way.run(fill())

    assert refused.status == 429
    assert other.status == 413  # of an event
    assert done == [False, False]


@pytest.mark.django_db(transaction=True)
def test_the_large_form_of_a_person_with_a_session_is_read(way):
    client = Client()
    client.force_login(User.objects.create_superuser("ada"), "django.contrib.auth.backends.ModelBackend")
    session = client.cookies["sessionid"].value

    async def send_form():
        form = b"schema=" + b"x" * SMALL
        headers = {"host": "localhost", "content-type": "application/x-www-form-urlencoded"}
        shown = {**headers, "cookie": f"sessionid={session}"}
        return await way.ask("POST", LOG_IN, form, shown), await way.ask("POST", LOG_IN, form, headers)

    known, unknown = way.run(send_form())

    # Read by Django, which misses the token of its form.
    assert (known.status, unknown.status) == (403, 413)
    assert used() == 0
