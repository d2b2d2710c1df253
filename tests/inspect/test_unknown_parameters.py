"""An unknown parameter is refused, because ignoring it would answer another question than the one meant."""

from urllib.parse import quote

import pytest

from tests.tables import for_each

KNOWN = "/streams/orders/messages"


@pytest.fixture(autouse=True)
def orders(define, redis):
    define("orders", {"order-placed": None})
    redis.xadd("orders", {"event": "order-placed"}, id="1-1")
    redis.xgroup_create("orders", "billing", "$")


@for_each("name", ["Count", "limit", "event-type", "eventType", "", "é", "count[]", "x" * 300])
def test_a_name_that_is_like_a_known_one_is_unknown(ask, name):
    answer = ask("GET", f"{KNOWN}?{quote(name)}=1")

    assert answer.status == 400
    assert answer.json["parameter"] == name[:100]


@for_each("query", ["_=1700000000", "_cache=x", "_", "count=1&_=2", "_=1&_=2", "count=", "", "&", "event_type="])
def test_names_that_begin_with_an_underscore_and_empty_values_pass(ask, query):
    assert ask("GET", f"{KNOWN}?{query}").status == 200


@pytest.mark.parametrize("query", ["count=1&count=2", "since=1&order=newest&since="])
def test_a_parameter_that_takes_one_value_is_refused_when_it_is_given_twice(ask, query):
    answer = ask("GET", f"{KNOWN}?{query}")

    assert answer.status == 400
    assert "is given more than once" in answer.json["detail"]


def test_event_types_to_watch_can_be_given_several_times(ask):
    # What is wrong in the question shows before the stream is watched.
    answer = ask("GET", "/streams/orders/live?event_type=a&event_type=b&since=soon")

    assert answer.json["parameter"] == "since"


@pytest.mark.parametrize("path", ["/registry/subjects", "/health", "/metrics", "/registry/config"])
def test_routes_whose_clients_send_parameters_of_their_own_pass_over_them(ask, path):
    assert ask("GET", f"{path}?verbose=true&normalize=false").status == 200


def test_a_caller_that_may_not_read_is_answered_403_before_parameters_are_checked(ask, settings, key_of):
    settings.AUTH = "required"
    key = key_of("shop", publishes=["other"])

    assert ask("GET", f"{KNOWN}?request_id=x", headers={"x-api-key": key}).status == 403


def test_a_connection_goes_on_from_the_id_that_an_event_source_of_a_page_sends(ask):
    answer = ask("GET", "/streams/orders/live?lastEventId=soon")

    assert answer.status == 400
    assert "is the id of an entry" in answer.json["detail"]
