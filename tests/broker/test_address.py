"""The URL of the events' server: its parts, the text shown to people, and the URLs that are refused."""

import pytest

from synapse.redis import address


def test_a_url_of_a_single_server_is_parsed():
    said = address.parse_url("rediss://shop:s3cret@redis.example.com:6380/2?ssl_ca_certs=/ca.pem")

    assert (said.kind, said.is_tls, said.places) == ("server", True, (("redis.example.com", 6380),))
    assert str(said) == "redis.example.com:6380"


def test_sentinels_and_the_name_that_they_know():
    said = address.parse_url(
        "redis+sentinel://shop:s3cret@one,two:26380,[::1]:26381/events/3?sentinel_password=other&client_name=synapse"
    )

    assert (said.kind, said.service) == ("sentinel", "events")
    assert said.places == (("one", 26379), ("two", 26380), ("::1", 26381))
    assert dict(said.logins) == {"password": "other"}
    assert said.url_of(("::1", 7000)) == "redis://shop:s3cret@[::1]:7000/3?client_name=synapse"
    assert "s3cret" not in str(said)


def test_nodes_of_a_cluster():
    said = address.parse_url("rediss+cluster://:s3cret@one:7001,two?ssl_ca_certs=/ca.pem")

    assert (said.kind, said.is_tls, said.places) == ("cluster", True, (("one", 7001), ("two", 6379)))
    assert said.url_of(("three", 7003)) == "rediss://:s3cret@three:7003/0?ssl_ca_certs=%2Fca.pem"
    assert str(said) == "one:7001,two:6379 (a cluster)"


def test_a_socket():
    said = address.parse_url("unix://:s3cret@/run/redis.sock?db=1")

    assert (said.kind, said.places, said.is_local) == ("server", (), True)
    assert str(said) == "/run/redis.sock"


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("redis://localhost", True),
        ("redis://127.0.0.7:7000", True),
        ("redis://[::1]", True),
        ("redis://redis:6379", False),
        ("redis+cluster://127.0.0.1,10.0.0.1", False),
        ("redis+sentinel://127.0.0.1/events", True),
    ],
)
def test_whether_what_is_sent_stays_on_this_machine(url, local):
    assert address.parse_url(url).is_local is local


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://host", "begins with redis://"),
        ("redis+ring://host", "begins with redis://"),
        ("unix+cluster:///run/redis.sock", "begins with redis://"),
        ("redis://[::1", "begins with redis://"),
        ("redis://one:abc", "with valid hosts and ports"),
        ("redis+cluster://one:70000", "with valid hosts and ports"),
        ("redis+cluster://one,two:0", "with valid hosts and ports"),
        ("redis+cluster://one,,two", "a host before and after each comma"),
        ("redis://one,two", "one host, or"),
        ("redis+sentinel://one,two", "the Sentinels' name of the primary"),
        ("redis+sentinel://one/events/x", "number of a database"),
        ("redis+sentinel://one/events/1/2", "number of a database"),
        ("redis+cluster://one/3", "no database other than 0"),
        ("redis+cluster://one?db=3", "no database other than 0"),
        ("redis://one/x", "number of a database"),
        ("redis://one?db=x", "a number as “db”"),
        ("redis://one?ssl_ca_certs=/ca.pem", "rediss:// where there is “ssl_ca_certs”"),
        ("redis://one?protocol=3", "none but db, client_name behind the question mark"),
        ("redis://one?sentinel_password=x", "none but db, client_name"),
        ("rediss://one?ssl_cert_reqs=perhaps", "none, optional, required as “ssl_cert_reqs”"),
        ("rediss://one?ssl_check_hostname=perhaps", "true, yes, 1, false, no, 0 as"),
        ("rediss://one?ssl_ca_certs=", "a value for “ssl_ca_certs”"),
    ],
)
def test_a_url_that_cannot_be_used(url, expected):
    with pytest.raises(ValueError, match=expected):
        address.parse_url(url)
