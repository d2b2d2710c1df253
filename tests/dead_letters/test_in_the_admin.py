"""Dead letters in the admin: viewed, redriven, edited, discarded, exported, by people with the permission."""

import json
from urllib.parse import quote, urlencode

import pytest

from bridges.admin.dead_letters import actions
from bridges.models import Bridge
from core.models import AuditEntry
from streams.snapshot import holder
from synapse.redis import keyspace
from tests.admin.conftest import client_who_may
from tests.admin.pages import messages_of, text_of, url
from tests.bridges.cast import STREAM
from tests.tables import for_each

__all__ = ["client_who_may"]

BRIDGE = "bridges.bridge"

pytestmark = pytest.mark.django_db


@pytest.fixture
def at(orders):
    """The address of a page of the group."""
    return lambda page="group", *more: url(BRIDGE, f"dead_letters_{page}", orders.pk, "warehouse", *more)


@pytest.fixture
def dead(api, die):
    """Three dead letters, of two errors; their ids, newest first."""
    die("order 1 timed out", "refused", "order 2 timed out")
    return api.ids()


def post(client, address, **values):
    return client.post(address, values)


def recorded():
    rows = AuditEntry.objects.filter(target__startswith="dead letters").exclude(action="see payloads").order_by("id")
    return [(row.actor, row.action, row.after) for row in rows]


class TestLooking:
    def test_the_groups_that_have_any_are_listed_with_how_many(self, admin_client, dead, orders, at):
        Bridge.objects.create(name="shop", stream=orders, group="warehouse", sink="console")
        holder.forget()

        answer = admin_client.get(url(BRIDGE, "dead_letters"))

        assert "warehouse orders shop 3" in text_of(answer)
        assert at() in answer.content.decode()

    def test_where_there_are_none_that_is_said(self, admin_client, worker, at):
        assert "No group has dead letters" in text_of(admin_client.get(url(BRIDGE, "dead_letters")))
        assert "This group has no dead letters" in text_of(admin_client.get(at()))

    def test_a_group_shows_them_by_error_and_one_by_one(self, admin_client, dead, at):
        answer = admin_client.get(at())

        text = text_of(answer)
        assert "ValueError: order N timed out order-placed 2" in text
        assert "3 dead letters" in text
        assert all(f'value="{id_}"' in answer.content.decode() for id_ in dead)

    def test_the_filters_are_those_of_the_api(self, admin_client, api, dead, at):
        (rare,) = [one for one in api.get(groups="fingerprint")[1]["groups"] if one["count"] == 1]

        chosen = admin_client.get(at(), {"fingerprint": rare["fingerprint"]})
        refused = admin_client.get(at(), {"since": "soon"})

        assert [letter.error for letter in chosen.context["page"].letters] == ["ValueError: refused"]
        assert "is an entry id, milliseconds since 1970, or a time" in text_of(refused)

    def test_a_filter_is_kept_in_the_links_and_its_error_stands_beside_it(self, admin_client, dead, at):
        text = 'event.n == 1 && error.contains("refused")'

        found = admin_client.get(at(), {"filter": text})
        meant = text_of(admin_client.get(at("redrive"), {"filter": text}))
        refused = admin_client.get(at(), {"filter": "event.n = 1"})

        assert [letter.error for letter in found.context["page"].letters] == ["ValueError: refused"]
        html = found.content.decode()
        assert f'{at("redrive")}?{urlencode({"filter": text}, quote_via=quote)}"' in html.replace("+", "%20")
        assert 'value="event.n == 1 &amp;&amp; error.contains(&quot;refused&quot;)"' in html
        assert "Redrive 1 dead letter to “warehouse”?" in meant
        assert 'those with the filter event.n == 1 && error.contains("refused")' in meant
        html = refused.content.decode()
        assert 'value="event.n = 1"' in html
        assert 'aria-describedby="filter-error"' in html
        assert "At character 9: “=” was not expected; “==” compares." in text_of(refused)

    def test_a_dead_letter_leads_to_the_page_of_its_event(self, admin_client, dead, api, orders, at):
        (event_id,) = [one["event_id"] for one in api.get(filter="event.n == 0")[1]["dead_letters"]]
        (id_,) = api.ids(filter="event.n == 0")

        for address in (at(), at("one", id_)):
            assert f'href="{url("streams.stream", "message", orders.pk, event_id)}"' in (
                admin_client.get(address).content.decode()
            )

    def test_a_dead_letter_shows_its_event_its_attempts_and_the_verdict_of_the_contract(self, admin_client, dead, at):
        text = text_of(admin_client.get(at("one", dead[0])))

        assert "ValueError: order 2 timed out" in text
        assert "The event keeps version 1 of its contract." in text
        assert '"mood": "order 2 timed out"' in text

    def test_a_property_named_items_is_shown_as_any_other(self, admin_client, die, api, at):
        die("refused", items="three chairs")

        assert "items three chairs" in text_of(admin_client.get(at("one", api.ids()[0])))

    def test_texts_of_publishers_and_sinks_are_escaped(self, admin_client, die, api, at):
        die("<script>alert(1)</script>\u202e")

        for address in (at(), at("one", api.ids()[0])):
            html = admin_client.get(address).content.decode()
            assert "<script>alert" not in html
            assert "\u202e" not in html
            assert "&lt;script&gt;alert(1)" in html

    def test_a_dead_letter_that_is_gone_leads_back_to_the_list(self, admin_client, dead, at):
        answer = admin_client.get(at("one", "1-1"), follow=True)

        assert messages_of(answer) == ["This dead letter does not exist any more: it was redriven or discarded."]

    def test_a_group_that_is_none_leads_back(self, admin_client, worker, orders):
        answer = admin_client.get(url(BRIDGE, "dead_letters_group", orders.pk, "nobody"), follow=True)

        assert "does not exist" in messages_of(answer)[0]

    def test_a_file_has_all_that_is_known(self, admin_client, dead, at):
        answer = admin_client.get(at("export"))

        assert 'filename="dead-letters-orders.ndjson"' in answer.headers["Content-Disposition"]
        assert [json.loads(line)["id"] for line in answer.content.splitlines()] == dead

    @pytest.mark.parametrize("page", ["group", "redrive", "discard", "export"])
    def test_without_redis_the_pages_say_so(self, admin_client, no_redis, at, page):
        assert "Redis cannot be reached" in text_of(admin_client.get(at(page)))
        assert admin_client.get(url(BRIDGE, "dead_letters")).status_code == 200

    def test_a_streams_groups_and_a_bridges_page_lead_to_them(self, admin_client, dead, orders, at):
        bridge = Bridge.objects.create(name="shop", stream=orders, group="warehouse", sink="console")

        for address in (url("streams.stream", "groups", orders.pk), url(BRIDGE, "change", bridge.pk)):
            assert f'href="{at()}"' in admin_client.get(address).content.decode()


