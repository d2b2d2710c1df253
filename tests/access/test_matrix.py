"""The authorisation matrix: every route, as every kind of caller, on the fast path and in Django."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import orjson
import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.test import Client, override_settings
from django.utils import timezone

from bridges.models import Bridge
from core import catalog_version
from streams.access import key_issuance
from streams.connections import shares_of, tails
from streams.models import Grant, Key, Service, Stream
from streams.snapshot import holder
from synapse.auth.key_rights import WORDS
from synapse.auth.permission import Requirement, rights_of
from synapse.auth.principal import SYSTEM, Rights
from synapse.http.exchange import identify_as_anonymous
from synapse.server.body_limits import SMALL
from synapse.shares import CallerId, Shares
from synapse_project.endpoints import ENDPOINTS, ROUTES
from tests.access.rows import EVENT_TYPE, ROWS, STREAM, SUBJECT, Rule, admin_paths, routes
from tests.both_ways import DjangoAlone, EventLoopClient
from tests.chaos.profile import FULL
from tests.conftest import using
from tests.definitions import define
from tests.tables import for_each

pytestmark = pytest.mark.django_db

ON_EVENT_LOOP = {(route.method, route.path) for route in ROUTES}
# Which ask nobody who they are: they take of no service's share.
OPEN_TO_ALL = {(route.method, route.path) for route in ROUTES if route.identify is identify_as_anonymous}
UNSEEN = "There is nothing here that you may see."
WRONG = "syn_live_abcdefgh_" + "x" * 38
# Keys that are refused as a request without one is.
NOT_GOOD = ("wrong", "revoked", "expired")
EVIL = ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"})
# Where the installation has made no such role, what it would hold.
ROLES = {
    "viewer": ["streams.view_stream", "contracts.view_contract", "bridges.view_bridge"],
    "editor": ["streams.view_stream", "contracts.view_contract", "contracts.add_contract", "contracts.change_contract"],
    "operator": ["streams.view_stream", "streams.view_payload", "bridges.view_bridge", "bridges.change_bridge"],
}
BODY = {
    "stream": STREAM,
    "event_type": EVENT_TYPE,
    "consumer_group": "analytics",
    "consumer_name": "one",
    "block_ms": 0,
    "entry_ids": ["1-0"],
    "payload": {},
}


@dataclass
class House:
    """Both ways to ask and every kind of caller: headers of keys, sessions of people, and the rights of each."""

    express: EventLoopClient
    django: DjangoAlone
    keys: dict[str, dict[str, str]] = field(default_factory=dict)
    people: dict[str, Client] = field(default_factory=dict)
    rights: dict[str, Rights] = field(default_factory=dict)
    spare: str = ""


@pytest.fixture(scope="module")
def house(django_db_setup, django_db_blocker, valkey_of_session) -> Iterator[House]:
    """One house for all routes: what one changes, none of the others minds."""
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        stack.enter_context(override_settings(AUTH="required"))
        stack.enter_context(using(valkey_of_session, settings))
        outer = transaction.atomic()
        outer._from_testcase = True
        outer.__enter__()
        house = House(EventLoopClient(), DjangoAlone())
        _people_the(house)
        yield house
        house.express.close()
        transaction.set_rollback(True)
        outer.__exit__(None, None, None)
        holder.forget()


def _people_the(house: House) -> None:
    define(STREAM, {EVENT_TYPE: {"type": "object"}})
    define("agi-decisions", {"decision-made": None})
    stream = Stream.objects.get(name=STREAM)
    Bridge.objects.create(name="analytics", stream=stream, group="analytics", sink="pull")
    words = list(WORDS)
    full = _key(house, "full", STREAM, words)
    _key(house, "other scope", STREAM, [])
    _key(house, "other stream", "agi-decisions", words)
    for name, change in (
        ("revoked", {"revoked_at": timezone.now()}),
        ("expired", {"expires_at": timezone.now() - timedelta(seconds=1)}),
    ):
        row = _key(house, name, STREAM, words)
        Key.objects.filter(pk=row.pk).update(**change)
    house.keys |= {"no key": {}, "wrong": {"x-api-key": WRONG}}
    house.spare = _key(house, "spare", STREAM, []).key_id
    del house.keys["spare"]
    assert full.service.name == "full"
    for role in (*ROLES, "superuser"):
        _person(house, role)
    # What no role has, somebody may be given by name; with an operator's rights they may pull.
    _person(house, "personal editor", role="editor", also="streams.view_personal")
    _person(house, "personal operator", role="operator", also="streams.view_personal")


def _key(house: House, name: str, stream: str, scopes: list[str]) -> Key:
    service = Service.objects.create(name=name.replace(" ", "-"))
    for action in Grant.Action:
        Grant.objects.create(service=service, action=action, stream=stream)
    issued = key_issuance.issue(service.name, by=SYSTEM, scopes=scopes)
    house.keys[name] = {"authorization": f"Bearer {issued.text}"}
    house.rights[name] = holder.refresh().keys_by_id[issued.key.key_id].rights
    return issued.key


def _person(house: House, name: str, *, role: str = "", also: str = "") -> None:
    role = role or name
    user = User.objects.create_user(name, is_staff=True, is_superuser=role == "superuser")
    if (made := Group.objects.filter(name=role).first()) is not None:
        user.groups.add(made)
    for wanted in (*(ROLES.get(role, ()) if made is None else ()), *([also] if also else [])):
        app, codename = wanted.split(".")
        permission = Permission.objects.filter(content_type__app_label=app, codename=codename).first()
        if permission is None:
            kind = ContentType.objects.get_for_model(Stream)
            permission = Permission.objects.create(content_type=kind, codename=codename, name=codename)
        user.user_permissions.add(permission)
    house.people[name] = Client(headers={"host": "localhost"})
    house.people[name].force_login(user)
    house.rights[name] = rights_of(User.objects.get(pk=user.pk))


@contextmanager
def undone() -> Iterator[None]:
    """Take back what the block changes, as the end of a test does: each row of a table begins in the same house."""
    version = catalog_version.current()
    inner = transaction.atomic()
    inner._from_testcase = True
    with inner:
        yield
        transaction.set_rollback(True)
    # The next change has the same number.
    if holder.loaded is not None and holder.loaded.version != version:
        holder.forget()


def address(house: House, path: str) -> str:
    filled = path.format(
        stream=STREAM,
        event_type=EVENT_TYPE,
        group="analytics",
        id="1-0",
        subject=SUBJECT,
        version="1",
        guid="0" * 8,
        service="spare",
        key_id=house.spare,
        silence="1",
        namespace="-",
        resource=STREAM,
        anything="permissions",
    )
    # What would go on for ever, or be large, ends with the first look at the question.
    if path.endswith("/live"):
        return f"{filled}?since=never"
    # Lines of JSON are no JSON document.
    return f"{filled}?format=csv" if path == "/export/events" else filled


def expected(house: House, rule: Rule, caller: str) -> str:
    if rule.to_strangers:
        return "let in"
    if caller in ("no key", "wrong", "revoked", "expired"):
        return "401"
    rights = house.rights[caller]
    if rule.allows(rights, is_person=caller in house.people):
        return "let in"
    return "403" if rule.sight and rights.has(rule.sight) else rule.refusal


def found(status: int, body: bytes) -> str:
    """Return in words how a caller was answered."""
    # 501: the way that does not serve it. 503: a thread, which does not see the rows of the test.
    assert status < 500 or status in (501, 503), (status, body)
    if status in (401, 403):
        return str(status)
    value = orjson.loads(body) if body[:1] in (b"{", b"[") else None
    if isinstance(value, dict) and value.get("message") == UNSEEN:
        assert status == 404
        return "nothing there"
    return "empty list" if value == [] else "let in"


def test_every_route_has_a_row_and_no_row_is_for_a_route_that_is_gone():
    assert routes() == set(ROWS)


def test_only_listed_endpoints_are_open_to_all_or_to_any_key():
    open_to_all = {each.name for each in ENDPOINTS if each.requires.open_to_all}
    with_any_key = {each.name for each in ENDPOINTS if each.requires == Requirement()}

    assert open_to_all == {"health", "liveness", "readiness"}
    # They list what is visible to their caller, and let nobody watch more.
    assert with_any_key == {
        "list_streams",
        "search_events",
        "export_events",
        "find_events",
        "live_ticket_of_many",
        "watch_streams",
        "open_websocket",
    }


@for_each("number, method, path", [(number, *row) for number, row in enumerate(sorted(ROWS))])
def test_a_route_lets_in_exactly_the_callers_with_its_right(house, number, method, path):
    rule, where, body = ROWS[method, path], address(house, path), orjson.dumps(BODY)
    ways = [house.django, house.express] if (method, path) in ON_EVENT_LOOP else [house.django]
    # Of the keys that are not good each route is asked with one, and in the full run with all.
    passed_over = set() if FULL else {*NOT_GOOD} - {NOT_GOOD[number % len(NOT_GOOD)]}

    with undone():
        answers = {
            (caller, way.name): way(method, where, body, headers)
            for way in ways
            for caller, headers in house.keys.items()
            if caller not in passed_over
        }
        answers |= {
            (caller, "django"): client.generic(method, where, body, content_type="application/json")
            for caller, client in house.people.items()
        }

    came = {who: found(status_of(answer), body_of(answer)) for who, answer in answers.items()}
    wanted = {who: expected(house, rule, who[0]) for who in came}
    # A list that is empty for other reasons says nothing about who asks.
    if rule.refusal != "empty list":
        came = {who: "let in" if what == "empty list" else what for who, what in came.items()}
    assert came == wanted


@for_each("number, method, path", [(number, *row) for number, row in enumerate(sorted(ROWS))])
def test_an_offer_to_leave_http_changes_no_answer(house, number, method, path):
    rule, where, body = ROWS[method, path], address(house, path), orjson.dumps(BODY)
    offer = {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c"}
    # Each route is asked with the key of the most rights and with one of the others, and in the full run with all.
    others = ["no key", "other scope", "expired", "other stream"]
    for caller in ("full", *(others if FULL else [others[number % len(others)]])):
        # A thread of Django's that changes something waits for the test's own transaction.
        if (method, path) not in ON_EVENT_LOOP and method != "GET" and expected(house, rule, caller) == "let in":
            continue

        with undone():
            answers = [house.express(method, where, body, {**house.keys[caller], **more}) for more in ({}, offer)]

        without, offering = ((answer.status, found(answer.status, answer.body)) for answer in answers)
        assert offering == without, caller


def shares_of_route(house: House, method: str, path: str) -> dict[str, tuple[Shares, bytes]]:
    """Return what a route takes of its caller's share on its way, each with a body that takes it."""
    door, small = house.express.door, orjson.dumps(BODY)
    shares = {"open-connections": (door.connections.shares, small)}
    if (method, path) not in ON_EVENT_LOOP:
        waiting = door.django.pool_of(method, address(house, path).partition("?")[0]).requests
        shares[waiting.resource.name] = (waiting, small)
    if method in ("POST", "PUT"):
        shares["body-memory"] = (shares_of("body-memory"), b" " * (SMALL + 1))
    if path.endswith("/live"):
        shares["live-seats"] = (tails().shares, small)
    if path == "/export/events":
        shares["event-exports"] = (shares_of("event-exports"), small)
    return shares


