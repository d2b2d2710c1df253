"""Fixtures of all tests: a real Valkey, the platform's catalog, and both ways to ask (fast path and Django)."""

import faulthandler
import gc
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Set
from contextlib import closing, suppress
from functools import cache
from typing import Any

import httpx
import pytest
import redis as redis_py
from _pytest.faulthandler import fault_handler_stderr_fd_key
from django.db import connection, transaction
from django.template import Context, Template
from django.test import TransactionTestCase
from django.test.signals import template_rendered
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadFileScheduling

from core import catalog_version
from streams import connections, health
from streams.connections import shares_of, tails
from streams.snapshot import holder
from synapse.pull.cache import memory
from synapse.redis import SyncExecutor
from tests import migrated
from tests.both_ways import WAYS, DjangoAlone, EventLoopClient
from tests.chaos.profile import FULL, examples
from tests.compiled import compile_share
from tests.fork_server import forking
from tests.products import left_out
from tests.rings import Guard, mark_ring
from tests.valkey import Valkey, running_valkey

# Folders whose files share a server: one process runs all of each, and the server is started once.
OF_ONE_SERVER = ("browser", "acceptance", "hostile", "rough")
# It takes as long as all others of its folder together: another process runs it, on a server of its own.
APART = "tests/browser/test_accessibility.py"
# What takes longest, longest first: begun at the end, it would leave one of two workers with nothing to do.
LONG = (
    *OF_ONE_SERVER,
    *("scaling", "chaos", "bridges", "contracts", "admin", "cluster"),
    *("delivery", "pull", "live", "access", "flows", "embedded", "publish", "retention"),
    *("pii", "project", "alerts", "statistics", "websocket", "inspect", "framing"),
)

# Fixtures that pytest-django has each test use, for marks and parts of Django that are not used here. They take half of
# the time of a test that does nothing.
UNUSED = (
    *("_django_setup_unittest", "_dj_autoclear_mailbox", "_django_set_urlconf", "_django_isolate_apps"),
    *("_fail_for_invalid_template_variable", "_template_string_if_invalid_marker", "_django_clear_site_cache"),
    "_live_server_helper",
)

# In seconds. A hub has 180 to stop.
MOST_OF_A_TEARDOWN = 300

# What answers late, on a machine that is busy with something else, is no failure: five seconds by default.
httpx._config.DEFAULT_TIMEOUT_CONFIG.__dict__.update(httpx.Timeout(90).__dict__)
# A call reads the certificates of all authorities, which takes longer than all else of it: tests ask by the thousand.
httpx._transports.default.create_ssl_context = cache(httpx.create_ssl_context)
# Nor is a document that such a machine takes long to generate: Hypothesis judges that by the clock.
hypothesis_settings.register_profile(
    "any-machine", suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=examples(100)
)
hypothesis_settings.load_profile("any-machine")


guard = Guard()


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop() -> Iterator[object]:
    """Let all tests fork programs of Synapse from a process that has imported their modules."""
    with forking():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Let a test of the ring `unit` start no process."""
    guard.is_unit = item.get_closest_marker("unit") is not None
    try:
        return (yield)
    finally:
        guard.is_unit = False


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """End this process, with the stacks of all threads, when what is left of a test that failed hangs.

    pytest-timeout interrupts a test once, and Playwright, for one, never closes a browser that was interrupted.
    """
    stderr = node.config.stash[fault_handler_stderr_fd_key]
    faulthandler.dump_traceback_later(MOST_OF_A_TEARDOWN, exit=True, file=stderr)


def pytest_runtest_logfinish() -> None:
    """Take the limit away again, if there was one."""
    faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Let the garbage collector look at none of the thousands of tests, neither as they are made nor later."""
    gc.disable()
    used = session._fixturemanager._node_autousenames[session]
    used[:] = [name for name in used if name not in UNUSED]
    find_each_closure_once(session._fixturemanager)
    compile_share(session.config)
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()
        # As the product does: most objects of a test are gone before it looks.
        gc.set_threshold(50_000, 20, 100)


