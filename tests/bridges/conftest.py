"""Workers for the tests: by hand, without waiting."""

import os
import ssl
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from streams import connections
from synapse.delivery import membership
from synapse.delivery.membership import Subscription
from synapse.delivery.webhooks import target
from synapse.delivery.worker import Worker
from synapse.redis import SyncExecutor
from tests.bridges.cast import AT_ONCE, GROUP, STREAM, Bridge, KeepingSink
from tests.bridges.installation import Installation
from tests.bridges.notified import Receivers
from tests.bridges.sinks import CHAT, HANDLERS, SECRET
from tests.conftest import using
from tests.valkey import Valkey, running_valkey


@pytest.fixture
def durable_valkey(settings: Any) -> Iterator[Valkey]:
    """A server of the test's own that keeps its data when it is killed."""
    with running_valkey("--appendonly", "yes", "--appendfsync", "always") as server, using(server, settings):
        yield server


@pytest.fixture
def no_redis(redis: Any, settings: Any) -> Iterator[None]:
    """A server that nobody reaches, from here on."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    connections.executor.cache_clear()
    yield
    connections.executor.cache_clear()


@pytest.fixture
def send(executor: SyncExecutor) -> Callable[..., Any]:
    """Send one command and return its parsed reply."""
    return lambda command: executor.execute([command])[0]


@pytest.fixture
def handlers(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The handlers of the tests are allowed, and their processes use this one's data folder."""
    settings.BRIDGE_HANDLERS = HANDLERS
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "synapse_project.settings")
    monkeypatch.setenv("SYNAPSE_VAR", str(settings.VAR_DIR))


@cache
def _tls(authorities: str, create: Callable[[], ssl.SSLContext] = ssl.create_default_context) -> ssl.SSLContext:
    return create()


@pytest.fixture
def webhooks(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Webhooks may reach this machine, there is a secret to sign with, and the authorities are read once for all."""
    monkeypatch.setattr(ssl, "create_default_context", lambda: _tls(os.environ.get("SSL_CERT_FILE", "")))
    settings.WEBHOOK_ALLOW = target.read_allowed(["127.0.0.1"])
    settings.BRIDGE_SECRETS = {"SYNAPSE_SECRET_SHOP": SECRET, "SYNAPSE_SECRET_OPS_CHAT": CHAT}


@pytest.fixture
def receivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Receivers]:
    """Chats, pagers and mail servers on this machine, which notifications may reach."""
    receivers = Receivers(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(receivers.authority.file))
    monkeypatch.syspath_prepend(str(tmp_path))
    settings.WEBHOOK_ALLOW = target.read_allowed(["127.0.0.1"])
    yield receivers
    receivers.close()


@pytest.fixture
def bridge() -> Iterator[Callable[..., Bridge]]:
    """Make a worker: `bridge(sink, lease_ms=0, drain=True)`; options of the subscription or the worker."""
    executors = []

    def make(sink: Any = None, **options: Any) -> Bridge:
        executor = SyncExecutor(connections.server())
        executors.append(executor)
        kept: list[str] = []
        sink = sink or KeepingSink()
        known = (
            "drain",
            "count",
            "clock",
            "stop",
            "types_of",
            "only",
            "where",
            "together",
            "rate",
            "paused",
            "disable",
            "impersonal",
            "worth_ahead",
        )
        of_worker = {name: options.pop(name) for name in known if name in options}
        if options.get("lease_ms") == 0:
            # Such a lease is over as soon as any time passes; a sink could begin nothing.
            of_worker.setdefault("clock", lambda: 0.0)
            options.setdefault("retry", AT_ONCE)
        subscription = Subscription(
            **{"stream": STREAM, "group": GROUP, "consumer": membership.new_consumer_name(), "block_ms": 0, **options}
        )
        worker = Worker(subscription, executor=executor, sink=sink, say=kept.append, **of_worker)
        return Bridge(worker, sink, kept)

    yield make
    for executor in executors:
        executor.close()


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """A data folder whose database is made and whose catalog is defined."""
    installation = Installation(tmp_path_factory.mktemp("bridges"))
    installation.prepare()
    return installation


@pytest.fixture
def installation(installed: Installation, redis: Any, valkey_of_session: Valkey) -> Iterator[Installation]:
    """An installation on the tests' server; its processes end with the test."""
    installed.url = valkey_of_session.url
    yield installed
    installed.end()
