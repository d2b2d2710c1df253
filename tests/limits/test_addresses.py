"""The address of a caller behind proxies: only a trusted proxy is believed."""

import pytest

from synapse.auth.client_ip import Proxies, one_caller, parse_proxies
from synapse.server import request_guard
from synapse_project.server_config import server_config

OURS = parse_proxies(["10.0.0.0/8", "127.0.0.1", "fd00::/8"])

CASES = [
    # the connection comes from, X-Forwarded-For says, so the one who asks is
    ("203.0.113.9", "", "203.0.113.9"),
    ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
    ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
    ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
    ("10.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),
    ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
    ("10.0.0.1", "", "10.0.0.1"),
    ("10.0.0.1", "garbage", "10.0.0.1"),
    ("10.0.0.1", "198.51.100.1, garbage", "10.0.0.1"),
    ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
    ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
    ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
    ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
    ("fd00::1", "::ffff:198.51.100.1", "198.51.100.1"),
    ("10.0.0.1", "0177.0.0.1", "10.0.0.1"),
    ("10.0.0.1", "127.1", "10.0.0.1"),
    ("", "198.51.100.1", ""),
    ("10.0.0.1", "10.0.0.2," * 5000, "10.0.0.1"),
    ("10.0.0.1", "198.51.100.1" + ",10.0.0.2" * 5000, "10.0.0.2"),
]


@pytest.mark.parametrize(("peer", "forwarded_for", "client"), CASES, ids=str)
def test_the_caller_is_the_nearest_address_that_is_no_trusted_proxy(peer, forwarded_for, client):
    assert OURS.client_address(peer, forwarded_for) == client


def test_without_trusted_proxies_forwarded_addresses_are_ignored():
    assert Proxies().client_address("127.0.0.1", "198.51.100.1") == "127.0.0.1"


@pytest.mark.parametrize("text", ["proxy.internal", "10.0.0.1/8", "10.0.0", "0x7f000001"])
def test_a_trusted_proxy_must_be_an_address_or_a_network(text):
    with pytest.raises(ValueError, match=r"\S"):
        parse_proxies([text])


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", "nowhere"),
    ],
)
def test_a_caller_is_an_ipv4_address_or_an_ipv6_network(address, caller):
    assert one_caller(address) == caller


@pytest.fixture
def tls(settings):
    """A proxy speaks TLS. Requested before `ask`, because Django's middleware reads the setting when it is created."""
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_HSTS_SECONDS = 31536000


def test_forwarded_headers_of_an_untrusted_caller_are_ignored(tls, ask, settings):
    settings.USE_X_FORWARDED_HOST = True
    lies = {"x-forwarded-host": "evil.example", "x-forwarded-proto": "https", "forwarded": "host=evil.example"}

    answer = ask("GET", "/docs", headers=lies)

    assert answer.status == 200
    assert "evil.example" not in answer.body.decode()
    assert "strict-transport-security" not in answer.headers


@pytest.fixture
def warnings(monkeypatch, caplog):
    """Return the proxy warnings logged by a process that has just begun."""
    monkeypatch.setattr(request_guard, "warning", request_guard.ProxyWarning())
    return lambda: [record.getMessage() for record in caplog.records if record.name == request_guard.__name__]


@pytest.mark.parametrize("name", ["x-forwarded-for", "forwarded", "x-real-ip"])
def test_an_untrusted_proxy_is_warned_about_once_with_the_setting(ask, warnings, name):
    for _ in range(3):
        ask("GET", "/healthz", headers={name: "198.51.100.1"})

    (line,) = warnings()
    assert "127.0.0.1" in line
    assert "SYNAPSE_TRUSTED_PROXIES" in line
    assert "one share" in line


def test_a_trusted_proxy_and_a_direct_caller_are_not_warned_of(ask, settings, warnings):
    ask("GET", "/healthz")
    settings.TRUSTED_PROXIES = parse_proxies(["127.0.0.1"])

    ask("GET", "/healthz", headers={"x-forwarded-for": "198.51.100.1"})

    assert warnings() == []


@pytest.mark.parametrize(
    ("origins", "trusted", "lines"),
    [
        (["https://hub.example"], [], 1),
        (["https://hub.example"], ["10.0.0.1"], 0),
        (["http://hub.example"], [], 0),
        ([], [], 0),
    ],
)
def test_settings_for_a_proxy_that_is_not_trusted_are_warned_about_at_the_start(
    settings, warnings, origins, trusted, lines
):
    settings.CSRF_TRUSTED_ORIGINS, settings.TRUSTED_PROXIES = origins, parse_proxies(trusted)

    request_guard.warning.write_at_start(server_config())

    assert len(warnings()) == lines


def test_an_answer_through_a_trusted_proxy_with_tls_demands_tls_of_the_browser(tls, ask, settings):
    settings.TRUSTED_PROXIES = parse_proxies(["127.0.0.1"])

    answers = [ask("GET", path, headers={"x-forwarded-proto": "https"}) for path in ("/docs", "/streams")]

    assert [answer.headers["strict-transport-security"] for answer in answers] == ["max-age=31536000"] * 2