def find_each_closure_once(manager: Any) -> None:
    """Look once for the fixtures of all tests of one place that ask for the same ones.

    Each of them would be looked for among all fixtures of its name again, which takes a sixth of the collection.
    """
    found: dict[Any, tuple[list[str], dict[str, Any]]] = {}
    find = manager.getfixtureclosure

    def closure(parentnode: pytest.Item, initialnames: tuple[str, ...], ignore_args: Set[str]) -> Any:
        key = (parentnode.parent, initialnames, frozenset(ignore_args))
        if key not in found:
            found[key] = find(parentnode, initialnames, ignore_args)
        names, definitions = found[key]
        # Parameters change them.
        return [*names], {**definitions}

    manager.getfixtureclosure = closure


class ByFile(LoadFileScheduling):
    """Hands a file to one process, or a folder whose files share a server."""

    def _split_scope(self, nodeid: str) -> str:
        folder = "/".join(nodeid.split("/")[:2])
        shares = folder in {f"tests/{each}" for each in OF_ONE_SERVER} and not nodeid.startswith(APART)
        return folder if shares else super()._split_scope(nodeid)

    def remove_node(self, node: Any) -> str | None:
        """Hand on the tests of a process that has ended, but not the one that ended it, which would end the next."""
        units = self.assigned_work[node].values()
        unfinished = [(unit, test) for unit in units for test, is_done in unit.items() if not is_done]
        for unit, test in unfinished[:1]:
            unit[test] = True
        super().remove_node(node)
        return unfinished[0][1] if unfinished else None


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile | None:
    """Keep together what shares a server."""
    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Give each test its ring, leave out what only the full run has, and begin with the folders that take longest.

    `-m` asks for the rings, so they are given before it; pytest-django sorts by the use of the database, so the folders
    are sorted after it. Within a folder its order stays: tests that commit come after those that do not.
    """
    if not FULL and (left := left_out(items) | {item for item in items if item.get_closest_marker("nightly")}):
        items[:] = [item for item in items if item not in left]
        config.hook.pytest_deselected(items=[*left])
    for item in items:
        mark_ring(item)
    yield
    places = {folder: place for place, folder in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.nodeid.split("/")[1], len(LONG)))


def need(found: object, what: str) -> None:
    """Skip the test when a part of the machine is missing; under CI that is a failure."""
    if not found:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{what} is not installed")


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_modify_db_settings: None) -> bool:
    """Begin with a copy of the database that the run has made for programs, if it has; none outlives its process."""
    database = connection.settings_dict
    if is_of_sqlite := database["ENGINE"].endswith("sqlite3"):
        with suppress(FileNotFoundError):
            shutil.copyfile(migrated.database_of_run(), database["TEST"]["NAME"])
    return is_of_sqlite


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Begin with a catalog that has been changed before, which spares each test the statements of the first change.

    Copy SQLite's tables back after each test that commits: Django would empty them and make all permissions anew.
    """
    with django_db_blocker.unblock():
        catalog_version.bump()
    if connection.vendor != "sqlite":
        yield
        return
    with closing(sqlite3.connect(":memory:")) as made, pytest.MonkeyPatch.context() as patch:
        with django_db_blocker.unblock():
            connection.ensure_connection()
            connection.connection.backup(made)

        def restore(_: object) -> None:
            connection.ensure_connection()
            made.backup(connection.connection)

        patch.setattr(TransactionTestCase, "_fixture_teardown", restore)
        yield