@for_each("number, method, path", [(number, *row) for number, row in enumerate(sorted(ROWS))])
def test_a_caller_whose_share_is_used_up_is_refused_and_another_one_is_served(house, number, method, path):
    where, full = address(house, path), CallerId("service", "full")
    # Of the others each route is asked with one, and in the full run with both.
    callers = ["other stream", "no key"] if FULL else [("other stream", "no key")[number % 2]]
    for name, (shares, body) in shares_of_route(house, method, path).items():
        with undone(), shares.holding(full, shares.limits.per_caller):
            refused = house.express(method, where.removesuffix("?since=never"), body, house.keys["full"])
            others = [
                house.express(method, where, body, house.keys[caller])
                for caller in callers
                # A thread of Django's that changes something waits for the test's own transaction.
                if method == "GET"
                or (method, path) in ON_EVENT_LOOP
                or expected(house, ROWS[method, path], caller) != "let in"
            ]

        if (method, path) in OPEN_TO_ALL:
            assert refused.status in (200, 503), name  # 503: what nobody watches in a test
            continue
        assert refused.status == 429, name
        assert refused.json["type"] == "urn:synapse:problem:share-used-up"
        assert (refused.json["resource"], int(refused.headers["retry-after"]) > 0) == (name, True)
        for other in others:
            assert b"share-used-up" not in other.body, name
            assert b"problem:busy" not in other.body, name


