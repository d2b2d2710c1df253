"""An event is checked against the latest active version of its contract, or the version it asks for."""

import json

import orjson
import pytest

from contracts import registry
from contracts.registry import Reference
from streams.models import EventType
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM
from tests.tables import for_each

NEEDS_A = {"type": "object", "required": ["a"]}
NEEDS_NOTHING = {"type": "object"}
A, NEITHER = {"event_type": "placed", "a": 1}, {"event_type": "placed"}


@pytest.fixture(autouse=True)
def orders(define):
    """A contract with two versions, of which the second asks for less, and a draft."""
    define("orders", {"placed": NEEDS_A, "free": None})
    registry.register("orders.placed", json.dumps(NEEDS_NOTHING), by=SYSTEM)
    registry.draft("orders.placed", '{"title": "third"}', by=SYSTEM)


def post(ask, event, version=None, path="/events/orders"):
    headers = {} if version is None else {"synapse-contract-version": str(version)}
    return ask("POST", path, orjson.dumps(event), headers)


def refusal(answer):
    return answer.status, answer.json["type"].removeprefix("urn:synapse:problem:")


def test_without_the_header_the_latest_active_version_counts(ask):
    assert post(ask, NEITHER).json["contract_version"] == 2


@pytest.mark.parametrize("path", ["/events/orders", "/events/orders/validate"])
def test_an_event_may_ask_for_an_earlier_version(ask, path):
    good, bad = post(ask, A, 1, path), post(ask, NEITHER, 1, path)

    assert good.json["contract_version"] == 1
    assert refusal(bad) == (422, "contract-violated")
    assert bad.json["contract_version"] == 1


def test_each_event_of_a_batch_is_held_to_the_version_that_was_asked_for(ask):
    answer = post(ask, [A, NEITHER], 1)

    assert answer.status == 207
    assert [result["status"] for result in answer.json["results"]] == ["accepted", "rejected"]


def test_an_event_may_still_ask_for_a_deprecated_version(ask):
    registry.deprecate(registry.version(registry.contract("orders.placed"), 1), by=SYSTEM)

    assert post(ask, A, 1).json["contract_version"] == 1


def test_a_deprecated_version_can_be_asked_for_also_when_no_version_is_active(ask):
    for number in (1, 2):
        registry.deprecate(registry.version(registry.contract("orders.placed"), number), by=SYSTEM)

    assert post(ask, NEITHER).json["contract_version"] is None
    assert refusal(post(ask, NEITHER, 1)) == (422, "contract-violated")


@pytest.mark.parametrize("number", [3, 2_147_483_647])
def test_a_version_that_is_no_version_or_still_a_draft_is_refused(ask, redis, number):
    answer = post(ask, A, number)

    assert refusal(answer) == (422, "unknown-contract-version")
    assert "It has: 1, 2." in answer.json["detail"]
    assert redis.xlen("orders") == 0


def test_a_deleted_version_is_refused(ask):
    registry.delete_version(registry.version(registry.contract("orders.placed"), 1), by=SYSTEM)

    assert refusal(post(ask, A, 1)) == (422, "unknown-contract-version")
    assert post(ask, NEITHER).json["contract_version"] == 2


@pytest.mark.parametrize("event_type", ["free", "unheard-of"])
def test_an_event_without_a_contract_has_no_version_to_ask_for(ask, event_type):
    assert refusal(post(ask, {"event_type": event_type}, 1)) == (422, "unknown-contract-version")


@for_each("text", ["0", "-1", "1.0", "one", "2147483648", "1" * 5_000, "٣".encode().decode("latin-1")])
def test_a_header_that_is_no_number_is_refused(ask, text):
    answer = post(ask, A, text)

    assert refusal(answer) == (400, "bad-request")
    assert answer.json["parameter"] == "Synapse-Contract-Version"


def test_an_empty_header_asks_for_nothing(ask):
    assert post(ask, NEITHER, "").json["contract_version"] == 2


def test_a_contract_that_refers_to_another_is_checked_with_it(ask):
    registry.register("address", '{"required": ["street"]}', by=SYSTEM)
    reference = Reference(name="address.json", subject="address", version=1)
    text = '{"properties": {"to": {"$ref": "address.json"}}}'
    sent = registry.register("orders.sent", text, by=SYSTEM, references=[reference])
    EventType.objects.filter(name="free").update(contract=sent.contract)
    holder.forget()

    answer = post(ask, {"event_type": "free", "to": {}})

    assert refusal(answer) == (422, "contract-violated")
    assert answer.json["violations"][0]["pointer"] == "/to"


def test_asking_for_a_version_makes_no_query(event_loop_client, django_assert_num_queries):
    post(event_loop_client, A)

    with django_assert_num_queries(1):  # the tests' way looks at the catalog's number itself
        assert post(event_loop_client, A, 1).status == 201
