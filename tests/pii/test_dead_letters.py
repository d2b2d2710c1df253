"""Dead letters and the errors that quote their events, for callers who may not see PII."""

import json
from typing import Any

import pytest

from bridges import consume
from bridges.runtime.worker_factory import open_worker
from core.models import AuditEntry
from synapse.delivery.shutdown import Stop
from synapse.errors.delivery import SinkError
from tests.bridges.cast import KeepingSink
from tests.callers import callers_with
from tests.definitions import contract
from tests.pii.conftest import EVENT, HIDDEN, MASK, Impersonal
from tests.tables import for_each

BASE = "/streams/orders/groups/warehouse/dead-letters"
BRIDGE = consume.ConsumeOptions(stream="orders", group="warehouse", handler="shop.handlers.pack").bridge


class QuotingSink(KeepingSink):
    """Refuses every event for good, with an error that quotes it."""

    def take(self, delivery: Any) -> None:
        raise SinkError(f"no mailbox “{delivery.event['email']}” for {delivery.event['card']}", permanent=True)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def work(redis, orders, said):
    """Publish events and let the worker of a bridge give up on them."""

    def published(client, *events: Any) -> None:
        for event in events:
            client.post("/events/orders", json.dumps(event), content_type="application/json")
        worker = open_worker(BRIDGE, say=said.append, stop=Stop(), sink=QuotingSink(), block_ms=0)
        while worker.step():
            pass
        worker.leave(worker._membership._executor)
        said.append(worker.progress.status().error)

    return published


def test_a_caller_that_may_see_pii_sees_the_event_and_the_error_of_a_dead_letter(client, work):
    work(client, EVENT)

    (letter,) = client.get(BASE).json()["dead_letters"]
    whole = client.get(f"{BASE}/{letter['id']}").json()

    assert letter["error"] == "no mailbox “anna@example.org” for {'holder': 'Anna Ek', 'brand': 'visa'}"
    assert whole["event"] == EVENT


@pytest.mark.parametrize("query", [{}, {"groups": "fingerprint"}, {"format": "ndjson"}])
def test_no_list_and_no_export_quotes_pii(client, work, impersonal, query):
    work(client, EVENT)

    answer = client.get(BASE, query)

    assert answer.status_code == 200
    assert "anna" not in answer.content.decode().lower()
    assert MASK in answer.content.decode() or query == {}


def test_a_dead_letter_is_masked_in_its_event_its_fields_and_its_attempts(client, redis, orders, work, impersonal):
    redis.xadd(
        "orders",
        {"event_type": "order-placed", "email": "anna@example.org", "card": '{"holder": "Anna Ek"}', "n": "Anna Ek"},
    )
    work(client)
    (letter,) = client.get(BASE).json()["dead_letters"]

    whole = client.get(f"{BASE}/{letter['id']}").json()

    assert whole["event"]["email"] == whole["data"]["email"] == MASK
    assert whole["last_attempts"][0]["error"] == f"no mailbox “{MASK}” for {{'holder': '{MASK}'}}"
    # The place that breaks the contract is not marked, and says what it holds.
    assert whole["event"]["n"] == "Anna Ek"


def test_the_contract_check_of_a_dead_letter_masks_no_value_quoted_from_the_schema(
    client, work, impersonal, any_schema_may_follow
):
    work(client, EVENT)
    contract(
        "orders.order-placed",
        {"properties": {"email": {"x-pii": True}, "n": {"enum": ["bo@example.org", "anna@example.org"]}}},
    )
    (letter,) = client.get(BASE).json()["dead_letters"]

    check = client.get(f"{BASE}/{letter['id']}").json()["check"]

    assert MASK not in json.dumps(check, ensure_ascii=False)
    assert "anna@example.org" in check["violations"][0]["message"]


@pytest.mark.parametrize(
    "text",
    [
        'event.email == "anna@example.org"',
        'error.contains("anna")',
        'last_attempts[0].error.contains("Ek")',
        'data.email.startsWith("a")',
        "event.email == event.card.holder && event.email != data.email",
    ],
)
def test_no_filter_of_dead_letters_finds_a_hidden_value_neither_to_list_nor_to_redrive(client, work, impersonal, text):
    work(client, EVENT, {**EVENT, "email": "bert@example.org"})

    assert client.get(BASE, {"filter": text}).json()["dead_letters"] == []
    assert client.get(BASE, {"filter": text, "groups": "fingerprint"}).json()["groups"] == []
    assert client.get(BASE, {"filter": text, "format": "ndjson"}).content == b""
    for action, more in (("redrive", {}), ("discard", {"reason": "test"})):
        body = {"filter": {"filter": text}, **more}
        meant = client.post(f"{BASE}/{action}", json.dumps({**body, "dry_run": True}), "application/json").json()
        done = client.post(f"{BASE}/{action}", json.dumps(body), "application/json").json()
        assert (meant["count"], done["left"]) == (0, 2)
    assert len(client.get(BASE, {"filter": f'event.email == "{MASK}"'}).json()["dead_letters"]) == 2


