"""A search of the explorer is kept under a name, for oneself or for all, and opened with one's own rights."""

from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.test import Client

from core.models import AuditEntry
from streams.admin.events.explorer_state import ExplorerState
from streams.models import SavedView
from tests.admin.pages import text_of, url
from tests.definitions import define

ADD = "/admin/streams/savedview/add/"
SEES = ("streams.view_stream", "streams.view_savedview", "streams.view_payload")
EXPLORER = "/admin/streams/stream/explorer/"


@pytest.fixture
def mika(db, redis):
    define("orders", {"order-placed": None})
    return User.objects.create_superuser("mika")


def save(client, name="late", query="stream=orders&q=late", **more):
    return client.post(ADD, {"name": name, "query": query, **more})


def test_the_explorer_offers_to_save_the_current_search(admin_client, mika):
    page = admin_client.get(f"{EXPLORER}?stream=orders&q=late")

    form = admin_client.get(page.context["save"])

    assert form.context["adminform"].form["query"].value() == "stream=orders&q=late"


def test_a_saved_view_is_offered_and_marked_where_it_is_shown(admin_client, mika):
    answer = save(admin_client, query="q=late&next=1&x=y&stream=orders")

    assert answer["Location"] == f"{EXPLORER}?stream=orders&q=late"
    page = admin_client.get(answer["Location"])
    assert page.context["views"]["active"].name == "late"
    assert "The view “late” is saved." in text_of(page)


def test_saving_changing_and_deleting_are_recorded(admin_client, mika):
    save(admin_client)
    view = SavedView.objects.get()
    admin_client.post(url("streams.savedview", "change", view.pk), {"name": "later", "query": view.query})
    admin_client.post(url("streams.savedview", "delete", view.pk), {"post": "yes"})

    entries = AuditEntry.objects.filter(target__startswith="saved view").order_by("pk")
    assert [(entry.action, entry.target) for entry in entries] == [
        ("create", "saved view late"),
        ("change", "saved view later"),
        ("delete", "saved view later"),
    ]
    assert not SavedView.objects.exists()


def test_a_second_view_with_a_used_name_is_refused_unless_replace_is_ticked(admin_client, mika):
    save(admin_client)

    refused = save(admin_client, query="q=other")

    assert "There is a view “late” already. Tick “Replace”, or choose another name." in text_of(refused)
    assert SavedView.objects.get().query == "stream=orders&q=late"
    save(admin_client, query="q=other", replace="on")
    assert SavedView.objects.get().query == "q=other"
    entry = AuditEntry.objects.first()
    assert [ExplorerState.from_query(each["query"]).streams for each in (entry.before, entry.after)] == [
        ("orders",),
        (),
    ]


def test_a_private_view_may_have_the_name_of_a_shared_one_but_a_second_shared_view_may_not(admin_client, mika):
    SavedView.objects.create(name="late", owner=mika, shared=True)

    refused = save(admin_client, shared="on")
    save(admin_client)

    assert "mika shares a view “late” already. Choose another name." in text_of(refused)
    assert SavedView.objects.filter(name="late").count() == 2


def test_renaming_a_view_to_the_name_of_another_one_is_refused(admin_client, mika):
    save(admin_client)
    save(admin_client, name="later")
    view = SavedView.objects.get(name="later")

    answer = admin_client.post(url("streams.savedview", "change", view.pk), {"name": "late", "query": ""})

    assert "There is a view “late” already. Choose another name." in text_of(answer)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("since=yesterday", "“since” is an entry id"),
        ("filter=event.n+%3E%3E", "The filter cannot be used"),
        ("&".join(["stream=a"] * 1_500)[:4_000], "at most"),
        ("x" * 4_001, "4000 characters"),
    ],
)
def test_a_view_that_cannot_be_searched_is_not_saved(admin_client, mika, query, said):
    answer = save(admin_client, query=query)

    if answer.status_code == 200:
        assert said in text_of(answer)
    assert SavedView.objects.count() == (answer.status_code == 302)


