"""Where access is open, pages of other sites change nothing: the browser's origin headers are checked."""

import orjson
import pytest

from streams.snapshot import holder
from synapse.auth.client_ip import parse_proxies
from synapse.http.hosts import is_foreign
from tests.connection import Connection, request
from tests.live.server import running_server
from tests.tables import for_each

ALLOWED = ["http://localhost:5173", "https://app.example"]
HOST = "localhost:8002"

OURS = [
    {},
    {"origin": "http://localhost:8002"},
    {"origin": "http://localhost:8002", "sec-fetch-site": "same-origin"},
    {"origin": "http://localhost:5173"},
    {"origin": "http://localhost:5173", "sec-fetch-site": "same-site"},
    {"origin": "https://app.example", "sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "none"},
    # A page without a referrer names no origin, also when it is ours.
    {"origin": "null", "sec-fetch-site": "same-origin"},
    {"host": "LOCALHOST:80", "origin": "http://localhost"},
    {"host": "[::1]:8002", "origin": "http://[::1]:8002"},
    {"host": "hub.example", "origin": "https://hub.example", "x-forwarded-proto": "https"},
    {"host": "hub.example:443", "origin": "https://hub.example", "x-forwarded-proto": "https"},
    {
        "host": "10.0.0.7:8002",
        "origin": "https://hub.example",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "hub.example",
    },
]
FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "http://localhost"},
    {"origin": "http://localhost:8003"},
    {"origin": "http://127.0.0.1:8002"},
    {"origin": "https://localhost:8002"},
    {"origin": "http://localhost:8002.evil.example"},
    {"origin": "http://localhost:5173.evil.example"},
    {"origin": "http://localhost:8002, http://evil.example"},
    {"origin": "http://localhost:5174", "sec-fetch-site": "same-site"},
    {"origin": "http://evil.example", "sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "same-origin, cross-site"},
    {"sec-fetch-site": ""},
]


@pytest.mark.parametrize("headers", OURS, ids=str)
def test_a_request_of_a_program_of_our_page_or_of_an_allowed_page_is_not_foreign(headers):
    assert not is_foreign("POST", {"host": HOST, **headers}, scheme="http", allowed=ALLOWED)


@for_each("headers", FOREIGN)
@for_each("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY"])
def test_a_request_of_another_page_is_foreign(method, headers):
    assert is_foreign(method, {"host": HOST, **headers}, scheme="http", allowed=ALLOWED)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_method_that_changes_nothing_is_never_foreign(method):
    headers = {"host": HOST, "origin": "null", "sec-fetch-site": "cross-site"}

    assert not is_foreign(method, headers, scheme="http", allowed=[])


EVENT = orjson.dumps({"event_type": "order-placed"})


@pytest.fixture
def orders(define):
    define("orders", {"order-placed": None})


def test_the_refusal_of_a_foreign_page_names_the_setting_that_allows_it(ask, orders, redis):
    answer = ask("POST", "/events/orders", EVENT, {"origin": "http://evil.example"})

    assert (answer.status, answer.json["type"]) == (403, "urn:synapse:problem:foreign-origin")
    assert "“http://evil.example”, which is not in CORS_ALLOWED_ORIGINS" in answer.json["detail"]
    assert redis.xlen("orders") == 0


def test_an_allowed_page_publishes(ask, orders, settings):
    settings.CORS_ALLOWED_ORIGINS = ["http://localhost:5173"]

    assert ask("POST", "/events/orders", EVENT, {"origin": "http://localhost:5173"}).status == 201


def test_a_key_makes_no_difference_where_access_is_open(ask, orders, key_of):
    headers = {"x-api-key": key_of("shop", publishes=["orders"]), "origin": "http://evil.example"}

    assert ask("POST", "/events/orders", EVENT, headers).status == 403


@pytest.mark.parametrize(("trusted", "status"), [([], 403), (["127.0.0.1"], 201)])
def test_a_proxy_is_believed_when_it_is_trusted(ask, orders, settings, trusted, status):
    settings.TRUSTED_PROXIES = parse_proxies(trusted)
    headers = {"origin": "https://localhost", "x-forwarded-proto": "https"}

    assert ask("POST", "/events/orders", EVENT, headers).status == status


def test_a_page_of_another_site_cannot_log_a_person_in(ask, db):
    assert ask("POST", "/admin/login/", b"", {"origin": "null"}).json["type"] == "urn:synapse:problem:foreign-origin"


def test_a_head_that_comes_again_is_refused_again(redis, orders):
    holder.refresh()

    def publishing(*headers):
        return request("POST", "/events/orders", EVENT, "content-type: application/json", *headers)

    asked = [publishing()] * 3 + [publishing("origin: http://evil.example")] * 3 + [publishing()] * 2
    with running_server() as server:
        connection = Connection(server.port)
        statuses = []
        for one in asked:
            connection.send(one)
            statuses.append(connection.answer()[0])
        connection.close()

    assert statuses == [201] * 3 + [403] * 3 + [201] * 2
    assert redis.xlen("orders") == 5