class TestTheVerdictOnAnEventThatBreaksItsContractWhereItIsMasked:
    BROKEN = (
        ({"email": 5, "n": 7}, ["/email"]),
        ({"email": 5.5, "n": "x"}, ["/email", "/n"]),
        ({"n": 7}, [""]),
        ({"email": "anna@example.org", "n": 7}, []),
        ({"email": "anna@example.org", "card": 5}, ["/card"]),
        ({"email": "anna@example.org", "card": {"holder": "Anna Ek", "brand": 5}}, ["/card/brand"]),
    )

    @pytest.fixture(params=BROKEN)
    def seen(self, request, client, redis, work):
        """Return how a dead letter is shown to somebody, and where its event breaks the contract."""
        event, places = request.param
        redis.xadd("orders", {"event_type": "order-placed", "payload": json.dumps(event)})
        redis.xgroup_create("orders", "warehouse", "0")
        failing = open_worker(BRIDGE, say=lambda _: None, stop=Stop(), sink=Refusing(), block_ms=0)
        failing.step()
        failing.leave(failing._membership._executor)

        def shown(rights):
            with callers_with(rights):
                (letter,) = client.get(BASE).json()["dead_letters"]
                return client.get(f"{BASE}/{letter['id']}").json()["check"]

        return shown, places

    def test_is_about_the_masked_event_and_names_no_masked_place(self, seen):
        shown, places = seen

        check = shown(Impersonal())

        assert {each["pointer"] for each in check["violations"]} == set(places) - {"/email", "/card"}
        assert "anna" not in json.dumps(check).lower()

    def test_is_the_same_for_any_set_of_masks(self, seen):
        shown, places = seen

        if set(places) <= {"/email", "/card"}:
            assert shown(Impersonal())["state"] == "kept"


class Refusing(KeepingSink):
    """Refuses every event for good, with an error that does not quote it."""

    def take(self, delivery: Any) -> None:
        raise SinkError("no", permanent=True)


@pytest.mark.parametrize("value", ["1", "order", "anonymous", "es"])
def test_a_dead_letter_tells_nothing_by_the_mask_of_what_can_be_known(client, work, impersonal, value):
    work(client, {**EVENT, "email": value}, {**EVENT, "email": "somebody"})

    letters = client.get(BASE).json()["dead_letters"]
    one, other = (client.get(f"{BASE}/{each['id']}").json() for each in letters)

    assert one["source"] == other["source"] == "anonymous"
    assert {**one["data"], "timestamp": ""} == {**other["data"], "timestamp": ""}


def test_errors_that_differ_in_pii_values_alone_have_one_fingerprint(client, work, impersonal):
    work(client, EVENT, {**EVENT, "email": "bo@example.org", "card": {"holder": "Bo", "brand": "visa"}})

    (found,) = client.get(BASE, {"groups": "fingerprint"}).json()["groups"]

    assert found["count"] == 2
    assert len(client.get(BASE, {"fingerprint": found["fingerprint"]}).json()["dead_letters"]) == 2


def test_logs_and_what_a_bridge_says_of_itself_quote_nothing(client, work, said):
    work(client, EVENT)

    assert any("It is a dead letter now." in line for line in said)
    assert any(f"no mailbox “{MASK}”" in line for line in said)
    assert not any("anna" in line.lower() for line in said)


class TestEditing:
    @pytest.fixture
    def id_(self, client, work) -> str:
        work(client, EVENT)
        (letter,) = client.get(BASE).json()["dead_letters"]
        return str(letter["id"])

    def redrive(self, client, id_, event, **more) -> Any:
        body = json.dumps({"event": event, **more})
        return client.post(f"{BASE}/{id_}/redrive", body, content_type="application/json")

    def delivered(self) -> Any:
        sink = KeepingSink()
        worker = open_worker(BRIDGE, say=lambda _: None, stop=Stop(), sink=sink, block_ms=0)
        while worker.step():
            pass
        worker.leave(worker._membership._executor)
        return [delivery.event for delivery in sink.got]

    @for_each("dry_run", [True, False])
    @for_each(
        "event", [{**HIDDEN, "n": 8}, {**EVENT, "email": "bo@example.org"}, {**HIDDEN, "event_type": "order-lost"}, {}]
    )
    def test_editing_an_event_that_holds_pii_takes_the_right_to_see_it(self, client, id_, impersonal, event, dry_run):
        answer = self.redrive(client, id_, event, dry_run=dry_run)

        assert (answer.status_code, answer.json()["missing"]) == (403, "personal:read")
        assert "it holds PII, which takes the scope “personal:read”" in answer.json()["detail"]
        assert self.delivered() == []

    def test_an_event_without_pii_can_be_edited(self, client, work, impersonal):
        work(client, {**EVENT, "event_type": "order-lost"})
        (letter,) = client.get(BASE).json()["dead_letters"]

        answer = self.redrive(client, letter["id"], {"event_type": "order-lost", "n": 8})

        assert answer.json()["result"] == "redriven"
        assert [event["n"] for event in self.delivered()] == [8]

    @pytest.mark.parametrize("event_type", ["order-placed", "order-lost"])
    def test_an_error_from_before_the_edit_is_masked(self, client, id_, work, event_type):
        edited = {**EVENT, "event_type": event_type, "email": "bo@example.org", "card": {"holder": "Bo Ek"}}
        self.redrive(client, id_, edited)
        work(client)
        (letter,) = client.get(BASE).json()["dead_letters"]

        whole = client.get(f"{BASE}/{letter['id']}").json()
        with callers_with(Impersonal()):
            seen = client.get(f"{BASE}/{letter['id']}").json()

        assert "anna@example.org" in whole["last_attempts"][0]["error"]
        assert "bo@example.org" in whole["last_attempts"][1]["error"]
        assert seen["last_attempts"][0]["error"] == MASK
        assert "anna" not in json.dumps(seen).lower()

    def test_an_event_that_holds_pii_is_redriven_as_it_was(self, client, id_, impersonal):
        answer = client.post(f"{BASE}/{id_}/redrive", "{}", content_type="application/json")

        assert answer.json()["result"] == "redriven"
        assert self.delivered() == [EVENT]

    def test_the_audit_log_keeps_the_mask(self, client, id_):
        self.redrive(client, id_, {**EVENT, "email": "bo@example.org"})

        entry = AuditEntry.objects.get(action="redrive edited")
        assert entry.before["event"] == entry.after["event"] == HIDDEN
