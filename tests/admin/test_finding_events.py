"""People find events on a page of their own, and by the search of the whole admin."""

import pytest
from django.contrib.auth.models import Permission, User

from core.models import AuditEntry
from tests.admin.pages import text_of

SEES = ("streams.view_stream", "streams.view_payload")
MARKED = {"type": "object", "properties": {"email": {"type": "string", "x-pii": True}}}


@pytest.fixture
def orders(define):
    return define("orders", {"order-placed": MARKED}, correlation=["request_id", "email"])


@pytest.fixture
def add(redis):
    """Add events, and return their ids: `add("orders", 2, request_id="r-1")`."""

    def add(stream, count=1, **properties):
        fields = {"event_type": "order-placed", **properties}
        return [redis.xadd(stream, fields).decode() for _ in range(count)]

    return add


def page(client, text):
    return client.get("/admin/streams/stream/find/", {"q": text})


def palette(client, text):
    return text_of(client.get("/admin/search/", {"extended": "1", "s": text}))


def seen_by_people():
    return [entry.after["ids"] for entry in AuditEntry.objects.filter(action="see payloads")]


def test_a_single_event_is_shown_on_its_own_page(client_who_may, orders, add):
    (id_,) = add("orders", request_id="R-1")

    answer = page(client_who_may(*SEES), " R-1 ")

    assert (answer.status_code, answer["location"]) == (302, f"/admin/streams/stream/{orders.pk}/messages/{id_}/")


def test_several_events_are_listed_and_recorded(client_who_may, orders, define, add):
    define("bills")
    ids = [*add("orders", 2, request_id="<b>"), *add("bills", event_type="billed", request_id="<b>")]

    answer = page(client_who_may(*SEES), "<b>")

    assert all(id_ in text_of(answer) for id_ in ids)
    assert "<b>" not in answer.content.decode()
    assert sorted(id_ for entry in seen_by_people() for id_ in entry) == sorted(ids)


def test_a_search_for_a_value_that_the_person_sees_masked_finds_no_event(client_who_may, orders, add):
    add("orders", email="ada@example.com")

    client = client_who_may(*SEES)

    unseen, never = page(client, "ada@example.com"), page(client, "bob@example.com")

    told = "No event that you may see is known by “{}@example.com”."
    assert told.format("ada") in text_of(unseen)
    assert told.format("bob") in text_of(never)
    assert "order-placed" not in palette(client, "ada@example.com")
    assert seen_by_people() == []
    User.objects.get(username="someone").user_permissions.add(Permission.objects.get(codename="view_personal"))
    assert page(client, "ada@example.com").status_code == 302


def test_the_search_of_the_admin_finds_events_in_the_case_that_was_typed(client_who_may, orders, add):
    ids = [add("orders", request_id=text)[0] for text in ("R-1", "r-1")]
    client = client_who_may(*SEES)

    found = palette(client, "R-1")

    assert f"order-placed {ids[0]}" in found
    assert ids[1] not in found
    assert "Event of orders, by its request_id" in found
    assert seen_by_people() == [[ids[0]]]
    add("orders", request_id="x")
    assert "order-placed" not in palette(client, "x")


def test_the_search_of_the_admin_finds_no_event_for_a_person_who_may_not_see_it_any_more(client_who_may, orders, add):
    (id_,) = add("orders", request_id="R-1")
    client = client_who_may(*SEES)
    assert id_ in palette(client, "R-1")

    User.objects.get(username="someone").user_permissions.clear()

    assert id_ not in palette(client, "R-1")
    assert page(client, "R-1").status_code == 403


def test_the_field_to_find_an_event_is_on_the_list_of_streams_for_people_who_may_see_payloads(
    client_who_may, orders, redis
):
    client = client_who_may(*SEES)
    assert "Find an event" in text_of(client.get("/admin/streams/stream/"))

    User.objects.get(username="someone").user_permissions.remove(Permission.objects.get(codename="view_payload"))

    assert "Find an event" not in text_of(client.get("/admin/streams/stream/"))


def test_a_stream_with_unsearched_events_is_named(client_who_may, orders, add, monkeypatch):
    monkeypatch.setattr("synapse.correlation.search.MOST_UNINDEXED", 300)
    add("orders", 400)

    assert "Not all events of “orders”" in text_of(page(client_who_may(*SEES), "never"))


def test_the_search_of_the_admin_tries_no_idempotency_keys_of_services(client_who_may, orders, ask, key_of):
    headers = {"authorization": f"Bearer {key_of('shop', publishes=['orders'])}"}
    keys = {"service": headers, "anonymous": {}}
    ids = {
        key: ask("POST", "/events/orders", '{"event_type": "order-placed"}', {**of, "Idempotency-Key": key}).json["id"]
        for key, of in keys.items()
    }
    client = client_who_may(*SEES)

    assert ids["service"] not in palette(client, "service")
    assert ids["anonymous"] in palette(client, "anonymous")
    assert page(client, "service").status_code == 302
