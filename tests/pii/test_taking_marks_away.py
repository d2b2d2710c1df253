"""PII stays masked after any change or deletion, until a person who may see it removes the marks."""

import json

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from bridges.models import ArchivedEvent
from contracts import registry
from contracts.models import Contract, ContractVersion
from contracts.registry import Reference
from core.models import Role
from streams.models import EventType, Stream
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM, Principal
from synapse.errors.contracts import BadSchema
from synapse.problems import Forbidden
from synapse.schema.pii import MASK
from tests.admin.pages import text_of, url
from tests.definitions import contract, define
from tests.pii.conftest import EVENT, HIDDEN, Impersonal

SUBJECT = "orders.order-placed"
UNMARKED = {"properties": {"n": {"type": "integer"}}}
EDITOR = Principal(kind="person", name="bo", rights=Impersonal())


@pytest.fixture
def editor(db):
    """A person with permission to define streams, event types and contracts, and to see payloads."""
    user = User.objects.create_user("bo", is_staff=True)
    user.groups.add(Role.objects.get(name="editor"))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def insider(editor):
    User.objects.get().user_permissions.add(Permission.objects.get(codename="view_personal"))
    return editor


@pytest.fixture
def placed(orders):
    return EventType.objects.get(name="order-placed")


@pytest.fixture
def unused(orders):
    """The contract's event type is checked against none: a contract that is used is not deleted."""
    EventType.objects.update(contract=None)


def publish(ask, event=EVENT):
    assert ask("POST", "/events/orders", json.dumps(event)).status == 201


def seen(ask):
    holder.forget()
    return [message["event"] for message in ask("GET", "/streams/orders/messages").json["messages"]]


def delete_version(number, *, by=SYSTEM, permanent=False):
    registry.delete_version(ContractVersion.objects.get(number=number), by=by, permanent=permanent)


class TestVersions:
    def test_a_hidden_version_goes_on_masking(self, ask, orders, impersonal, any_schema_may_follow):
        publish(ask)
        contract(SUBJECT, UNMARKED)

        delete_version(1)

        assert seen(ask) == [HIDDEN]

    def test_pii_marked_by_an_earlier_version_is_masked_in_later_events(
        self, ask, orders, impersonal, any_schema_may_follow
    ):
        contract(SUBJECT, UNMARKED)

        publish(ask)

        assert seen(ask) == [HIDDEN]

    def test_statistics_and_drafts_keep_to_the_marks_of_hidden_versions(
        self, client, redis, orders, impersonal, any_schema_may_follow
    ):
        contract(SUBJECT, UNMARKED)
        delete_version(1)
        holder.forget()
        event = {**EVENT, "email": "anna"}
        for _ in range(30):
            client.post("/events/orders", json.dumps(event), content_type="application/json")

        base = "/streams/orders/event-types/order-placed"
        refusing = json.dumps({"properties": {"email": {"type": "integer"}}})
        answers = [
            client.get("/streams/orders/info"),
            client.post(f"{base}/draft"),
            client.post(f"{base}/backtest", refusing, content_type="application/json"),
        ]

        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert not any(b'"anna"' in answer.content or b"Anna" in answer.content for answer in answers)

    def test_only_people_who_may_see_pii_delete_a_version_with_marks_for_good(
        self, ask, orders, impersonal, any_schema_may_follow
    ):
        publish(ask)
        contract(SUBJECT, UNMARKED)
        delete_version(1, by=EDITOR)

        with pytest.raises(Forbidden, match="personal:read"):
            delete_version(1, by=EDITOR, permanent=True)

        assert seen(ask) == [HIDDEN]
        delete_version(1, permanent=True)
        assert seen(ask) == [EVENT]

    def test_a_whole_contract_neither(self, orders, unused):
        owner = Contract.objects.get()
        registry.delete_contract(owner, by=EDITOR)

        with pytest.raises(Forbidden):
            registry.delete_contract(owner, by=EDITOR, permanent=True)

        assert ContractVersion.objects.count() == 1

    def test_versions_without_marks_take_no_more_than_before(self, orders, any_schema_may_follow):
        contract(SUBJECT, UNMARKED)

        delete_version(2, by=EDITOR)
        delete_version(2, by=EDITOR, permanent=True)

        assert ContractVersion.objects.count() == 1

    def test_marks_that_stand_in_another_contract_count(self, db):
        registry.register("address", json.dumps({"properties": {"street": {"x-pii": True}}}), by=SYSTEM)
        version = registry.register(
            SUBJECT,
            '{"properties": {"to": {"$ref": "address.json"}}}',
            by=SYSTEM,
            references=[Reference(name="address.json", subject="address", version=1)],
        )
        registry.delete_version(version, by=EDITOR)

        with pytest.raises(Forbidden):
            registry.delete_version(version, by=EDITOR, permanent=True)

    def test_the_registry_answers_403(self, client, orders, unused, impersonal):
        assert client.delete(f"/registry/subjects/{SUBJECT}/versions/1").status_code == 200

        answer = client.delete(f"/registry/subjects/{SUBJECT}/versions/1?permanent=true")

        assert answer.status_code == 403
        assert "personal:read" in answer.json()["message"]
        assert ContractVersion.objects.count() == 1

    def test_the_admin_says_why_not(self, editor, orders, unused):
        delete_version(1)

        page = editor.post(
            url("contracts.contract", "delete_version", Contract.objects.get().pk, 1), {"for_good": "yes"}, follow=True
        )

        assert "the scope “personal:read” is missing" in text_of(page)
        assert ContractVersion.objects.count() == 1

    def test_a_schema_that_cannot_be_used_any_more_masks_everything(self, ask, orders, impersonal, monkeypatch):
        publish(ask)

        def refuse(schema):
            raise BadSchema("A library has changed its mind.")

        monkeypatch.setattr(registry, "compile_stored", refuse)
        monkeypatch.setattr("contracts.registry.references.compile_stored", refuse)

        (event,) = seen(ask)
        assert event["email"] == event["n"] == MASK


