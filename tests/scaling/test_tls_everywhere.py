"""TLS with client certificates, on real servers that require one: alone, with Sentinels, in a cluster."""

import shutil
import subprocess
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from synapse.redis.commands import streams as stream_commands
from synapse.redis.errors import RedisUnreachable
from tests.certificates import Authority
from tests.conftest import need
from tests.patience import eventually
from tests.scaling.cluster import clustered
from tests.scaling.sentinel import watched_by_sentinels
from tests.scaling.test_tls import in_a_thread, on_the_event_loop
from tests.valkey import Tls, running_valkey

# They lie on different nodes of a cluster.
STREAMS = ("orders", "parcels", "payments")


def program_that_speaks_tls():
    """Return a server that was built with TLS, or None."""
    for name in ("valkey-server", "redis-server"):
        if (path := shutil.which(name)) is not None:
            said = subprocess.run([path, "-"], input=b"port 0\ntls-port 0\n", capture_output=True, check=False).stdout
            if b"Bad directive" not in said:
                return path
    return None


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    program = program_that_speaks_tls()
    need(program, "a Valkey or Redis server that speaks TLS")
    authority = Authority(tmp_path_factory.mktemp("tls"))
    return Tls(program, authority.file, authority.issue("127.0.0.1"), authority.issue("synapse"))


PLACES = {
    "one server": lambda tls: running_valkey(tls=tls),
    "Sentinel": lambda tls: watched_by_sentinels(tls=tls),
    "Cluster": lambda tls: clustered(tls=tls),
}


@pytest.fixture(scope="module", params=PLACES)
def place(request, tls):
    with PLACES[request.param](tls) as running:
        yield running


@pytest.fixture(params=[in_a_thread, on_the_event_loop], ids=["in a thread", "on the event loop"])
def ask(request):
    return request.param


def with_other(url, **parameters):
    """Return a URL with other parameters; None takes one away."""
    parts = urlsplit(url)
    asked = {name: text for name, text in (dict(parse_qsl(parts.query)) | parameters).items() if text is not None}
    return parts._replace(query=urlencode(asked)).geturl()


def test_a_client_with_a_certificate_stores_and_reads_events(ask, place):
    stored = ask(place.url, *(stream_commands.xadd(stream, ["event_type", "placed"]) for stream in STREAMS))
    counts = ask(place.url, *(stream_commands.xlen(stream) for stream in STREAMS))

    assert all("-" in str(id_) for id_ in stored)
    assert all(count >= 1 for count in counts)


def test_a_client_without_a_certificate_is_not_served(ask, place):
    with pytest.raises(RedisUnreachable):
        ask(with_other(place.url, ssl_certfile=None, ssl_keyfile=None), stream_commands.xlen("orders"))


def test_a_server_whose_authority_is_unknown_is_not_asked(ask, place, tmp_path):
    with pytest.raises(RedisUnreachable):
        ask(with_other(place.url, ssl_ca_certs=str(Authority(tmp_path).file)), stream_commands.xlen("orders"))


def test_the_next_primary_is_found_and_asked_over_tls(ask, tls):
    with watched_by_sentinels(tls=tls) as watched:
        ask(watched.url, stream_commands.xadd("orders", ["n", "1"]))
        watched.kill_the_primary()

        assert eventually(
            lambda: ask(watched.url, stream_commands.xadd("orders", ["n", "2"])), despite=RedisUnreachable
        )
