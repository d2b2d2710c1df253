"""Lists in the admin answer only declared lookups: none reveals a value that the person may not see."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.filters import FieldListFilter
from django.contrib.auth.models import Permission, User
from django.db.models import DateTimeField, Field, ForeignObjectRel, JSONField
from django.test import Client, RequestFactory
from django.urls import reverse

from bridges.models import ArchivedEvent
from core.admin.base import RestrictedAdmin
from core.models import AuditEntry, Role
from streams.models import EventType, Grant, Service, Stream
from synapse_project.roles import ROLES
from tests.admin.pages import leave_pages_undrawn, text_of, url
from tests.admin.test_permissions import MODELS as TABLE
from tests.chaos.profile import FULL
from tests.tables import for_each

ADMINS = sorted(admin.site._registry.items(), key=lambda pair: pair[0]._meta.label)
LABELS = [model._meta.label_lower for model, _ in ADMINS]
PEOPLE = ["anonymous", "nobody", *ROLES, "custom", "superuser"]
LOOKUPS = (
    *("", "__exact", "__iexact", "__startswith", "__istartswith", "__endswith", "__contains", "__icontains"),
    *("__gt", "__gte", "__lt", "__lte", "__regex", "__iregex", "__isnull", "__in", "__range", "__year", "__len"),
)
KEYS = ("user_id", "user_id__startswith", "customer__email__regex", "0", "has_key", "has_any_keys", "contained_by")
SECRETS = {
    "auth.user": ["password", "password__startswith", "logentry__object_repr__contains"],
    "core.role": ["user__password__startswith", "user__email__regex"],
    "bridges.secret": ["value__startswith", "previous__isnull"],
    "streams.service": ["keys__digest__startswith", "keys__secret_hash", "grants__stream__startswith"],
    "streams.stream": ["bridges__config__url__startswith", "bridges__archived_events__event__user_id__startswith"],
    "bridges.bridge": ["archived_events__source__startswith", "stream__bridges__archived_events__event__a"],
    "bridges.archivedevent": ["bridge__stream__bridges__archived_events__source", "bridge__config__url__contains"],
    "core.auditentry": ["before__event__email__startswith", "after__has_key"],
    "contracts.contract": ["versions__schema__text__contains"],
    "streams.eventtype": ["stream__bridges__archived_events__event__user_id", "example__email__startswith"],
    "streams.grant": ["service__keys__digest__startswith"],
}
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def paths_of(model: Any, *, depth: int = 2) -> Iterator[str]:
    """Give the paths of all fields of a model, and of those that they lead to."""
    for field in model._meta.get_fields():
        name = field.name if not isinstance(field, ForeignObjectRel) else field.get_accessor_name() or field.name
        yield from {name, field.name}
        if isinstance(field, JSONField):
            yield from (f"{field.name}__{key}" for key in KEYS)
        if isinstance(field, DateTimeField):
            yield from (f"{field.name}__{part}" for part in ("date", "hour", "year__gt", "time"))
        if field.is_relation and field.related_model and depth:
            yield from (f"{field.name}__{path}" for path in paths_of(field.related_model, depth=depth - 1))


def lookups_of(model: Any) -> set[str]:
    """Return every lookup that somebody could try on a model's list."""
    found = {f"{path}{lookup}" for path in ("pk", *paths_of(model)) for lookup in LOOKUPS}
    return found | set(SECRETS.get(model._meta.label_lower, ()))


def offered(of: Any, request: Any) -> set[str]:
    """Return the parameters that the filters of a list read, as Django's own filters say."""
    found: set[str] = set()
    for each in of.get_list_filter(request):
        if hasattr(each, "parameter_name"):
            found.add(each.parameter_name)
            continue
        path, *given = each if isinstance(each, tuple) else (each,)
        make = given[0] if given else FieldListFilter.create
        found |= set(make(of.model._meta.get_field(path), request, {}, of.model, of, path).expected_parameters())
    return found


