"""Django's threads are shared: nobody takes all of them, and nobody waits behind somebody else's queue."""

import asyncio
import threading

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from synapse_project import django_lane
from synapse_project.django_callers import KnownSessions, quotas_of
from synapse_project.django_lane import DjangoLane
from synapse_project.thread_pools import FairPool, Part, PoolFull, PoolLimits, Quota

LIMITS = PoolLimits(whole=Part(2, 4), caller=Part(1, 2), address=Part(1, 2), anonymous=Part(1, 3))
ANNA, BO = [Quota("anna", 1, 2)], [Quota("bo", 1, 2)]


def of_address(address):
    return [Quota(address, 1, 2), Quota("anonymous", 1, 3)]


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

    def __init__(self, limits=LIMITS):
        self.pool, self.work, self.sent = FairPool("test", limits), Work(), {}

    async def send(self, name, quotas):
        self.sent[name] = asyncio.create_task(self.pool.run(quotas, self.work, name))
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


def on_stage(limits=LIMITS):
    """Run a test's coroutine with a stage of its own."""

    def decorate(test):
        def run():
            async def main():
                stage = Stage(limits)
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

    with pytest.raises(PoolFull) as refused:
        await stage.sent["anna 3"]
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "2"})
    await stage.end("bo")


@on_stage()
async def test_all_anonymous_callers_together_have_a_part_of_the_threads_and_of_the_queue(stage):
    for number in range(4):
        await stage.send(f"stranger {number}", of_address(f"192.0.2.{number}"))

    await stage.send("one more", of_address("192.0.2.9"))
    await stage.send("anna", ANNA)

    assert await stage.begun("anna") == ["stranger 0", "anna"]
    with pytest.raises(PoolFull):
        await stage.sent["one more"]


@on_stage()
async def test_when_the_queue_is_full_everybody_is_refused(stage):
    callers = [[Quota(name, 2, 9)] for name in "abcdef"]
    for number, caller in enumerate(callers):
        await stage.send(number, caller)

    await stage.send("one more", [Quota("g", 2, 9)])

    with pytest.raises(PoolFull):
        await stage.sent["one more"]
    await stage.end(0, 1)
    await stage.send("again", [Quota("g", 2, 9)])
    assert not stage.sent["again"].done()


@on_stage(PoolLimits(whole=Part(1, 9), caller=Part(1, 9), address=Part(1, 9), anonymous=Part(1, 9)))
async def test_callers_take_turns(stage):
    for name in ("first", "anna 1", "anna 2", "anna 3", "bo 1", "bo 2"):
        await stage.send(name, [Quota(name.split()[0], 1, 9)])

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
async def test_who_waits_and_is_cancelled_leaves_the_queue(stage):
    for name in ("anna 1", "anna 2", "anna 3"):
        await stage.send(name, ANNA)

    stage.sent.pop("anna 2").cancel()
    await stage.settled()
    await stage.send("anna 4", ANNA)

    await stage.end("anna 1", "anna 3", "anna 4")
    assert stage.work.begun == ["anna 1", "anna 3", "anna 4"]


@pytest.mark.parametrize("limits", [django_lane.GENERAL, django_lane.PASSWORDS, django_lane.PYTHON_CODE])
def test_nobody_has_all_of_a_queue_and_anonymous_callers_leave_a_part_of_it(limits):
    assert limits.caller.waiting < limits.whole.waiting
    assert limits.address.waiting <= limits.anonymous.waiting < limits.whole.waiting
    assert limits.whole.threads == 1 or limits.anonymous.threads < limits.whole.threads


def pool_of(method, path):
    lane = DjangoLane()
    names = {lane._general: "general", lane._passwords: "passwords", lane._python_code: "python code"}
    return names[lane._pool(method, path)]


@pytest.mark.parametrize(
    ("name", "arguments"),
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


@pytest.mark.parametrize(
    "path",
    ["/", "/admin/", "/admin/login", "/admin/logout/", "/admin/auth/user/", "/admin/auth/user/7/change/"]
    + ["/admin/contracts/contract/1/versions/2/schema/", "/registry/subjects", "/x/admin/login/"],
)
def test_all_else_shares_the_general_threads(path):
    assert pool_of("POST", path) == "general"


def quota_names(headers, sessions=None):
    return [quota.name for quota in quotas_of(headers, "2001:db8::1", sessions or KnownSessions(), LIMITS)]


def test_a_good_key_is_counted_for_its_service_and_another_for_an_anonymous_caller(settings, key_of):
    settings.AUTH = "required"
    key = key_of("billing")

    assert quota_names({"x-api-key": key}) == ["service:billing"]
    assert quota_names({"x-api-key": key[:-1] + "x"}) == ["2001:db8::/64", "anonymous"]
    assert quota_names({}) == ["2001:db8::/64", "anonymous"]


def test_where_access_is_open_an_address_is_a_caller_like_others(settings, db):
    settings.AUTH = "open"

    assert quota_names({}) == ["2001:db8::/64"]


@pytest.mark.django_db
def test_a_session_is_a_persons_once_django_has_answered_with_it(settings):
    settings.AUTH = "required"
    anna = User.objects.create_superuser("anna", password="a long way home")
    now = [0.0]
    sessions, client = KnownSessions(lambda: now[0]), Client()
    answer = client.post("/admin/login/", {"username": "anna", "password": "a long way home"})
    headers = {"cookie": f"a=b; {settings.SESSION_COOKIE_NAME}={client.session.session_key}"}
    assert quota_names(headers, sessions) == ["2001:db8::/64", "anonymous"]

    sessions.learn(answer.wsgi_request.META)

    assert quota_names(headers, sessions) == [f"person:{anna.pk}"]
    assert quota_names({"cookie": f"{settings.SESSION_COOKIE_NAME}=invented"}, sessions)[-1] == "anonymous"
    now[0] = 600.0
    assert quota_names(headers, sessions)[-1] == "anonymous"


@pytest.mark.django_db
def test_an_invented_session_is_not_learnt(settings):
    settings.AUTH = "required"
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = "invented"
    sessions = KnownSessions()

    sessions.learn(client.get("/admin/", follow=False).wsgi_request.META)

    assert quota_names({"cookie": f"{settings.SESSION_COOKIE_NAME}=invented"}, sessions)[-1] == "anonymous"


def test_sessions_that_are_known_are_bounded(settings):
    sessions = KnownSessions()

    for number in range(5000):
        sessions.learn({"synapse.person": (f"session-{number}", "1")})

    cookie = settings.SESSION_COOKIE_NAME
    assert sessions.person({"cookie": f"{cookie}=session-4999"}) == "person:1"
    assert sessions.person({"cookie": f"{cookie}=session-0"}) is None
