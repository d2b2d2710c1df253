"""Answers to a browser's preflight request."""

import pytest

from synapse.formats.durations import parse_rate
from tests.both_ways import DjangoAlone, EventLoopClient
from tests.tables import for_each

PAGE = "http://localhost:5173"
TRACING = ["baggage", "sentry-trace", "traceparent", "tracestate", "x-request-id"]
CLOUDEVENTS = ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "ce-subject", "ce-dataschema"]
CONDITIONS = ["if-match", "if-none-match", "content-encoding"]
OURS = ["authorization", "x-api-key", "idempotency-key", "synapse-contract-version", "last-event-id", "content-type"]
CORS = "access-control-"


@pytest.fixture(autouse=True)
def allowed_page(settings):
    settings.CORS_ALLOWED_ORIGINS = [PAGE]


def preflight(ask, path="/events/orders", origin=PAGE, method="POST", **headers):
    asked = {"origin": origin, "access-control-request-method": method}
    return ask("OPTIONS", path, headers=asked | {name.replace("_", "-"): text for name, text in headers.items()})


def listed(answer, name):
    return answer.headers.get(CORS + name, "").split(", ")


@pytest.mark.parametrize(
    "path", ["/events/orders", "/streams/orders/live", "/v1/read", "/registry/subjects", "/nowhere"]
)
@for_each("name", [*TRACING, *OURS, *CLOUDEVENTS, *CONDITIONS, "cache-control"])
def test_an_allowed_page_may_send_what_routes_and_tracing_read(ask, path, name):
    answer = preflight(ask, path)

    assert answer.status == 200
    assert answer.body == b""
    assert name in listed(answer, "allow-headers")


def test_an_allowed_page_may_use_the_methods_of_the_api_for_a_day(ask):
    answer = preflight(ask)

    assert answer.headers[CORS + "allow-origin"] == PAGE
    assert {"GET", "POST", "PUT", "DELETE"} <= set(listed(answer, "allow-methods"))
    assert answer.headers[CORS + "max-age"] == "86400"


def test_an_allowed_page_reads_the_headers_of_answers(ask):
    exposed = listed(ask("GET", "/streams", headers={"origin": PAGE}), "expose-headers")

    assert {"link", "retry-after", "ratelimit", "idempotency-replayed", "content-disposition"} <= set(exposed)
    assert {"etag", "accept-post", "accept-encoding", "allow", "www-authenticate"} <= set(exposed)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:5174", "https://localhost:5173"])
def test_the_preflight_of_a_page_that_is_not_allowed_gets_no_cors_headers(ask, origin):
    answer = preflight(ask, origin=origin)

    assert not [name for name in answer.headers if name.startswith(CORS)]


def test_a_preflight_takes_no_key(ask, settings):
    settings.AUTH = "required"

    assert preflight(ask, "/streams").status == 200


def test_a_preflight_for_a_host_that_is_not_ours_is_refused(ask):
    assert preflight(ask, host="elsewhere.example").status == 400


def test_preflights_count_towards_the_rate_of_an_address(ask, settings):
    settings.RATE_PER_ADDRESS = parse_rate("2/m")

    assert [preflight(ask).status for _ in range(3)] == [200, 200, 429]


def test_an_options_request_without_a_requested_method_is_no_preflight(ask, settings):
    settings.AUTH = "required"

    assert ask("OPTIONS", "/streams", headers={"origin": PAGE}).status == 401


def test_both_ways_in_answer_a_preflight_alike(event_loop_client):
    one, other = preflight(event_loop_client), preflight(DjangoAlone())

    same = ("cache-control", "content-type", "vary", "x-content-type-options")
    for name in {*same, *(name for name in (*one.headers, *other.headers) if name.startswith(CORS))}:
        assert one.headers[name] == other.headers[name], name
    assert (one.status, one.body) == (other.status, other.body)


def test_a_preflight_takes_no_thread_of_django(event_loop_client, monkeypatch):
    monkeypatch.setattr(event_loop_client.door, "django", None)

    assert preflight(event_loop_client).status == 200


def test_a_preflight_that_announces_a_body_ends_its_connection(event_loop_client: EventLoopClient):
    # The client may send its next request in place of the body that it was not asked for.
    answer = preflight(event_loop_client, expect="100-continue", content_length="5")

    assert answer.headers["connection"] == "close"