def person(name: str) -> User:
    if name == "superuser":
        return User.objects.create_superuser("boss")
    user = User.objects.create_user(name, is_staff=True)
    if name == "custom":
        # All but seeing what is personal.
        user.user_permissions.set(Permission.objects.exclude(codename="view_personal"))
    else:
        user.groups.set(Role.objects.filter(name=name))
    return user


def logged_in(name: str) -> Client:
    client = Client()
    if name != "anonymous":
        client.force_login(person(name))
    return client


@pytest.fixture
def rows(db: None) -> None:
    """Rows that a filter could tell apart."""
    stream = Stream.objects.create(name="orders")
    Stream.objects.create(name="parcels")
    EventType.objects.create(stream=stream, name="order-placed")
    Grant.objects.create(service=Service.objects.create(name="shop"), action="publish", stream="orders")
    archive("1-1", source="anna@example.org", event={"user_id": "anna"})
    archive("2-1", source="bo@example.org", event={"user_id": "bo"})


def archive(entry_id: str, **values: Any) -> ArchivedEvent:
    moments = {"occurred_at": NOW, "published_at": NOW}
    return ArchivedEvent.objects.create(**{"stream": "orders", "entry_id": entry_id, **moments, **values})


def test_every_registered_admin_is_a_restricted_one():
    assert set(LABELS) == set(TABLE)
    assert [model._meta.label for model, of in ADMINS if not isinstance(of, RestrictedAdmin)] == []


@pytest.mark.parametrize(("model", "of"), ADMINS, ids=LABELS)
def test_a_list_allows_the_lookups_of_its_filters_and_no_other(db, model, of):
    tried = lookups_of(model)
    for role in PEOPLE[1:]:
        request = RequestFactory().get("/")
        request.user = person(role)

        wanted = offered(of, request)

        allowed = {lookup for lookup in tried | wanted if of.lookup_allowed(lookup, "a", request)}

        assert allowed == wanted, role


@pytest.mark.parametrize(("model", "of"), ADMINS, ids=LABELS)
@for_each("role", PEOPLE if FULL else ["nobody", "custom", "superuser"])
def test_a_page_refuses_lookups_on_every_column_for_every_role(rows, monkeypatch, model, of, role):
    if not FULL:
        leave_pages_undrawn(monkeypatch)
    client = logged_in(role)
    address = url(model._meta.label_lower)
    plain = client.get(address)
    fields: list[Any] = [field for field in model._meta.get_fields() if isinstance(field, Field)]
    # One of them for each field, in turn: which of all there are is allowed is asked above, without a page.
    kinds = ("startswith", "gt", "regex")
    tried = [
        f"{field.name}__{lookup}" for n, field in enumerate(fields) for lookup in (kinds if FULL else kinds[n % 3 :: 3])
    ]
    tried += [f"{field.name}__user_id__startswith" for field in fields if isinstance(field, JSONField)]
    if not FULL and role != "superuser":
        # Each list asks its admin alike for each role, as above, so a few do.
        tried = tried[:2]

    wrong = []
    for lookup in [*tried, *SECRETS.get(model._meta.label_lower, ()), "pk__gt", "id__in"]:
        answer = client.get(address, {lookup: "[" if lookup.endswith("regex") else "a"})
        if answer.status_code != (400 if plain.status_code == 200 else plain.status_code):
            wrong.append((lookup, answer.status_code))
    assert wrong == []


@for_each("query", [{"purpose__startswith": "a"}, {"_to_field": "purpose"}])
def test_a_refused_lookup_is_a_line_of_the_log_without_a_traceback(admin_client, caplog, query):
    caplog.clear()

    assert admin_client.get(url("streams.stream"), query).status_code == 400

    assert [(record.levelname, record.exc_info) for record in caplog.records] == [("ERROR", None)]


