"""Django's threads are shared: no caller takes all of them, and none waits behind another caller's queue."""

import asyncio
import threading

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from streams.connections import shares_of
from synapse.shares import (
    AllInUse,
    CallerId,
    Limits,
    Shares,
    ShareUsedUp,
)
from synapse.shares.fair_pool import FairPool
from synapse.shares.resources import RESOURCES
from synapse_project.django_threads import DjangoHandler, KnownSessions
from tests.both_ways import EventLoopClient
from tests.tables import for_each

ANNA, BO = CallerId("person", "anna"), CallerId("person", "bo")
THREADS = Limits(total=2, per_caller=1, per_address=1, anonymous=1)
REQUESTS = Limits(total=6, per_caller=3, per_address=3, anonymous=4)


def of_address(number):
    return CallerId("address", f"192.0.2.{number}")


class Work:
    """Work that lasts until it is let go, and notes its beginning."""

    def __init__(self):
        self.begun = []
        self._go = {}

    def __call__(self, name):
        self.begun.append(name)
        assert self._of(name).wait(timeout=60)
        return name

    def let_go(self, *names):
        for name in names:
            self._of(name).set()

    def _of(self, name):
        return self._go.setdefault(name, threading.Event())


class Stage:
    """A pool, and requests that were sent to it."""

    def __init__(self, threads, requests):
        shares = Shares(RESOURCES["django-requests"], requests)
        self.pool, self.work, self.sent = FairPool("test", threads=threads, requests=shares), Work(), {}

    async def send(self, name, caller):
        self.sent[name] = asyncio.create_task(self.pool.run(caller, self.work, name))
        await self.settled()

    async def settled(self):
        for _ in range(5):
            await asyncio.sleep(0)

    async def end(self, *names):
        self.work.let_go(*names)
        for name in names:
            assert await self.sent[name] == name
        await self.settled()

    async def begun(self, *names):
        """Wait until these have begun, and return all that have, in their order."""
        while not set(names) <= set(self.work.begun):
            await asyncio.sleep(0.001)
        return self.work.begun

    async def close(self):
        self.work.let_go(*self.sent)
        await asyncio.gather(*self.sent.values(), return_exceptions=True)


def on_stage(threads=THREADS, requests=REQUESTS):
    """Run a test's coroutine with a stage of its own."""

    def decorate(test):
        def run():
            async def main():
                stage = Stage(threads, requests)
                try:
                    await test(stage)
                finally:
                    await stage.close()

            asyncio.run(main())

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return decorate


@on_stage()
async def test_a_caller_waits_behind_its_own_requests_and_others_do_not(stage):
    await stage.send("anna 1", ANNA)
    await stage.send("anna 2", ANNA)

    await stage.send("bo 1", BO)

    assert await stage.begun("anna 1", "bo 1") == ["anna 1", "bo 1"]
    await stage.end("anna 1")
    assert await stage.begun("anna 2") == ["anna 1", "bo 1", "anna 2"]


@on_stage()
async def test_a_caller_has_no_more_waiting_than_its_part_of_the_queue(stage):
    for number in range(3):
        await stage.send(f"anna {number}", ANNA)

    await stage.send("anna 3", ANNA)
    await stage.send("bo", BO)

    with pytest.raises(ShareUsedUp) as refused:
        await stage.sent["anna 3"]
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "2"})
    await stage.end("bo")


@on_stage()
async def test_all_anonymous_callers_together_have_a_part_of_the_threads_and_of_the_queue(stage):
    for number in range(4):
        await stage.send(f"anonymous {number}", of_address(number))

    await stage.send("one more", of_address(9))
    await stage.send("anna", ANNA)

    assert await stage.begun("anna") == ["anonymous 0", "anna"]
    with pytest.raises(AllInUse):
        await stage.sent["one more"]


@on_stage()
async def test_when_the_queue_is_full_everybody_is_refused(stage):
    for number in range(6):
        await stage.send(number, CallerId("person", f"{number}"))

    await stage.send("one more", ANNA)

    with pytest.raises(AllInUse) as refused:
        await stage.sent["one more"]
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "2"})
    await stage.end(0, 1)
    await stage.send("again", ANNA)
    assert not stage.sent["again"].done()