def test_private_views_are_visible_only_to_their_owners(client_who_may, mika):
    private = SavedView.objects.create(name="mine", owner=mika)
    client = client_who_may(*SEES, "streams.change_savedview", "streams.delete_savedview")

    assert "mine" not in text_of(client.get(EXPLORER))
    assert "mine" not in text_of(client.get("/admin/streams/savedview/"))
    for page in ("change", "delete"):
        answer = client.post(url("streams.savedview", page, private.pk), {"name": "theirs", "post": "yes"})
        assert answer.status_code == 302
    assert SavedView.objects.get().name == "mine"


def test_a_shared_view_can_be_changed_by_its_owner_and_not_by_a_person_without_the_permission(client_who_may, mika):
    view = SavedView.objects.create(name="ours", owner=mika, shared=True)
    change = url("streams.savedview", "change", view.pk)
    client = client_who_may(*SEES)

    assert "ours" in text_of(client.get(EXPLORER))
    assert client.get(change).status_code == 200
    assert client.post(change, {"name": "theirs"}).status_code == 403
    assert client.post(url("streams.savedview", "delete", view.pk), {"post": "yes"}).status_code == 403
    owner = Client()
    owner.force_login(mika)
    owner.post(change, {"name": "owned", "query": "", "shared": "on"})
    assert SavedView.objects.get().name == "owned"


def test_a_person_with_the_permission_changes_a_shared_view_and_its_owner_stays(client_who_may, mika):
    view = SavedView.objects.create(name="ours", owner=mika, shared=True)
    client = client_who_may(*SEES, "streams.change_savedview")

    client.post(url("streams.savedview", "change", view.pk), {"name": "better", "query": "q=x", "shared": "on"})

    view.refresh_from_db()
    assert (view.name, view.owner) == ("better", mika)


def test_a_shared_view_is_replaced_by_its_owner_and_stays_shared(admin_client, mika):
    save(admin_client, shared="on")
    first = SavedView.objects.get()

    answer = save(admin_client, query="q=other", shared="on", replace="on")

    assert answer.status_code == 302
    view = SavedView.objects.get()
    assert (view.pk, view.query, view.shared, view.owner) == (first.pk, "q=other", True, first.owner)


def test_a_replacement_is_not_shared_beside_the_shared_view_of_another_person(admin_client, mika):
    save(admin_client)
    SavedView.objects.create(name="late", owner=mika, shared=True)

    refused = save(admin_client, query="q=other", shared="on", replace="on")

    assert "mika shares a view “late” already." in text_of(refused)
    assert SavedView.objects.get(shared=False).query == "stream=orders&q=late"


def test_the_audit_log_keeps_no_text_that_a_view_looks_for(admin_client, mika):
    for name in ("anna", "bea"):
        query = urlencode({"stream": "orders", "q": f"{name}@x", "filter": f'event.email == "{name}@x" && event.n > 3'})
        save(admin_client, query=query, replace="on")
    admin_client.post(url("streams.savedview", "delete", SavedView.objects.get().pk), {"post": "yes"})

    entries = AuditEntry.objects.filter(target="saved view late").order_by("pk")
    assert [entry.action for entry in entries] == ["create", "change", "delete"]
    assert "@x" not in str([(entry.before, entry.after) for entry in entries]).replace("%40", "@")
    state = ExplorerState.from_query(entries[0].after["query"])
    assert (state.streams, state.q, state.filter) == (("orders",), "…", 'event.email == "…" && event.n > 3')
    assert entries[1].after["texts"] == "changed"


def test_a_shared_view_is_hidden_from_people_who_may_not_see_payloads(client_who_may, mika):
    view = SavedView.objects.create(name="ours", query="q=anna", owner=mika, shared=True)
    client = client_who_may("streams.view_stream", "streams.view_savedview", "streams.change_savedview")

    for page in (EXPLORER, "/admin/streams/savedview/"):
        assert "anna" not in client.get(page).content.decode()
    assert client.get(url("streams.savedview", "change", view.pk)).status_code == 302


def test_a_person_who_may_not_see_payloads_keeps_their_own_views(client_who_may, redis):
    client = client_who_may("streams.view_stream", "streams.view_savedview", "streams.add_savedview")

    save(client)

    assert [view.name for view in client.get(EXPLORER).context["views"]["own"]] == ["late"]