@pytest.fixture(scope="session", autouse=True)
def each_change_in_a_transaction_of_its_own() -> Iterator[None]:
    """Let each change raise the catalog's number, also where a test's own transaction holds many that would commit."""
    is_raised = catalog_version._is_raised

    def is_raised_outside_of_tests() -> bool:
        blocks = transaction.get_connection().atomic_blocks
        return not any(block._from_testcase for block in blocks) and is_raised()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog_version, "_is_raised", is_raised_outside_of_tests)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_context_of_a_page() -> Iterator[None]:
    """Copy the context of a page for the test client once, and not again for each of the hundred templates in it."""

    def render(template: Template, context: Context) -> str:
        if context.template is template:
            template_rendered.send(sender=template, template=template, context=context)
        return template.nodelist.render(context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Template, "_render", render)
        yield


@pytest.fixture(scope="session", autouse=True)
def patient_prober() -> Iterator[None]:
    """What answers late, on a machine that is busy with something else, is not down."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ANSWER_WITHIN", "PATIENCE", "FRESH"):
            patch.setattr(health, name, 60.0)
        yield


@pytest.fixture(scope="session")
def valkey_of_session() -> Iterator[Valkey]:
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="session")
def client_of_session(valkey_of_session: Valkey) -> Iterator[redis_py.Redis]:
    with valkey_of_session.client() as client:
        yield client


@pytest.fixture
def redis(client_of_session: redis_py.Redis, valkey_of_session: Valkey, settings: object) -> Iterator[redis_py.Redis]:
    """The events' server, empty, as a plain client for arranging and looking; the project uses the same server."""
    with using(valkey_of_session, settings):
        client_of_session.flushall()
        yield client_of_session


@pytest.fixture
def own_valkey(settings: object) -> Iterator[Valkey]:
    """A server for this test alone: it may be killed, frozen and started again."""
    with running_valkey() as server, using(server, settings):
        yield server


class using:
    """The project's connections go to this server for as long as the block lasts."""

    def __init__(self, server: Valkey, settings: object) -> None:
        settings.REDIS_URL = server.url  # type: ignore[attr-defined]

    def __enter__(self) -> None:
        self._clear()

    def __exit__(self, *_: object) -> None:
        connections.executor().close()
        connections.durable_executor().close()
        self._clear()

    def _clear(self) -> None:
        connections.executor.cache_clear()
        connections.async_executor.cache_clear()
        tails.cache_clear()
        memory.cache_clear()
        connections.durable_executor.cache_clear()
        connections.durable_async_executors.clear()
        connections.counters.clear()


@pytest.fixture
def executor(redis: redis_py.Redis) -> SyncExecutor:
    """The project's own executor."""
    return connections.executor()


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    """No test sees the catalog of another, nor is refused for what another one still holds."""
    holder.forget()
    shares_of.cache_clear()
    connections.job_pool.cache_clear()
    yield
    holder.forget()
    shares_of.cache_clear()


@pytest.fixture
def define(db: None) -> Callable[..., object]:
    """Define a stream with event types: `define("orders", {"order-placed": schema_or_None}, layout="dual")`."""
    from tests.definitions import define

    return define


@pytest.fixture
def key_of(db: None) -> Callable[..., str]:
    """Issue a key: `key_of("billing", publishes=["orders"], subscribes=["orders/order-placed"], scopes=[...])`."""
    from tests.definitions import key_of

    return key_of


@pytest.fixture
def any_schema_may_follow(db: None) -> None:
    """Contracts may change in every way: for tests that are about something else."""
    from contracts.models import RegistrySettings

    RegistrySettings.objects.create(pk=1, compatibility="NONE")


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def ask(request: pytest.FixtureRequest, redis: redis_py.Redis, db: None) -> Iterator[EventLoopClient | DjangoAlone]:
    """Ask either way: `ask("POST", "/events/orders", body, headers={})` returns status, headers, body and json."""
    way = request.param()
    yield way
    way.close()


@pytest.fixture
def event_loop_client(redis: redis_py.Redis, db: None) -> Iterator[EventLoopClient]:
    """The event loop alone."""
    way = EventLoopClient()
    yield way
    way.close()