@on_stage(Limits(total=1, per_caller=1, per_address=1, anonymous=1))
async def test_callers_take_turns(stage):
    for name in ("first", "anna 1", "anna 2", "anna 3", "bo 1", "bo 2"):
        await stage.send(name, CallerId("person", name.split()[0]))

    for name in ("first", "anna 1", "bo 1", "anna 2", "bo 2", "anna 3"):
        await stage.end(name)

    assert stage.work.begun == ["first", "anna 1", "bo 1", "anna 2", "bo 2", "anna 3"]


@on_stage()
async def test_work_that_fails_gives_its_thread_back(stage):
    def fail():
        raise LookupError("no")

    with pytest.raises(LookupError):
        await stage.pool.run(ANNA, fail)

    await stage.send("anna", ANNA)
    await stage.end("anna")


@on_stage()
async def test_a_cancelled_request_leaves_the_queue(stage):
    for name in ("anna 1", "anna 2", "anna 3"):
        await stage.send(name, ANNA)

    stage.sent.pop("anna 2").cancel()
    await stage.settled()
    await stage.send("anna 4", ANNA)

    await stage.end("anna 1", "anna 3", "anna 4")
    assert stage.work.begun == ["anna 1", "anna 3", "anna 4"]


@pytest.mark.parametrize(
    "name",
    [
        "django-threads",
        "django-requests",
        "password-requests",
        "code-requests",
        "schema-requests",
        "costly-events",
        "back-test-requests",
    ],
)
def test_a_caller_cannot_take_a_whole_pool_and_anonymous_callers_leave_a_part(name, settings):
    settings.AUTH = "required"

    limits = shares_of(name).limits

    assert limits.per_caller < limits.total
    assert limits.per_address <= limits.anonymous < limits.total


def pool_of(method, path):
    way = DjangoHandler()
    names = {way._general: "general", way._passwords: "passwords", way._python_code: "python code"}
    names |= {way._schemas: "schemas", way._back_tests: "back-tests"}
    return names[way.pool_of(method, path)]


@for_each(
    "name, arguments",
    [
        ("login", []),
        ("password_change", []),
        ("auth_user_add", []),
        ("auth_user_password_change", [7]),
    ],
)
def test_forms_that_hash_a_password_have_a_thread_of_their_own(name, arguments):
    path = reverse(f"admin:{name}", args=arguments)

    assert [pool_of(method, path) for method in ("GET", "POST", "PUT")] == ["general", "passwords", "passwords"]


def test_python_code_is_written_in_a_thread_of_its_own():
    assert pool_of("GET", reverse("admin:contracts_contract_python", args=[1, 2])) == "python code"


@for_each(
    "path",
    [
        *("/registry/subjects/a/versions", "/registry/compatibility/subjects/a/versions/latest"),
        *("/registry/subjects/a/versions/", "/registry/compatibility/subjects/a/versions"),
        *("/admin/contracts/contract/add/", "/admin/contracts/contract/verdict/"),
        *("/admin/contracts/contract/1/change/", "/admin/contracts/contract/1/verdict/"),
        *("/admin/contracts/contract/1/activate/", "/admin/contracts/contract/1/versions/2/restore/"),
    ],
)
def test_requests_that_bring_a_schema_have_a_thread_of_their_own(path):
    assert [pool_of(method, path) for method in ("GET", "POST")] == ["general", "schemas"]


@pytest.mark.parametrize("path", ["/streams/s/event-types/t/backtest", "/admin/contracts/contract/1/back-test/"])
def test_back_tests_have_a_thread_of_their_own(path):
    assert [pool_of(method, path) for method in ("GET", "POST")] == ["general", "back-tests"]


@for_each(
    "path",
    [
        *("/", "/admin/", "/admin/login", "/admin/logout/", "/admin/auth/user/", "/admin/auth/user/7/change/"),
        *("/admin/contracts/contract/1/versions/2/schema/", "/registry/subjects", "/x/admin/login/"),
    ],
)
def test_all_else_shares_the_general_threads(path):
    assert pool_of("POST", path) == "general"


NETWORK = CallerId("address", "2001:db8::/64")


def caller(headers, sessions=None):
    lane = DjangoHandler()
    lane.sessions = sessions or lane.sessions
    return lane.sender_of("/registry/subjects", headers, "2001:db8::1").caller


@pytest.mark.parametrize("mode", ["required", "open"])
def test_a_good_key_is_counted_for_its_service_and_another_for_an_anonymous_caller(settings, key_of, mode):
    settings.AUTH = mode
    key = key_of("billing")

    assert caller({"x-api-key": key}) == CallerId("service", "billing")
    assert caller({"x-api-key": key[:-1] + ("y" if key.endswith("x") else "x")}) == NETWORK
    assert caller({}) == NETWORK


