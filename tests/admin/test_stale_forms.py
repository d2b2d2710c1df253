"""Two people edit the same definition: the second to save is warned and overwrites nothing unknowingly."""

from html.parser import HTMLParser

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client

from bridges.models import Bridge, Secret
from contracts.models import Contract
from core import catalog_version
from core.admin.revisions import INPUT
from core.models import Role
from streams.models import EventType, Grant, Service, Stream
from tests.admin.pages import url
from tests.definitions import define
from tests.tables import for_each

pytestmark = pytest.mark.usefixtures("redis")


class Form(HTMLParser):
    """Reads what a browser would send of the page's form."""

    def __init__(self, html):
        super().__init__()
        self.values, self._name, self._text = {}, "", None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        name = found.get("name")
        if tag == "select":
            self._name = name
        elif tag == "option" and "selected" in found and self._name:
            self.values.setdefault(self._name, []).append(found.get("value", ""))
        elif tag == "textarea":
            self._name, self._text = name, ""
        elif tag == "input" and name and found.get("type") not in ("submit", "button"):
            is_box = found.get("type") in ("checkbox", "radio")
            if not is_box or "checked" in found:
                self.values[name] = found.get("value", "on" if is_box else "")

    def handle_data(self, data):
        if self._text is not None:
            self._text += data

    def handle_endtag(self, tag):
        if tag == "textarea":
            self.values[self._name], self._text = self._text.removeprefix("\n"), None
        if tag in ("textarea", "select"):
            self._name = ""


def form_of(client, page):
    """Return what a browser would send. Two people who open a page at one time have one form, so one of them asks."""
    answer = client.get(page)
    assert answer.status_code == 200
    values = Form(answer.content.decode()).values
    return {name: value for name, value in values.items() if "__prefix__" not in name and name[:1] != "_"} | {
        INPUT: values[INPUT]
    }


@pytest.fixture
def people(db):
    """Two people at two browsers."""

    def person(name):
        client = Client()
        client.force_login(User.objects.create_superuser(name))
        return client

    return person("ada"), person("bob")


def refusal(answer):
    assert answer.status_code == 200, answer.headers.get("location")
    (said,) = answer.context["adminform"].form.non_field_errors()
    return said


@pytest.fixture
def orders(db):
    define("orders", {"order-placed": {"type": "object"}})
    return Stream.objects.get(name="orders")


def test_the_second_save_is_shown_the_change_and_its_actor(people, orders):
    ada, bob = people
    page = url("streams.stream", "change", orders.pk)
    first, second = form_of(ada, page), form_of(bob, page)

    assert ada.post(page, first | {"purpose": "To sell", "enforcement": "warn"}).status_code == 302
    answer = bob.post(page, second | {"max_length": "500"})

    said = refusal(answer)
    assert said.startswith("person:ada (at ")
    assert "changed this while you edited it: Purpose (now To sell), Enforcement (now warn). Nothing was saved" in said
    orders.refresh_from_db()
    assert (orders.purpose, orders.enforcement, orders.max_length) == ("To sell", "warn", None)
    # What was written is still there.
    assert Form(answer.content.decode()).values["max_length"] == "500"


def test_saving_again_overwrites_knowingly(people, orders):
    ada, bob = people
    page = url("streams.stream", "change", orders.pk)
    form = form_of(ada, page)
    ada.post(page, form | {"purpose": "To sell"})
    shown = bob.post(page, form | {"purpose": "To buy"})

    again = form | {"purpose": "To buy", INPUT: Form(shown.content.decode()).values[INPUT]}

    assert bob.post(page, again).status_code == 302
    orders.refresh_from_db()
    assert orders.purpose == "To buy"


def test_a_third_change_in_between_is_told_again(people, orders):
    ada, bob = people
    page = url("streams.stream", "change", orders.pk)
    form = form_of(bob, page)
    ada.post(page, form | {"purpose": "To sell"})
    shown = Form(bob.post(page, form | {"purpose": "To buy"}).content.decode()).values
    ada.post(page, form_of(ada, page) | {"purpose": "To give away"})

    said = refusal(bob.post(page, form | {"purpose": "To buy", INPUT: shown[INPUT]}))

    assert "Purpose (now To give away)" in said


