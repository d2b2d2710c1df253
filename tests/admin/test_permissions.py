"""Every page of the admin, as a person of each role, matches the tables of docs/people.md."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, reverse
from django.utils import timezone

from alerts.models import AlertRule, Silence
from bridges.models import ArchivedEvent, Bridge, Secret
from contracts.models import Contract
from core import audit
from core.models import Role
from streams.access import key_issuance
from streams.models import EventType, Grant, SavedView, Service, Stream
from streams.snapshot import holder
from synapse.auth.permission import ACTIONS, SCOPES
from synapse.auth.principal import SYSTEM
from synapse_project.roles import ROLES
from tests.admin.pages import leave_pages_undrawn
from tests.chaos.profile import FULL
from tests.definitions import contract, define

DOCUMENT = Path(__file__, "../../../docs/people.md").resolve().read_text(encoding="utf-8")
VERBS = {"sees": "view", "adds": "add", "changes": "change", "deletes": "delete"}
# Whoever may log in to the admin sees these; what they list is asked for one by one.
FOR_ALL = {
    *("index", "login", "logout", "password_change", "password_change_done", "jsi18n", "search", "app_list"),
    *("autocomplete", "view_on_site", "home_parts"),
}
NEVER_WRITTEN = ("core.auditentry", "bridges.archivedevent")


def rows_of(first_column: str) -> list[list[str]]:
    """Return the cells of the table that begins with this column."""
    lines = DOCUMENT[DOCUMENT.index(f"| {first_column} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


PAGES = {
    name: (None if look == "—" else quoted(look), None if act == "—" else quoted(act))
    for _, look, act, _, _, _, names in rows_of("Page")
    for name in quoted(names)
}
MODELS = {quoted(name)[0]: dict(zip(ROLES, cells, strict=True)) for _, name, *cells in rows_of("Definition")}


def urls_of_the_admin() -> Iterator[str]:
    """Give the names of all URLs of the admin."""
    waiting: list[Any] = list(admin.site.urls[0])
    while waiting:
        each = waiting.pop()
        if isinstance(each, URLResolver):
            waiting += each.url_patterns
        elif isinstance(each, URLPattern) and each.name:
            yield each.name


def needs(name: str) -> tuple[list[str] | None, list[str] | None]:
    """Return the permissions that looking and acting take on a page; None where there is nothing of the kind."""
    if name in PAGES:
        return PAGES[name]
    model, page = ".".join(name.split("_")[:2]), name.split("_")[2]
    app, kind = model.split(".")
    view, add, change, delete = (f"{app}.{action}_{kind}" for action in ("view", "add", "change", "delete"))
    if model in NEVER_WRITTEN and page in ("add", "delete"):
        return ["nobody"], ["nobody"]
    if model in NEVER_WRITTEN and page == "change":
        return [view, *(["streams.view_payload"] if kind == "archivedevent" else [])], ["nobody"]
    return {
        "changelist": ([view], None),
        "history": ([view], None),
        "add": ([add], [add]),
        "change": ([view], [change]),
        "delete": ([delete], [delete]),
    }[page]


class Scene:
    """One of everything, with which each page has an address."""

    def __init__(self, redis: Any) -> None:
        numbered = contract("orders.order-placed", {"properties": {"n": {"type": "integer"}}}).contract
        contract("orders.order-placed", {"properties": {"n": {"type": "integer"}, "m": {}}})
        self.stream = define("orders")
        self.event_type = EventType.objects.create(stream=self.stream, name="order-placed", contract=numbered)
        redis.xadd("orders", {"event_type": "order-placed", "n": 1}, id="1-1")
        redis.xgroup_create("orders", "warehouse", "0")
        service = Service.objects.create(name="shop")
        self.key = key_issuance.issue(service.name, by=SYSTEM).key.key_id
        bridge = Bridge.objects.create(name="b", stream=self.stream, group="b", sink="console")
        archived = ArchivedEvent.objects.create(
            bridge=bridge, stream="orders", entry_id="1-1", event={}, occurred_at="2026-01-01T00:00Z",
            published_at="2026-01-01T00:00Z",
        )  # fmt: skip
        self.numbered = numbered
        mika = User.objects.create_user("mika")
        self.rows = {
            "streams.stream": Stream.objects.create(name="unused"),
            "streams.eventtype": self.event_type,
            "streams.service": service,
            "streams.savedview": SavedView.objects.create(name="late", owner=mika, shared=True),
            "streams.grant": Grant.objects.create(service=service, action="publish", stream="orders"),
            "contracts.contract": Contract.objects.create(subject="not-numbered"),
            "bridges.bridge": bridge,
            "alerts.alertrule": AlertRule.objects.create(name="slow", condition="lag_seconds"),
            "alerts.silence": Silence.objects.create(
                reason="being mended", ends_at=timezone.now() + timedelta(hours=1), created_by="mika"
            ),
            "bridges.secret": Secret.objects.create(name="s", value="x"),
            "bridges.archivedevent": archived,
            "core.auditentry": audit.record(SYSTEM, "create", "stream orders"),
            "core.role": Role.objects.create(name="of our own"),
            "auth.user": mika,
        }
        holder.forget()

    def address(self, name: str) -> str:
        """Return the address of a page."""
        model, page = ".".join(name.split("_")[:2]), "_".join(name.split("_")[2:])
        if page in ("change", "delete", "history", "password_change"):
            arguments: list[Any] = [self.rows[model].pk]
        elif name in ("contracts_contract_verdict_of_new", "contracts_contract_rules_of_all"):
            arguments = []
        elif model == "contracts.contract" and name in PAGES:
            is_numbered = page in ("version", "deprecate", "restore", "delete_version", "schema", "python")
            arguments = [self.numbered.pk, *([1] if is_numbered else [])]
        elif page in ("pause", "resume", "try_out", "end"):
            arguments = [self.rows[model].pk]
        elif page in ("publish", "draft"):
            arguments = [self.event_type.pk]
        elif model == "streams.service" and name in PAGES and page != "integration":
            arguments = [self.rows[model].pk, *([] if page == "keys" else [self.key])]
        elif name == "bridges_bridge_statistics":
            arguments = [self.rows[model].pk]
        elif page in ("messages", "import", "groups", "group_new", "statistics", "refusals"):
            arguments = [self.stream.pk]
        elif page in ("message", "publish_again"):
            arguments = [self.stream.pk, "1-1"]
        elif page == "dead_letters_one":
            arguments = [self.stream.pk, "warehouse", "1-1"]
        elif page.startswith("dead_letters_") or page.split("_")[0] == "group":
            arguments = [self.stream.pk, "warehouse"]
        else:
            arguments = []
        return reverse(f"admin:{name}", args=arguments)

    def ask(self, client: Client, method: str, name: str) -> int:
        """Ask for a page, and leave the database as it was."""
        with transaction.atomic():
            answer = client.generic(method, self.address(name), "save=1", "application/x-www-form-urlencoded")
            transaction.set_rollback(True)
        if method != "GET":
            holder.forget()
        return int(answer.status_code)


@pytest.fixture
def scene(redis, db) -> Scene:
    return Scene(redis)


def person_with(role: str) -> tuple[Client, set[str]]:
    """Log in a person with a role, or with none; return the client and the person's permissions."""
    if role == "superuser":
        user = User.objects.create_superuser("boss")
    else:
        user = User.objects.create_user("anna", is_staff=True)
        user.groups.set(Role.objects.filter(name=role))
    client = Client()
    client.force_login(user)
    return client, user.get_all_permissions()


