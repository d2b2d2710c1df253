"""Which hosts a request may ask for: ours, and any where probes and scrapers ask by an address."""

import pytest
from django.http.request import split_domain_port, validate_host
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from synapse.auth.client_ip import parse_proxies
from synapse.http.hosts import allowed_host_error, is_allowed
from synapse_project.request_guard_middleware import check_allowed_hosts, serve_any_host
from tests.tables import for_each

BY_ADDRESS = ["10.42.0.7:8002", "[fd00::7]:8002", "synapse_pod:8002", "elsewhere.example", ""]
HEALTH = ["/health", "/healthz", "/readyz", "/healthz/"]
TOKEN = "a-token-of-metrics"


@for_each("host", BY_ADDRESS)
@for_each("path", HEALTH)
def test_health_routes_answer_a_probe_with_any_host(ask, path, host):
    assert ask("GET", path, headers={"host": host}).status == 200


@for_each("path", HEALTH)
def test_health_routes_answer_a_head_request_as_they_answer_others(ask, path):
    # The front door leaves other methods to Django.
    assert ask("HEAD", path, headers={"host": "10.42.0.7"}).status == ask("HEAD", path).status


@for_each("path", ["/streams", "/metrics", "/healthz/x", "/healthz;x", "/nowhere", "/admin/", "/health//"])
def test_other_routes_are_served_for_our_hosts_only(ask, path):
    answer = ask("GET", path, headers={"host": "10.42.0.7:8002"})

    assert answer.status == 400
    assert answer.json["detail"] == "The host “10.42.0.7:8002” is not in ALLOWED_HOSTS."


@for_each("host", ["10.42.0.7, 10.42.0.8", "a b", "a/b", "user@host", "a:b:c"])
def test_a_probe_that_names_no_host_in_good_form_is_refused(ask, host):
    assert ask("GET", "/healthz", headers={"host": host}).status == 400


def raw(way, head):
    async def answered():
        wire, protocol = way.connect("GET", "127.0.0.1")
        try:
            protocol.data_received(head)
            return await wire.answer
        finally:
            protocol.connection_lost(None)

    return way.run(answered()).status