@pytest.mark.django_db
def test_a_session_is_a_persons_once_django_has_answered_with_it(settings):
    settings.AUTH = "required"
    User.objects.create_superuser("anna", password="a long way home")
    now = [0.0]
    sessions, client = KnownSessions(lambda: now[0]), Client()
    answer = client.post("/admin/login/", {"username": "anna", "password": "a long way home"})
    headers = {"cookie": f"a=b; {settings.SESSION_COOKIE_NAME}={client.session.session_key}"}
    assert caller(headers, sessions) == NETWORK

    sessions.remember(answer.wsgi_request.META)

    assert caller(headers, sessions) == CallerId("person", "anna")
    assert caller({"cookie": f"{settings.SESSION_COOKIE_NAME}=invented"}, sessions) == NETWORK
    now[0] = 600.0
    assert caller(headers, sessions) == NETWORK


@pytest.mark.django_db
def test_a_session_that_is_shown_to_the_api_is_a_persons_too(settings):
    settings.AUTH = "required"
    client = Client()
    client.force_login(User.objects.create_superuser("anna"), "django.contrib.auth.backends.ModelBackend")
    sessions = KnownSessions()

    answer = client.get("/registry/subjects")
    sessions.remember(answer.wsgi_request.META)

    assert answer.status_code == 200
    headers = {"cookie": f"{settings.SESSION_COOKIE_NAME}={client.session.session_key}"}
    assert caller(headers, sessions) == CallerId("person", "anna")


def test_a_session_without_the_token_of_a_form_is_refused_and_not_learnt(redis, db, settings):
    settings.AUTH = "required"
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("admin"))

    answer = client.post("/events/orders", {"event_type": "order-placed"}, content_type="application/json")

    assert answer.status_code == 403


@pytest.mark.django_db
def test_an_invented_session_is_not_learnt(settings):
    settings.AUTH = "required"
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = "invented"
    sessions = KnownSessions()

    sessions.remember(client.get("/admin/", follow=False).wsgi_request.META)

    assert caller({"cookie": f"{settings.SESSION_COOKIE_NAME}=invented"}, sessions) == NETWORK


def test_sessions_that_are_known_are_bounded(settings):
    sessions = KnownSessions()

    for number in range(5000):
        sessions.remember({"synapse.person": (f"session-{number}", "anna")})

    cookie = settings.SESSION_COOKIE_NAME
    assert sessions.find_person({"cookie": f"{cookie}=session-4999"}) == "anna"
    assert sessions.find_person({"cookie": f"{cookie}=session-0"}) is None


@pytest.fixture
def slow_login(monkeypatch):
    """Log-ins end when they are let go; all else is answered as ever."""
    go, answer = threading.Event(), DjangoHandler._run_handler

    def answer_late(way, environ):
        if environ["REQUEST_METHOD"] == "POST":
            assert go.wait(timeout=60)
        return answer(way, environ)

    monkeypatch.setattr(DjangoHandler, "_run_handler", answer_late)
    yield go
    go.set()


@pytest.fixture
def way(db, settings):
    settings.AUTH = "required"
    way = EventLoopClient()
    yield way
    way.close()


def test_while_log_ins_wait_the_registry_and_pages_answer_and_one_log_in_more_is_refused(way, key_of, slow_login):
    key = key_of("billing", scopes=["registry:read"])

    async def ask(method, path, **headers):
        return await way.ask(method, path, b"", {"host": "localhost", **headers})

    async def attack():
        shares = shares_of("password-requests")
        log_ins = [asyncio.create_task(ask("POST", "/admin/login/")) for _ in range(shares.limits.per_address)]
        while shares.used < len(log_ins):
            await asyncio.sleep(0.001)
        others = [await ask("POST", "/admin/login/"), await ask("GET", "/admin/login/")]
        others.append(await ask("GET", "/registry/subjects", **{"x-api-key": key}))
        slow_login.set()
        return others, await asyncio.gather(*log_ins)

    (one_more, page, subjects), log_ins = way.run(attack())

    assert (one_more.status, one_more.headers["retry-after"], one_more.json["type"]) == (
        429,
        "5",
        "urn:synapse:problem:share-used-up",
    )
    assert (page.status, subjects.status) == (200, 200)
    # Without Django's CSRF token nobody is logged in; they were all answered.
    assert {answer.status for answer in log_ins} == {403}
