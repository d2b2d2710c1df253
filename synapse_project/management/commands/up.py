"""`manage.py up`: runs everything on one machine. `make run` calls it."""

import contextlib
import os
import signal
import sys
import time
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand

from core import database
from synapse.redis.embedded import EmbeddedRedis, EmbeddedRedisError
from synapse.redis.embedded.endpoint import RECORD
from synapse.redis.embedded.server import ServerWatchdog
from synapse.runtime.supervisor import Supervisor
from synapse_project import installation, startup

POLL = 0.25


class Command(BaseCommand):
    help = (
        "Run everything on this machine: Redis (unless REDIS_URL names one), migrations, catalog, web server, bridges."
    )
    requires_system_checks: list[str] = []  # some query the database, which may not be running yet

    def handle(self, *_: Any, **__: Any) -> None:
        # All signals that ask for a stop raise KeyboardInterrupt, as Ctrl-C does. Under `nohup`, SIGHUP stays ignored.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler)
        up = Up()
        try:
            up.start()
            up.run()
        except KeyboardInterrupt:
            say("\nStopping ...")
        except (startup.CannotStart, EmbeddedRedisError) as error:
            self.stderr.write(f"synapse: {error}")
            sys.exit(1)
        finally:
            up.stop()
        say("Stopped.")


class Up:
    """All processes of `up`."""

    def __init__(self) -> None:
        self._supervisor = Supervisor(say=say)
        self._redis: EmbeddedRedis | None = None
        self._watch: ServerWatchdog | None = None
        self._is_recorded = False

    def start(self) -> None:
        """Start everything in order of dependency, and print the addresses."""
        self._supervisor.inherit(startup.hold_folder(settings.VAR_DIR, say))
        startup.require_free_port(settings.HOST, settings.PORT)
        startup.record_settings()
        self._is_recorded = True
        redis = self._start_redis()
        database.wait_for_database(say)
        startup.migrate(say)
        startup.apply_catalog()
        # A password from the settings must be valid as soon as the web server answers.
        login = startup.create_admin() if settings.ADMIN_PASSWORD else None
        startup.wait_until_healthy(startup.start_web(self._supervisor), say)
        startup.start_bridges(self._supervisor)
        # A generated password is created last, so that no failure can prevent the only time that it is shown.
        say(startup.describe_start(redis=redis, login=login or startup.create_admin()))

    def run(self) -> NoReturn:
        """Keep everything running until a signal raises KeyboardInterrupt."""
        while True:
            self.step()
            time.sleep(POLL)

    def step(self) -> None:
        """Check all processes once, and restart those that stopped."""
        if self._watch:
            self._watch.step()
        self._supervisor.step()

    def stop(self) -> None:
        """Stop everything, Redis last. After a second Ctrl-C, programs are killed before they finish their work."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if self._is_recorded:
            installation.forget(settings.VAR_DIR, os.environ)
        try:
            self._supervisor.stop()
        except KeyboardInterrupt:
            self._supervisor.kill()
        if self._redis:
            try:
                self._redis.stop()
            except (KeyboardInterrupt, EmbeddedRedisError) as error:
                say(f"The embedded Redis was left running; the next `up` finds it. {error}")

    def _start_redis(self) -> str:
        """Start the embedded Redis, or wait for the configured one. Return its description."""
        if settings.REDIS_URL:
            return startup.wait_for_redis(settings.REDIS_URL, say)
        self._redis = EmbeddedRedis(settings.EMBEDDED_REDIS_DIR, say=say)
        endpoint = self._redis.ensure_running()
        self._watch = ServerWatchdog(self._redis, endpoint)
        return f"{endpoint} (embedded Valkey, password in {settings.EMBEDDED_REDIS_DIR / RECORD})"


def say(line: str) -> None:
    """Print a line and flush it, for pipes. A closed terminal must not prevent `up` from stopping its programs."""
    with contextlib.suppress(OSError):
        print(line, flush=True)
