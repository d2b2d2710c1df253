"""Deleting through the API: softly, then for good."""

from contracts import registry as contracts
from streams.snapshot import holder
from tests.definitions import define

OPEN = {"type": "object"}
MAY_N = {"type": "object", "properties": {"n": {"type": "number"}}}


def test_a_version_is_hidden_and_then_deleted_for_good(registry, registered):
    registered("a", OPEN)
    registered("a", MAY_N)

    assert registry.error("DELETE", "/subjects/a/versions/1?permanent=true") == (404, 40407)
    assert registry("DELETE", "/subjects/a/versions/1").json == 1
    assert registry.error("DELETE", "/subjects/a/versions/1") == (404, 40406)
    assert registry("GET", "/subjects/a/versions/1?deleted=true").json["deleted"] is True
    assert registry("DELETE", "/subjects/a/versions/1?permanent=true").json == 1
    assert registry.error("DELETE", "/subjects/a/versions/1?permanent=true") == (404, 40402)
    assert registry("DELETE", "/subjects/a/versions/latest").json == 2


def test_a_subject_is_hidden_and_then_deleted_for_good(registry, registered):
    registered("a", OPEN)
    registered("a", MAY_N)

    assert registry.error("DELETE", "/subjects/a?permanent=true") == (404, 40405)
    assert registry("DELETE", "/subjects/a").json == [1, 2]
    assert registry.error("DELETE", "/subjects/a") == (404, 40404)
    assert registry("DELETE", "/subjects/a?permanent=True").json == [1, 2]
    assert registry.error("DELETE", "/subjects/a") == (404, 40401)
    assert registry.error("DELETE", "/subjects/nowhere") == (404, 40401)


def test_a_deleted_schema_comes_back_with_its_id_and_a_new_version_number(registry, registered):
    id_ = registered("a", OPEN)
    registry("DELETE", "/subjects/a")

    again = registry.register("a", OPEN).json

    assert (again["id"], again["version"]) == (id_, 2)
    assert registry("GET", "/subjects/a/versions").json == [2]


def test_a_deleted_version_does_not_count_for_compatibility(registry, registered):
    registered("a", OPEN)
    registry("DELETE", "/subjects/a")

    assert registry.register("a", {**MAY_N, "required": ["n"]}).status == 200


def test_a_subject_that_is_deleted_for_good_forgets_its_settings(registry, registered):
    registered("a", OPEN)
    registry("PUT", "/config/a", {"compatibility": "NONE"})

    registry("DELETE", "/subjects/a")
    assert registry("GET", "/config/a").json["compatibilityLevel"] == "NONE"

    registry("DELETE", "/subjects/a?permanent=true")
    assert registry.error("GET", "/config/a") == (404, 40408)


def test_a_subject_that_event_types_use_is_refused_with_their_names(registry):
    define("orders", {"order-placed": OPEN})

    for path in ("/subjects/orders.order-placed", "/subjects/orders.order-placed/versions/1"):
        refused = registry("DELETE", path)
        assert (refused.status, refused.json["error_code"]) == (422, 42206)
        assert "orders/order-placed" in refused.json["message"]
    assert registry("GET", "/subjects/orders.order-placed/versions").json == [1]


def test_registering_a_subject_named_like_an_event_type_checks_nothing_until_it_is_bound(
    registry, registered, client, redis
):
    stream = define("orders", {"order-placed": None})
    event = {"data": b'{"event_type": "order-placed"}', "content_type": "application/json"}

    registered("orders.order-placed", {"type": "object", "required": ["n"]})
    unbound = client.post("/events/orders", **event)
    bind(stream, "orders.order-placed")
    bound = client.post("/events/orders", **event)

    assert (unbound.status_code, unbound.json()["contract_version"]) == (201, None)
    assert bound.status_code == 422


def bind(stream, subject):
    stream.event_types.update(contract=contracts.contract(subject))
    holder.forget()