class TestRedriving:
    def test_the_page_says_first_how_many_it_would_be(self, admin_client, dead, at):
        of_all = text_of(admin_client.get(at("redrive")))
        chosen = text_of(admin_client.get(at("redrive"), {"selected": "1", "id": [dead[0], "1-1"]}))
        of_none = text_of(admin_client.get(at("redrive"), {"selected": "1"}))

        assert "Redrive 3 dead letters to “warehouse”?" in of_all
        assert "Redrive 1 dead letter to “warehouse”?" in chosen
        assert "1 of the chosen dead letters does not exist any more." in chosen
        assert "Choose at least one dead letter." in of_none
        assert recorded() == []

    def test_the_chosen_dead_letters_are_redriven(self, admin_client, dead, at, worker, api):
        worker.sink.cured = True

        answer = post(admin_client, at("redrive"), id=dead[:2], total="2")
        worker.run_dry()

        assert answer.status_code == 302
        assert messages_of(admin_client.get(at())) == ["2 dead letters will be delivered again."]
        assert len(worker.sink.got) == 2
        assert api.ids() == dead[2:]
        ((actor, action, after),) = recorded()
        assert (actor, action, after["count"]) == ("person:admin", "redrive", 2)

    def test_all_go_part_by_part_on_pages_without_scripts(self, admin_client, dead, at, monkeypatch):
        monkeypatch.setattr(actions, "PART", 2)

        first = post(admin_client, at("redrive"), total="3", rate="10")
        progress = first.context["progress"]
        second = post(admin_client, at("redrive"), total="3", rate="10", done=progress.done, cursor=progress.cursor)

        assert "2 of 3" in text_of(first)
        assert second.status_code == 302
        assert messages_of(admin_client.get(at())) == ["3 dead letters will be delivered again."]

    def test_a_script_gets_how_far_it_has_come(self, admin_client, dead, at, monkeypatch):
        monkeypatch.setattr(actions, "PART", 2)

        answer = admin_client.post(at("redrive"), {"total": "3"}, headers={"accept": "application/json"})

        assert answer.json()["share"] == 2
        assert answer.json()["cursor"]

    @for_each("rate", ["0", "fast", "nan", "-1", "1e999"])
    def test_a_rate_that_is_none_is_refused(self, admin_client, dead, at, rate):
        page = post(admin_client, at("redrive"), rate=rate)
        answer = admin_client.post(at("redrive"), {"rate": rate}, headers={"accept": "application/json"})

        assert "the number of dead letters a second" in text_of(page)
        assert (answer.status_code, "rate" in answer.json()["detail"]) == (400, True)
        assert recorded() == []

    def test_an_edited_event_is_checked_and_delivered(self, admin_client, dead, at, worker):
        broken = '{\n "event_type": "order-placed",\n "n": "x"\n}'

        checked = post(admin_client, at("one", dead[0]), event=broken, check="")
        refused = post(admin_client, at("one", dead[0]), event=broken, redrive="")
        no_json = post(admin_client, at("one", dead[0]), event="{", redrive="")
        assert recorded() == []
        done = post(admin_client, at("one", dead[0]), event='{"event_type": "order-placed", "n": 8}', redrive="")
        worker.run_dry()

        for answer in (checked, refused):
            assert "The edited event would not be published now." in text_of(answer)
            assert "Line 3:" in text_of(answer)
        assert "Not valid JSON" in text_of(no_json)
        assert done.status_code == 302
        assert [delivery.event["n"] for delivery in worker.sink.got] == [8]