@pytest.mark.parametrize(("model", "of"), ADMINS, ids=LABELS)
def test_filters_that_a_list_offers_work(admin_client, rows, monkeypatch, model, of):
    address = url(model._meta.label_lower)
    changes = admin_client.get(address).context["cl"]
    choices = [[*spec.choices(changes)] for spec in changes.filter_specs]
    more = ["?o=1.-2", "?p=1", "?all=", "?e=1", "?_popup=1", "?_to_field=id", "?_facets=True", "?q=a"]
    if not FULL:
        choices = [[*some[:2], *some[2:][-1:]] for some in choices]
        leave_pages_undrawn(monkeypatch)

    for query in [*(choice.get("query_string", "?") for some in choices for choice in some), *more]:
        assert admin_client.get(address + query).status_code == 200, query


def test_a_history_leads_to_the_entries_of_its_definition_alone(admin_client, rows):
    stream = Stream.objects.get(name="orders")
    for target in ("stream orders", "stream orders-2"):
        AuditEntry.objects.create(actor="x", action="create", target=target)

    page = admin_client.get(url("streams.stream", "history", stream.pk), follow=True)

    assert page.context["cl"].result_count == 1
    assert "stream orders-2" not in text_of(page)


@for_each("role", ["viewer", "editor", "operator", "custom"])
def test_the_archive_is_not_searched_by_a_source_that_may_be_masked(rows, monkeypatch, role):
    leave_pages_undrawn(monkeypatch)
    client = logged_in(role)

    counts = {q: client.get(url("bridges.archivedevent"), {"q": q}).context_data["cl"].result_count for q in
              ("anna@example.org", "nobody@example.org", "anna", "1-1")}  # fmt: skip

    assert counts == {"anna@example.org": 0, "nobody@example.org": 0, "anna": 0, "1-1": 1}


def test_a_person_who_may_see_pii_can_search_the_archive_by_source(admin_client, rows):
    page = admin_client.get(url("bridges.archivedevent"), {"q": "anna@example.org"})

    assert page.context["cl"].result_count == 1


@for_each("model, of", ADMINS)
def test_no_column_sorts_or_searches_what_is_not_shown(rows, admin_client, monkeypatch, model, of):
    leave_pages_undrawn(monkeypatch)
    hidden = {*getattr(of, "pii_columns", ()), *getattr(of, "secret_columns", ())}
    hidden |= {field.name for field in model._meta.get_fields() if isinstance(field, JSONField)}
    changes = admin_client.get(url(model._meta.label_lower)).context_data["cl"]

    sorts = {str(changes.get_ordering_field(name)).lstrip("-") for name in of.list_display}
    searches = {name.lstrip("^=@").partition("__")[0] for name in of.search_fields}

    assert sorts.isdisjoint(hidden)
    assert searches.isdisjoint(hidden - set(of.pii_columns))
    # Of another model nothing is searched but its name.
    assert {name for name in of.search_fields if "__" in name and not name.endswith("__name")} == set()


def test_an_action_on_all_rows_of_a_list_is_held_to_the_same_filters(admin_client, rows):
    body = {"action": "delete_selected", "_selected_action": [1], "select_across": "1", "post": "yes"}

    answer = admin_client.post(url("streams.stream") + "?purpose__startswith=a", body)

    assert answer.status_code == 400
    assert Stream.objects.count() == 2


def test_autocompletion_searches_names_and_takes_no_lookup(admin_client, rows):
    asked = {"app_label": "bridges", "model_name": "bridge", "field_name": "stream", "term": "orders"}

    found = admin_client.get(reverse("admin:autocomplete"), {**asked, "bridges__config__startswith": "x"})
    other = admin_client.get(reverse("admin:autocomplete"), {**asked, "field_name": "config"})

    assert [row["text"] for row in found.json()["results"]] == ["orders"]
    assert other.status_code == 403


@for_each("field", ["event", "source", "entry_id", "bridge__config", "nothing"])
def test_a_popup_names_rows_by_their_keys_only(admin_client, rows, field):
    answer = admin_client.get(url("bridges.archivedevent"), {"_popup": "1", "_to_field": field})

    assert answer.status_code == 400