OURS = sorted(set(urls_of_the_admin()) - FOR_ALL)


def test_every_page_is_in_the_tables():
    standard = {
        f"{model.replace('.', '_')}_{page}"
        for model in MODELS
        for page in ("changelist", "history", "add", "change", "delete")
    }

    assert set(OURS) == standard | set(PAGES)


def test_every_permission_that_a_page_or_a_scope_takes_exists(db):
    known = {f"{app}.{name}" for app, name in Permission.objects.values_list("content_type__app_label", "codename")}
    named = {each for pair in PAGES.values() for one in pair if one for each in one}
    scopes = {each for permissions in (*SCOPES.values(), *ACTIONS.values()) for each in permissions}

    assert named | scopes <= known


def test_the_table_of_scopes_is_the_code_s():
    told = {scope: tuple(quoted(takes)) for scopes, takes in rows_of("Scope") for scope in quoted(scopes)}

    assert told == SCOPES


def permissions_of(role: str) -> set[str]:
    held = Role.objects.get(name=role).permissions
    return {f"{app}.{name}" for app, name in held.values_list("content_type__app_label", "codename")}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_what_the_tables_say(db, role):
    permissions = permissions_of(role)

    for model, cells in MODELS.items():
        app, kind = model.split(".")
        told = {f"{app}.{VERBS[verb]}_{kind}" for verb in cells[role].split(", ") if verb != "—"}
        assert told == {f"{app}.{verb}_{kind}" for verb in VERBS.values()} & permissions, model
    for row in rows_of("Page"):
        may = dict(zip(ROLES, row[3:6], strict=True))[role]
        looks, acts = (None if cell == "—" else permissions.issuperset(quoted(cell)) for cell in row[1:3])
        assert may == (", ".join(word for word, is_so in (("looks", looks), ("acts", acts)) if is_so) or "—"), row[0]
    assert "streams.view_personal" not in permissions
    assert not any(each.startswith(("auth.", "core.add", "core.change")) for each in permissions)