class TestDiscarding:
    def test_discarding_requires_a_reason(self, admin_client, dead, at, api):
        page = text_of(admin_client.get(at("discard")))
        refused = post(admin_client, at("discard"), id=dead[:1], reason=" ")
        done = post(admin_client, at("discard"), id=dead[:1], reason="a test")

        assert "Discard 3 dead letters of “warehouse”?" in page
        assert "Say why" in text_of(refused)
        assert done.status_code == 302
        assert api.ids() == dead[1:]
        assert recorded() == [("person:admin", "discard", {"count": 1, "ids": dead[:1], "reason": "a test"})]


class TestWhoMay:
    def test_a_person_who_may_only_view_bridges_cannot_redrive_or_discard(self, client_who_may, dead, at):
        client = client_who_may("bridges.view_bridge")

        html = client.get(at()).content.decode() + client.get(at("one", dead[0])).content.decode()

        assert not any(word in html for word in ("Redrive", "Discard", 'type="checkbox" name="id"'))
        for page in ("redrive", "discard"):
            assert client.get(at(page)).status_code == 403
            assert client.post(at(page), {"reason": "x"}).status_code == 403
        assert client.post(at("one", dead[0]), {"event": "{}"}).status_code == 403

    def test_a_person_who_may_not_view_bridges_sees_no_dead_letters(self, client_who_may, dead, at):
        client = client_who_may("streams.view_stream")

        for address in (url(BRIDGE, "dead_letters"), at(), at("one", dead[0]), at("export")):
            assert client.get(address).status_code == 403

    def test_a_post_from_elsewhere_does_nothing(self, dead, at, admin_user):
        from django.test import Client

        stranger = Client(enforce_csrf_checks=True)
        stranger.force_login(admin_user)

        assert stranger.post(at("redrive"), {"total": "3"}).status_code == 403
        assert recorded() == []


def test_a_group_with_many_errors_shows_the_most_frequent_ones_and_the_one_that_is_chosen(
    admin_client, redis, orders, at
):
    names = [f"{first}{second}" for first in "abcdefghij" for second in "abcdefghijkl"]
    for name in [*names, *names[1:]]:
        redis.xadd(keyspace.dead_letters(STREAM, "warehouse"), {"id": "1-0", "err": f"refused {name}"})

    page = admin_client.get(at())
    chosen = next(each for each in page.context["errors"].groups if each.pattern == "refused aa")
    of_one = admin_client.get(at(), {"fingerprint": chosen.fingerprint})

    assert len(page.context["error_rows"]) == len(of_one.context["error_rows"]) == 20
    assert "And 100 less frequent errors" in text_of(page)
    assert of_one.context["error_rows"][0] == chosen
    assert of_one.content.count(b" selected>refused aa</option>") == 1