@for_each(
    "head, status",
    [
        (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
        (b"GET /health HTTP/1.0\r\n\r\n", 200),
        (b"GET /readyz HTTP/1.0\r\nHost: 10.42.0.7\r\n\r\n", 200),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: 10.42.0.7\r\nHost: 10.42.0.8\r\n\r\n", 400),
        (b"GET /streams HTTP/1.0\r\n\r\n", 400),
    ],
)
def test_a_host_may_be_missing_in_http_1_0_alone(event_loop_client, head, status):
    assert raw(event_loop_client, head) == status


@for_each("path", ["/streams", "/streams?", "/admin/login/"])
@for_each(
    "target, hosts, status",
    [
        ("http://localhost", ["localhost"], 200),
        ("HTTPS://localhost:1", ["elsewhere.example"], 200),
        ("http://elsewhere.example", ["localhost"], 400),
        ("http://user@localhost", ["localhost"], 400),
        ("http://localhost", ["localhost", "localhost"], 400),
        ("http://localhost", [], 400),
    ],
)
def test_the_host_of_an_absolute_target_counts_and_not_the_headers(event_loop_client, target, hosts, status, path, db):
    lines = "".join(f"Host: {host}\r\n" for host in hosts)

    assert raw(event_loop_client, f"GET {target}{path} HTTP/1.1\r\n{lines}\r\n".encode()) == status


@for_each("target", ["http://localhost", "http://localhost?a=b"])
def test_an_absolute_target_without_a_path_asks_for_the_first_page(event_loop_client, target, db):
    head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()

    assert raw(event_loop_client, head) == raw(event_loop_client, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")


@pytest.mark.parametrize(
    ("path", "version", "hosts", "served"),
    [
        ("/healthz", "HTTP/1.0", {}, True),
        ("/healthz", "HTTP/1.1", {}, False),
        ("/healthz", "HTTP/1.1", {"HTTP_HOST": "10.42.0.7"}, True),
        ("/streams", "HTTP/1.0", {}, False),
    ],
)
def test_django_serves_any_host_on_the_same_routes(path, version, hosts, served):
    request = RequestFactory().get(path, SERVER_PROTOCOL=version, **hosts)

    serve_any_host(request)

    assert (request.META.get("HTTP_HOST") == "localhost") is served


def test_metrics_are_shown_to_a_scraper_with_a_token_or_key_and_any_host(ask, settings, key_of):
    settings.METRICS_TOKEN = TOKEN
    settings.AUTH = "required"
    key = key_of("prometheus", scopes=["metrics:read"])
    headers = {"host": "10.42.0.7:8002", "accept": "text/plain;version=0.0.4"}

    statuses = [
        ask("GET", "/metrics", headers={**headers, "authorization": f"Bearer {shown}"}).status
        for shown in (TOKEN, key, "another-token-of-metrics", "syn_live_abcdefgh_" + "x" * 38)
    ]

    assert statuses == [200, 200, 400, 400]


def test_a_host_with_an_underscore_is_refused_with_the_reason(ask, settings):
    settings.ALLOWED_HOSTS = ["my_synapse"]

    detail = ask("GET", "/streams", headers={"host": "my_synapse:8002"}).json["detail"]

    assert detail.startswith("The host “my_synapse:8002” is not accepted: a host name cannot have an underscore")


@for_each("host, words", [("bücher.example", "is no host name"), ("a:b", "is no host name")])
def test_an_invalid_host_is_refused_with_the_reason(event_loop_client, host, words):
    headers = {"host": host.encode().decode("latin-1")}

    assert words in event_loop_client("GET", "/streams", headers=headers).json["detail"]


@for_each(
    "entry, words",
    [
        ("my_synapse", "alias"),
        (".my_domain.example", "alias"),
        ("*.example", "“.example”"),
        ("https://synapse.example", "no scheme"),
        ("synapse:8002", "no port"),
        ("fd00::7", "[..]"),
        ("synapse", ""),
        (".deepiri.local", ""),
        ("10.0.0.7", ""),
        ("[fd00::7]", ""),
        ("*", ""),
    ],
)
def test_an_entry_of_allowed_hosts_that_matches_no_host_is_found_and_others_are_not(entry, words):
    mistake = allowed_host_error(entry)

    assert words in mistake
    assert bool(mistake) is bool(words)


def test_djangos_checks_warn_of_an_allowed_host_that_matches_none(settings):
    settings.ALLOWED_HOSTS = ["my_synapse", "synapse"]

    (warning,) = check_allowed_hosts()

    assert warning.id == "synapse.W001"
    assert "“my_synapse” matches no host" in warning.msg


@pytest.fixture
def proxy(settings):
    settings.ALLOWED_HOSTS = ["synapse.example", "localhost"]
    settings.TRUSTED_PROXIES = parse_proxies(["127.0.0.1"])


@for_each(
    "host, forwarded, status",
    [
        ("synapse_upstream", "synapse.example", 200),
        ("10.0.0.7:8002", "synapse.example:8443", 200),
        ("10.0.0.7", "synapse.example, inner.proxy", 200),
        ("localhost", "other.example", 200),
        ("10.0.0.7", "other.example", 400),
        ("10.0.0.7", "other.example, synapse.example", 400),
        ("10.0.0.7, 10.0.0.8", "synapse.example", 400),
    ],
)
def test_the_host_that_a_trusted_proxy_was_asked_for_counts_when_it_is_ours(ask, proxy, host, forwarded, status):
    assert ask("GET", "/streams", headers={"host": host, "x-forwarded-host": forwarded}).status == status


def test_a_forwarded_host_of_an_untrusted_caller_is_ignored(ask, settings):
    settings.ALLOWED_HOSTS = ["synapse.example", "localhost"]

    assert ask("GET", "/streams", headers={"host": "10.0.0.7", "x-forwarded-host": "synapse.example"}).status == 400


NAMES = st.text(st.sampled_from("aA.-_:[]1 x"), max_size=8)


@given(
    host=st.one_of(NAMES, st.sampled_from(["a.example", "a.example.:80", "[::1]:8002", "A.EXAMPLE"])),
    allowed=st.lists(st.one_of(NAMES, st.sampled_from([".example", "*", "a.example", "[::1]", ""])), max_size=3).map(
        tuple
    ),
)
def test_hosts_are_allowed_as_django_allows_them(host, allowed):
    name, _ = split_domain_port(host)

    assert is_allowed(host, allowed) == (bool(name) and validate_host(name, allowed))