def test_another_error_in_the_form_does_not_hide_the_conflict(people, orders):
    ada, bob = people
    page = url("streams.stream", "change", orders.pk)
    form = form_of(bob, page)
    ada.post(page, form | {"purpose": "To sell"})

    answer = bob.post(page, form | {"max_length": "100", "hard_length": "10"})

    assert "Purpose" in refusal(answer)
    assert "hard_length" in answer.context["adminform"].form.errors


def test_a_stale_form_names_the_same_person_in_another_tab(people, orders):
    ada, _ = people
    page = url("streams.stream", "change", orders.pk)
    form = form_of(ada, page)
    ada.post(page, form | {"purpose": "To sell"})

    assert refusal(ada.post(page, form | {"purpose": "To buy"})).startswith("You, elsewhere, (at ")


def test_a_change_by_a_program_counts_too(people, orders):
    ada, _ = people
    page = url("streams.stream", "change", orders.pk)
    form = form_of(ada, page)
    Stream.objects.filter(pk=orders.pk).update(max_length=7)
    catalog_version.bump()

    said = refusal(ada.post(page, form | {"purpose": "To sell"}))

    assert said.startswith("Somebody changed this")
    assert "Max length (now 7)" in said


def test_a_change_that_was_taken_back_is_no_conflict(people, orders):
    ada, bob = people
    page = url("streams.stream", "change", orders.pk)
    second = form_of(bob, page)
    before = form_of(ada, page)
    ada.post(page, before | {"purpose": "To sell"})
    ada.post(page, form_of(ada, page) | {"purpose": before["purpose"]})

    assert bob.post(page, second | {"max_length": "500"}).status_code == 302


def test_a_change_of_another_definition_is_no_conflict(people, orders):
    ada, bob = people
    define("parcels")
    page, other = (url("streams.stream", "change", Stream.objects.get(name=name).pk) for name in ("orders", "parcels"))
    second = form_of(bob, page)
    ada.post(other, form_of(ada, other) | {"purpose": "To send"})

    assert bob.post(page, second | {"purpose": "To buy"}).status_code == 302


def test_a_form_without_a_revision_is_saved_as_programs_expect(people, orders):
    ada, bob = people
    page = url("streams.stream", "change", orders.pk)
    form = form_of(bob, page)
    ada.post(page, form | {"purpose": "To sell"})
    del form[INPUT]

    assert bob.post(page, form | {"purpose": "To buy"}).status_code == 302


@pytest.fixture
def form_of_orders(people, orders):
    return form_of(people[0], url("streams.stream", "change", orders.pk))


@for_each("spoilt", ["x", "{}", "[]", '{"seen": 1, "state": {}}', '{"seen": "x", "state": []}'])
def test_a_revision_that_is_spoilt_saves_nothing(people, orders, form_of_orders, spoilt):
    page = url("streams.stream", "change", orders.pk)

    answer = people[0].post(page, form_of_orders | {"purpose": "To sell", INPUT: spoilt})

    assert "Nothing was saved" in refusal(answer)


class TestRowsOfADefinition:
    @pytest.fixture
    def shop(self, orders):
        service = Service.objects.create(name="shop")
        Grant.objects.create(service=service, action="publish", stream="orders")
        return service

    def test_a_grant_changed_by_another_person_is_not_overwritten(self, people, shop):
        ada, bob = people
        page = url("streams.service", "change", shop.pk)
        form = form_of(ada, page)
        assert ada.post(page, form | {"grants-0-event_type": "order-placed"}).status_code == 302

        said = refusal(bob.post(page, form | {"grants-0-stream": "parcels"}))

        assert said.startswith("person:ada (at ")
        grant = Grant.objects.get()
        assert (grant.stream, grant.event_type) == ("orders", "order-placed")

    def test_a_grant_added_by_another_person_is_reported(self, people, shop):
        _, bob = people
        page = url("streams.service", "change", shop.pk)
        second = form_of(bob, page)
        Grant.objects.create(service=shop, action="subscribe", stream="parcels")

        assert "parcels" in refusal(bob.post(page, second | {"description": "The shop"}))

    def test_a_grant_deleted_by_another_person_is_reported(self, people, shop):
        ada, bob = people
        page = url("streams.service", "change", shop.pk)
        form = form_of(ada, page)
        assert ada.post(page, form | {"grants-0-DELETE": "on"}).status_code == 302

        said = refusal(bob.post(page, form | {"description": "The shop"}))

        assert said.startswith("person:ada (at ")
        assert "(deleted)" in said

    def test_event_types_are_only_shown_with_their_stream_and_no_conflict(self, people, orders):
        _, bob = people
        page = url("streams.stream", "change", orders.pk)
        second = form_of(bob, page)
        EventType.objects.create(stream=orders, name="order-lost")

        assert bob.post(page, second | {"purpose": "To buy"}).status_code == 302