@pytest.mark.parametrize("role", ["editor", "operator", *(["viewer", "nobody"] if FULL else []), "superuser"])
def test_each_role_gets_what_it_may_and_403_for_the_rest(scene, role, monkeypatch):
    client, permissions = person_with(role)
    # A page is refused before it is drawn. In the full run pages are drawn for all roles, and asked for as all; else
    # `test_no_page_of_the_admin_tells_the_canary` draws each.
    if not FULL:
        leave_pages_undrawn(monkeypatch)
    # A superuser may do all. In the ordinary run they are asked for what no other role may do.
    others = [permissions_of(each) for each in ("editor", "operator")] if role == "superuser" and not FULL else []

    wrong = []
    for method, place in (("GET", 0), ("POST", 1)):
        for name in OURS:
            takes = needs(name)[place]
            if takes is None or any(each.issuperset(takes) for each in others):
                continue
            status = scene.ask(client, method, name)
            if (status != 403) != permissions.issuperset(takes) or status >= 500:
                wrong.append((method, name, status))
    assert wrong == []


@pytest.mark.parametrize(
    "path", ["streams/stream/{}/messages/1-1/", "streams/stream/{}/refusals/", "bridges/bridge/{}/statistics/"]
)
def test_a_person_without_the_right_does_not_learn_which_rows_exist(scene, path):
    client, _ = person_with("nobody")
    there = Bridge.objects.first() if path.startswith("bridges") else Stream.objects.first()

    answers = [client.get(f"/admin/{path.format(pk)}") for pk in (there.pk, 999_999)]

    assert [answer.status_code for answer in answers] == [403, 403]


def test_an_anonymous_visitor_is_asked_to_log_in_on_every_page(scene):
    stranger = Client()

    wrong = []
    for name in OURS:
        for method in ("GET", "POST"):
            with transaction.atomic():
                answer = stranger.generic(method, scene.address(name))
            if answer.status_code != 302 or not answer["Location"].startswith("/admin/login/?next="):
                wrong.append((method, name, answer.status_code))
    assert wrong == []


def test_a_role_is_brought_back_to_what_it_was(db, django_capture_on_commit_callbacks):
    from synapse_project import roles

    viewer = Role.objects.get(name="viewer")
    before = set(viewer.permissions.all())
    viewer.permissions.add(Permission.objects.get(codename="view_personal"))

    roles.restore_roles()

    assert set(viewer.permissions.all()) == before


class TestPeople:
    """A person who may edit people cannot raise their own permissions."""

    @pytest.fixture
    def clerk(self, db) -> Client:
        user = User.objects.create_user("clerk", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(content_type__app_label="auth", codename__endswith="_user"))
        client = Client()
        client.force_login(user)
        return client

    def test_rights_are_a_superusers_to_give(self, clerk):
        user = User.objects.get(username="clerk")
        form = {"username": "clerk", "is_active": "on", "is_staff": "on", "is_superuser": "on", "first_name": "C"}
        rights = {"user_permissions": [each.pk for each in Permission.objects.all()[:5]], "groups": [1]}

        clerk.post(reverse("admin:auth_user_change", args=[user.pk]), form | rights)

        user.refresh_from_db()
        assert (user.first_name, user.is_superuser, user.groups.count()) == ("C", False, 0)
        assert user.user_permissions.count() == 4

    @pytest.mark.parametrize("page", ["change", "delete", "password_change"])
    def test_superusers_are_not_theirs_to_change(self, clerk, page):
        boss = User.objects.create_superuser("boss", password="the old one")

        answer = clerk.post(reverse(f"admin:auth_user_{page}", args=[boss.pk]), {"post": "yes"})

        assert answer.status_code == 403
        assert User.objects.get(username="boss").check_password("the old one")

    @pytest.mark.parametrize("page", ["change", "delete", "password_change"])
    def test_users_with_more_permissions_cannot_be_edited_deleted_or_given_a_password(self, clerk, page):
        anna = User.objects.create_user("anna", password="the old one")
        anna.user_permissions.set(Permission.objects.filter(codename="view_payload"))

        answer = clerk.post(reverse(f"admin:auth_user_{page}", args=[anna.pk]), {"post": "yes"})

        assert answer.status_code == 403
        assert User.objects.get(username="anna").check_password("the old one")

    def test_a_person_who_was_added_gets_in_and_has_no_rights(self, admin_client):
        form = {"username": "mika", "usable_password": "true", "password1": "a long way", "password2": "a long way"}

        admin_client.post(reverse("admin:auth_user_add"), form)

        mika = User.objects.get(username="mika")
        assert (mika.is_staff, mika.get_all_permissions()) == (True, set())
