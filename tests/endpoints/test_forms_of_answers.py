"""Routes whose answers have several forms: the qualities of `Accept` choose one, or refuse all (RFC 9110, 12.5.1)."""

import orjson
import pytest

from tests.both_ways import DjangoAlone
from tests.tables import for_each

JSON, BATCH, STRUCTURED = "application/json", "application/cloudevents-batch+json", "application/cloudevents+json"
MESSAGES, MESSAGE = "/streams/orders/messages", "/streams/orders/messages/1-1"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture
def way(event_loop_client, define, redis):
    define("orders", {"order-placed": None})
    redis.xadd("orders", {"event": "order-placed"}, id="1-1")
    return event_loop_client


@for_each(
    "path, accept, kind",
    [
        (MESSAGES, "", JSON),
        (MESSAGES, "*/*", JSON),
        (MESSAGES, BROWSER, JSON),
        (MESSAGES, "text/html", JSON),
        (MESSAGES, f"{JSON};q=0", BATCH),
        (MESSAGES, f"{JSON};q=0.1, {BATCH};q=0.2", BATCH),
        (MESSAGES, f"{JSON}, {BATCH};q=0.2", JSON),
        (MESSAGE, f"{JSON};q=0, {STRUCTURED};q=0", BATCH),
        ("/metrics", "text/html", JSON),
        ("/metrics", f"{JSON};q=0", "text/plain"),
        ("/metrics", f"{JSON};q=0, */*", "text/plain"),
        ("/metrics", f"{JSON};q=0.1, text/plain;q=0.2, */*;q=0.01", "text/plain"),
        ("/metrics", f"{JSON};q=0, text/plain;q=0, */*;q=0.5", "application/openmetrics-text"),
    ],
)
def test_the_form_with_the_highest_quality_is_sent(way, path, accept, kind):
    for each in (DjangoAlone(), way):
        answer = each("GET", path, headers={"accept": accept} if accept else {})

        assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, kind)
        assert "accept" in answer.headers["vary"].lower().split(", ")


@for_each("path", [MESSAGES, MESSAGE, "/metrics"])
@for_each("accept", ["*/*;q=0", "application/*;q=0, text/*;q=0"])
def test_a_client_that_refuses_all_forms_is_told_which_there_are(way, path, accept):
    for each in (DjangoAlone(), way):
        answer = each("GET", path, headers={"accept": accept})

        assert (answer.status, answer.json["type"]) == (406, "urn:synapse:problem:not-acceptable")
        assert JSON in answer.json["available"]
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_read_whose_form_is_refused_makes_no_group_and_takes_no_event(way, redis):
    body = orjson.dumps({"stream": "orders", "consumer_group": "billing", "consumer_name": "one", "block_ms": 0})

    for each in (DjangoAlone(), way):
        assert each("POST", "/v1/read", body, {"accept": "*/*;q=0"}).status == 406

    assert redis.xinfo_groups("orders") == []


def test_the_openapi_document_has_the_type_of_the_highest_quality_and_no_parameter_of_the_header(db):
    answer = DjangoAlone()("GET", "/openapi.json", headers={"accept": "application/vnd.oai.openapi+json;q=0.1, */json"})
    preferred = DjangoAlone()(
        "GET", "/openapi.json", headers={"accept": f"application/vnd.oai.openapi+json;q=0.1, {JSON};q=0.5"}
    )
    refused = DjangoAlone()("GET", "/openapi.json", headers={"accept": "application/*;q=0, text/csv"})

    assert answer.headers["content-type"] == "application/vnd.oai.openapi+json"
    assert preferred.headers["content-type"] == JSON
    assert (refused.status, refused.json["available"]) == (406, ["application/vnd.oai.openapi+json", JSON])