@for_each("number, method, path", [(number, *row) for number, row in enumerate(sorted(ROWS)) if row[0] != "GET"])
def test_where_access_is_open_no_route_lets_a_page_of_another_site_change_anything(house, number, method, path):
    # Of the two signs of another site each route is shown one, and in the full run both.
    for origin in EVIL if FULL else [EVIL[number % 2]]:
        # What a page can send without asking first: a form's content type, and no body.
        headers = {"content-type": "text/plain", **origin}

        with undone(), override_settings(AUTH="open"):
            answers = [way(method, address(house, path), b"", headers) for way in (house.django, house.express)]

        assert {(answer.status, answer.json["type"]) for answer in answers} == {
            (403, "urn:synapse:problem:foreign-origin")
        }


@pytest.mark.parametrize("path", ["/health", "/streams", "/streams/{stream}/messages", "/registry/subjects"])
def test_where_access_is_open_a_get_from_another_site_is_served_without_cors_headers(house, path):
    with override_settings(AUTH="open"):
        answers = [
            way("GET", address(house, path), headers={"origin": "http://evil.example"})
            for way in (house.django, house.express)
        ]

    assert {found(answer.status, answer.body) for answer in answers} <= {"let in", "empty list"}
    assert not any("access-control-allow-origin" in answer.headers for answer in answers)