class TestEventTypes:
    def test_events_of_a_deleted_type_stay_masked(self, ask, placed, impersonal):
        publish(ask)

        placed.delete()

        assert seen(ask) == [HIDDEN]

    def test_a_contract_of_its_own_masks_though_the_type_points_elsewhere(
        self, ask, placed, impersonal, any_schema_may_follow
    ):
        publish(ask)

        placed.contract = None
        placed.save()

        assert seen(ask) == [HIDDEN]

    def test_the_archive_of_a_deleted_stream_stays_masked(self, insider, editor, placed):
        User.objects.get().user_permissions.clear()
        kept = ArchivedEvent.objects.create(
            stream="orders",
            entry_id="1-1",
            event_type="order-placed",
            event=EVENT,
            occurred_at="2026-01-02T00:00:00Z",
            published_at="2026-01-02T00:00:00Z",
        )
        Stream.objects.all().delete()
        holder.forget()

        page = editor.get(url("bridges.archivedevent", "change", kept.pk))

        assert page.context["archived"].event == HIDDEN

    @pytest.mark.parametrize("model", ["eventtype", "stream"])
    def test_only_people_who_may_see_pii_delete_an_event_type_with_marks(self, editor, orders, placed, model):
        pk = {"eventtype": placed.pk, "stream": orders.pk}[model]

        refused = editor.post(url(f"streams.{model}", "delete", pk), {"post": "yes"})

        assert refused.status_code == 403
        assert EventType.objects.filter(pk=placed.pk).exists()

    def test_bulk_deletion_of_event_types_is_refused_to_a_person_who_may_not_see_pii(self, editor, placed):
        chosen = {"action": "delete_selected", "_selected_action": [placed.pk], "post": "yes"}

        refused = editor.post(url("streams.eventtype"), chosen)

        assert refused.status_code == 403
        assert EventType.objects.filter(pk=placed.pk).exists()

    def test_a_person_who_may_see_pii_can_delete_the_event_type(self, insider, placed):
        insider.post(url("streams.eventtype", "delete", placed.pk), {"post": "yes"})

        assert not EventType.objects.filter(pk=placed.pk).exists()

    def test_a_type_without_marks_is_deleted_as_before(self, editor, orders):
        lost = EventType.objects.get(name="order-lost")

        editor.post(url("streams.eventtype", "delete", lost.pk), {"post": "yes"})

        assert not EventType.objects.filter(pk=lost.pk).exists()

    @pytest.mark.parametrize("column", ["stream", "name", "contract"])
    def test_only_people_who_may_see_pii_change_the_contract_or_name_of_an_event_type_with_marks(
        self, editor, placed, column
    ):
        other = define("returns", {"returned": UNMARKED})
        another = {"stream": other.pk, "name": "order-made", "contract": other.event_types.get().contract_id}

        page = save(editor, placed, **{column: another[column]})

        assert "Can see personal fields of events" in page.context["adminform"].form.errors[column][0]
        placed.refresh_from_db()
        assert (placed.name, placed.contract.subject) == ("order-placed", SUBJECT)

    def test_a_person_who_may_see_pii_can_remove_the_contract_of_an_event_type(self, insider, placed):
        save(insider, placed, contract="")

        placed.refresh_from_db()
        assert placed.contract is None

    def test_the_rest_of_it_is_changed_as_before(self, editor, placed):
        save(editor, placed, description="An order.")

        placed.refresh_from_db()
        assert placed.description == "An order."

    def test_marks_of_streams_whose_names_begin_alike_stay_apart(self, ask, orders, impersonal):
        define("orders.order-placed", {"x": None})
        publish(ask, {"event_type": "order-lost", "email": "anna@example.org"})

        assert seen(ask)[0]["email"] == "anna@example.org"
        assert holder.current().display_definition("orders").marks.keys() == {"order-placed"}


def save(client, event_type, **more):
    form = {"stream": event_type.stream_id, "name": event_type.name, "contract": event_type.contract_id, "example": ""}
    page = url("streams.eventtype", "change", event_type.pk)
    return client.post(page, {**form, "description": "", **more}, follow=True)