class TestSecretsAndRights:
    def test_a_password_that_was_changed_meanwhile_is_told_of_and_not_shown(self, people):
        _, bob = people
        eve = User.objects.create_user("eve", password="secret", is_staff=True)
        page = url("auth.user", "change", eve.pk)
        second = form_of(bob, page)
        eve.set_password("another")
        eve.save()

        answer = bob.post(page, second | {"first_name": "Eve"})

        said = refusal(answer)
        assert "Password" in said
        assert eve.password not in said + second[INPUT]

    def test_logging_in_is_no_change_of_a_person(self, people):
        _, bob = people
        eve = User.objects.create_user("eve", is_staff=True)
        page = url("auth.user", "change", eve.pk)
        second = form_of(bob, page)
        Client().force_login(eve)

        assert bob.post(page, second | {"first_name": "Eve"}).status_code == 302

    def test_permissions_that_were_given_meanwhile_stay(self, people):
        _, bob = people
        role = Role.objects.create(name="packer")
        page = url("core.role", "change", role.pk)
        second = form_of(bob, page)
        role.permissions.add(Permission.objects.get(codename="view_stream"))

        assert "Permissions" in refusal(bob.post(page, second | {"name": "packers"}))
        assert role.permissions.count() == 1

    def test_a_secret_that_was_rotated_meanwhile_is_not_lost(self, people):
        ada, bob = people
        first = url("bridges.secret", "add")
        assert ada.post(first, {"name": "shop", "new_value": "one"}).status_code == 302
        page = url("bridges.secret", "change", Secret.objects.get().pk)
        second = form_of(bob, page)
        assert ada.post(page, form_of(ada, page) | {"new_value": "two"}).status_code == 302
        value = Secret.objects.get().value

        said = refusal(bob.post(page, second | {"new_value": "three"}))

        assert "value" in said
        assert value not in said
        assert Secret.objects.get().value == value


def test_the_rules_of_a_contract_are_not_overwritten(people, orders):
    ada, bob = people
    page = url("contracts.contract", "rules", Contract.objects.get().pk)
    form = form_of(ada, page)
    assert ada.post(page, form | {"compatibility": "FULL"}).status_code == 302

    answer = bob.post(page, form | {"mode": "READONLY"})

    (said,) = answer.context["form"].non_field_errors()
    assert said.startswith("person:ada (at ")
    assert "Compatibility (now FULL)" in said
    contract = Contract.objects.get()
    assert (contract.compatibility, contract.mode) == ("FULL", "")


def test_a_draft_written_meanwhile_by_another_person_is_not_overwritten(people, orders):
    ada, bob = people
    page = url("contracts.contract", "change", Contract.objects.get().pk)
    form = form_of(ada, page)
    assert ada.post(page, form | {"schema": '{"type": "object", "title": "Ada"}'}).status_code == 302

    said = refusal(bob.post(page, form | {"schema": '{"type": "object", "title": "Bob"}'}))

    assert "Schema" in said


def test_a_bridge_that_was_paused_meanwhile_is_not_resumed(people, orders):
    _, bob = people
    bridge = Bridge.objects.create(name="b", stream=orders, group="g", sink="console")
    page = url("bridges.bridge", "change", bridge.pk)
    second = form_of(bob, page)
    Bridge.objects.filter(pk=bridge.pk).update(paused=True)

    assert "Paused (now True)" in refusal(bob.post(page, second | {"batch_size": "7"}))


def test_no_list_is_edited_in_place():
    """A list that is edited would need the same protection."""
    assert [each for each in admin.site._registry.values() if each.list_editable] == []
