"""Connections over the real protocol: each caller has a share, and a caller without any always gets in."""

import asyncio

import pytest

from streams.connections import shares_of
from synapse.auth.client_ip import parse_proxies
from synapse.shares.resources import Percents
from tests.access.conftest import bearer

JSON = {"host": "localhost", "content-type": "application/json"}
EVENT = b'{"event_type": "order-placed"}'
PUBLISH = "/events/orders"
HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def way(event_loop_client, settings, define):
    """Of 16 connections a service has four, an address two, all addresses four."""
    settings.AUTH, settings.CONNECTIONS = "required", 16
    settings.SHARES = {"open-connections": Percents(caller=25, anonymous=25)}
    define("orders", {"order-placed": None})
    return event_loop_client


@pytest.fixture
def keys(way, key_of):
    return {
        name: JSON | bearer(key_of(name, publishes=["orders"], subscribes=["orders"])) for name in ("eager", "calm")
    }


class Client:
    """One connection from an address."""

    def __init__(self, way, address=HERE):
        self.wire, self.protocol = way.connect("POST", address)

    def send(self, text):
        self.protocol.data_received(text)

    @property
    def is_open(self):
        return not self.wire.is_closing()

    async def ask(self, headers, body=EVENT):
        head = [f"POST {PUBLISH} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
        self.send("\r\n".join([*head, f"content-length: {len(body)}", "", ""]).encode() + body)
        return await self.wire.answer


def connections():
    return shares_of("open-connections")


async def settled():
    for _ in range(10):
        await asyncio.sleep(0)


def test_the_longest_idle_connection_of_an_address_goes_when_it_opens_one_too_many(way):
    async def open_three():
        clients = [Client(way) for _ in range(3)]
        other = Client(way, THERE)
        return [client.is_open for client in [*clients, other]]

    assert way.run(open_three()) == [False, True, True, True]
    assert connections().reclaimed == 1


def test_an_address_with_half_a_request_on_each_connection_keeps_no_other_caller_out(way):
    async def hold():
        clients = [Client(way, address) for address in (HERE, HERE, THERE, THERE)]
        for client in clients:
            client.send(b"POST / HTTP/1.1\r\nhost: loc")
        newcomer = Client(way, "192.0.2.3")
        first = await clients[0].wire.answer
        return first, [client.is_open for client in [*clients, newcomer]]

    answer, are_open = way.run(hold())

    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert are_open == [False, True, True, True, True]


def test_an_address_with_half_a_body_on_each_connection_keeps_no_other_caller_out(way):
    async def hold():
        clients = [Client(way, address) for address in (HERE, HERE, THERE, THERE)]
        for client in clients:
            client.send(b"POST /admin/login/ HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nhalf")
            await settled()
        newcomer = Client(way, "192.0.2.3")
        return (await clients[0].wire.answer).status, newcomer.is_open

    assert way.run(hold()) == (503, True)


def test_a_service_publishes_on_its_connections_while_addresses_hold_all_of_theirs(way, keys):
    async def crowd():
        mine = [Client(way) for _ in range(2)]
        first = [(await client.ask(keys["calm"])).status for client in mine]
        strangers = [Client(way, f"198.51.100.{number}") for number in range(9)]
        late = Client(way)
        status = (await late.ask(keys["calm"])).status
        return first, status, [client.is_open for client in mine], [client.is_open for client in strangers]

    first, status, mine, strangers = way.run(crowd())

    assert (first, status, mine) == ([201, 201], 201, [True, True])
    assert strangers.count(True) == 3
    assert connections().anonymous == 3


def test_a_service_with_its_share_in_use_hears_429_and_another_one_is_served(way, keys, monkeypatch):
    async def crowd():
        mine = [Client(way, f"198.51.100.{number}") for number in range(4)]
        for client in mine:
            assert (await client.ask(keys["eager"])).status == 201
            monkeypatch.setattr(client.protocol, "waits_for_client", lambda: False)
        refused = await Client(way).ask(keys["eager"])
        served = await Client(way).ask(keys["calm"])
        return refused, served.status, [client.is_open for client in mine]

    refused, served, mine = way.run(crowd())

    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert refused.json["resource"] == "open-connections"
    assert (served, mine) == (201, [True] * 4)


def test_a_key_that_is_shown_to_django_counts_the_connection_to_its_service(way, keys):
    async def ask():
        client = Client(way)
        head = (
            f"GET /registry/subjects HTTP/1.1\r\nhost: localhost\r\nauthorization: {keys['calm']['authorization']}\r\n"
        )
        client.send(f"{head}\r\n".encode())
        await client.wire.answer
        return client.protocol.seat.caller

    assert str(way.run(ask())) == "service “calm”"


@pytest.mark.parametrize("shown", [{}, {"x-api-key": "syn_live_abcdefgh_" + "x" * 38}, {"cookie": "sessionid=made-up"}])
def test_without_a_good_key_or_session_a_connection_stays_with_its_address(way, shown):
    async def ask():
        client = Client(way)
        answer = await client.ask({**JSON, **shown})
        return answer.status, client.protocol.seat.caller.is_anonymous

    assert way.run(ask()) == (401, True)


def test_a_trusted_proxy_keeps_its_connections_for_any_caller_on_them(way, keys, settings):
    settings.TRUSTED_PROXIES = parse_proxies(["10.0.0.0/8"])

    async def crowd():
        proxied = [Client(way, "10.0.0.1") for _ in range(12)]
        status = (await proxied[0].ask(keys["eager"])).status
        return status, all(client.is_open for client in proxied), proxied[0].protocol.seat.caller.kind

    assert way.run(crowd()) == (201, True, "proxy")


def test_an_address_has_half_of_all_connections_where_access_is_open(way, settings):
    settings.AUTH = "open"

    async def crowd():
        clients = [Client(way) for _ in range(9)]
        return [client.is_open for client in clients]

    assert way.run(crowd()) == [False, *[True] * 8]


def test_a_connection_beyond_the_limit_is_refused_when_all_are_being_answered(way, settings, monkeypatch):
    settings.AUTH, settings.CONNECTIONS = "open", 2

    async def crowd():
        held = [Client(way, address) for address in (HERE, THERE)]
        for client in held:
            monkeypatch.setattr(client.protocol, "waits_for_client", lambda: False)
        late = Client(way, "192.0.2.3")
        refusal = await late.wire.answer
        held[0].protocol.connection_lost(None)
        return refusal, late.is_open, Client(way, "192.0.2.3").is_open

    refusal, is_open, is_open_later = way.run(crowd())

    assert (refusal.status, refusal.headers["retry-after"], is_open) == (503, "1", False)
    assert is_open_later
