"""Over TLS the server must prove its identity unless the URL says otherwise; other connections cause a warning."""

import asyncio

import pytest

from synapse.redis import AsyncExecutor, Server, SyncExecutor
from synapse.redis.commands import streams as stream_commands
from synapse.redis.errors import RedisUnreachable
from synapse.redis.server_checks import transport_warning
from tests.scaling.tls import secured


@pytest.fixture(scope="module")
def place():
    with secured() as running:
        yield running


@pytest.fixture(scope="module")
def under_another_name():
    with secured("redis.example.com") as running:
        yield running


def in_a_thread(url, *asked):
    executor = SyncExecutor(Server(locate=lambda: url, timeout=60))
    try:
        return executor.execute(asked or [stream_commands.ping()])
    finally:
        executor.close()


def on_the_event_loop(url, *asked):
    async def ask():
        executor = AsyncExecutor(Server(locate=lambda: url, timeout=60))
        try:
            return await executor.execute(asked or [stream_commands.ping()])
        finally:
            executor.close()

    return asyncio.run(ask())


@pytest.fixture(params=[in_a_thread, on_the_event_loop], ids=["in a thread", "on the event loop"])
def ask(request):
    return request.param


def test_a_server_is_trusted_whose_authority_the_url_names(ask, place):
    assert ask(place.url) == ["PONG"]


def test_a_server_is_trusted_whose_authority_the_system_knows(ask, place, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(place.authority))

    assert ask(place.url_with()) == ["PONG"]


def test_a_server_without_a_trusted_certificate_is_not_asked(ask, place):
    with pytest.raises(RedisUnreachable, match="certificate verify failed"):
        ask(place.url_with())


def test_a_certificate_for_another_name_is_refused(ask, under_another_name):
    with pytest.raises(RedisUnreachable, match=r"certificate verify failed.*127\.0\.0\.1"):
        ask(under_another_name.url)


def test_the_name_is_not_looked_at_where_the_url_says_so(ask, under_another_name):
    url = under_another_name.url_with(ssl_ca_certs=str(under_another_name.authority), ssl_check_hostname="false")

    assert ask(url) == ["PONG"]


def test_certificates_are_not_verified_when_the_url_says_so(ask, place):
    assert ask(place.url_with(ssl_cert_reqs="none")) == ["PONG"]


@pytest.mark.parametrize("url", ["redis://redis:6379/0", "redis+sentinel://10.0.0.1,10.0.0.2/events"])
def test_an_unencrypted_connection_over_a_network_is_warned_about(url):
    said = transport_warning(Server(locate=lambda: url, timeout=1).address())

    assert "without TLS" in said


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1", "unix:///run/redis.sock", "rediss://redis.example.com", "rediss+cluster://10.0.0.1"]
)
def test_local_and_encrypted_connections_cause_no_warning(url):
    assert transport_warning(Server(locate=lambda: url, timeout=1).address()) == ""


def test_verification_that_is_off_is_warned_about():
    said = transport_warning(Server(locate=lambda: "rediss://redis?ssl_cert_reqs=none", timeout=1).address())

    assert "anybody" in said