def test_a_page_of_another_site_with_a_key_is_admitted_where_keys_are_required(house):
    headers = {**house.keys["full"], "origin": "http://evil.example", "sec-fetch-site": "cross-site"}

    answers = [
        way("POST", f"/events/{STREAM}/validate", orjson.dumps(BODY), headers) for way in (house.django, house.express)
    ]

    assert [answer.status for answer in answers] == [200, 200]


def test_the_credentials_that_a_browser_adds_by_itself_serve_no_page_of_another_site(house):
    key = house.keys["full"]["authorization"].removeprefix("Bearer ")
    basic = {"authorization": f"Basic {b64encode(f':{key}'.encode()).decode()}"}
    ask = [("POST", f"/events/{STREAM}/validate", orjson.dumps(BODY))] * 2

    for way in (house.django, house.express):
        own, foreign = (
            way(*one, {**basic, "origin": origin}).status
            for one, origin in zip(ask, ("http://localhost", "http://evil.example"), strict=True)
        )

        assert (own, foreign) == (200, 403), way.name


def test_only_people_who_may_see_pii_and_act_on_groups_can_pull(house):
    def came(client, verb):
        return client.post(f"/v1/{verb}", orjson.dumps(BODY), content_type="application/json").status_code

    for verb in ("read", "ack", "nack", "extend"):
        let_in = {name for name, client in house.people.items() if came(client, verb) != 403}

        assert let_in == {"superuser", "personal operator"}, verb


def test_no_spelling_of_a_route_lets_an_anonymous_caller_in(house):
    for (method, path), rule in ROWS.items():
        if rule.to_strangers:
            continue
        where = address(house, path).partition("?")[0]

        answers = [house.django(*one).status for one in ((method, f"{where}/"), ("OPTIONS", where), ("HEAD", where))]
        answers += [house.express(method, f"{where}/?x=/healthz").status]

        assert set(answers) == {401}, (method, path)


def test_an_admin_page_sends_visitors_without_a_session_to_the_login(house):
    pages = [path for path in admin_paths() if path not in ("/admin/login/", "/admin/logout/")]
    assert len(pages) > 50

    for path in pages:
        for caller in ("no key", "full"):
            answer = house.django("GET", path, headers=house.keys[caller])

            assert answer.status == 302, path
            assert answer.headers["location"].startswith("/admin/login/?next="), path


def status_of(answer) -> int:
    return getattr(answer, "status", None) or answer.status_code


def body_of(answer) -> bytes:
    return getattr(answer, "body", None) or getattr(answer, "content", b"")
