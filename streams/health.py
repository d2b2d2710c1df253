"""Health checks, answered from the latest probes.

The prober repeatedly checks that Redis accepts writes and that the database answers. A result older than `FRESH`
seconds counts as down, so a hanging dependency is noticed. Where no prober runs (`runserver`, WSGI), each health check
probes by itself and waits `PATIENCE` seconds at most.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping

from django.db import Error as DatabaseError
from django.db import connection

from streams import connections
from synapse.http.exchange import Response, json_response
from synapse.redis import RedisUnavailable, RedisUnreachable, ReplyError, Server, SyncExecutor
from synapse.redis.server_checks import write_probes
from synapse.runtime.periodic import Periodic

logger = logging.getLogger(__name__)

EVERY = 0.5
ANSWER_WITHIN = 0.5
FRESH = 1.5
PATIENCE = 1.0

# By system ("redis", "database"): a sentence about its problem, "" for none.
Problems = Mapping[str, str]


class SystemDown(Exception):
    """The probed system does not work; the message is a sentence for the health check."""


class Probe:
    """Probes one system and keeps the latest result. `ask` raises `SystemDown` when the system does not work."""

    def __init__(self, name: str, ask: Callable[[], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._ask = ask
        self._clock = clock
        # The time of the last probe, by the clock, and the problem that it found ("" for none).
        self._at: float | None = None
        self._problem = ""
        self._failed_at: float | None = None

    def step(self) -> None:
        """Probe once, and keep the result."""
        try:
            self._ask()
        except SystemDown as down:
            problem = str(down)
        else:
            problem = ""
        if problem and not self._problem:
            logger.warning("%s", problem)
        elif self._problem and not problem:
            logger.info("%s works again", self._name)
        self._at, self._problem = self._clock(), problem
        if not problem:
            self._failed_at = None
        elif self._failed_at is None:
            self._failed_at = self._at

    def down_for(self) -> float | None:
        """Return the seconds since the system stopped working, None while it works."""
        began = self._at if self._failed_at is None else self._failed_at
        return self._clock() - began if began is not None and self.problem() else None

    def problem(self) -> str:
        """Return the problem of the latest probe, "" for none."""
        if self._at is None:
            return f"{self._name} does not answer."
        age = self._clock() - self._at
        return f"{self._name} has not answered for {age:.1f} s." if age > FRESH else self._problem


class Prober:
    """Probes Redis and the database, each in its own thread and on its own connection."""

    def __init__(self) -> None:
        self._server = connections.server()
        self._executor = SyncExecutor(Server(locate=self._server.locate, timeout=ANSWER_WITHIN))
        self.redis = Probe("Redis", self._ask_redis)
        self.database = Probe("The database", _query_database)
        self._work = [
            Periodic("health of Redis", EVERY, self.redis.step),
            Periodic("health of the database", EVERY, self.database.step),
        ]

    def start(self) -> None:
        """Probe once, waiting up to `PATIENCE` seconds, then start the threads."""
        self.ask_once()
        for work in self._work:
            work.start()

    def stop(self) -> None:
        """Stop probing, and close the connection."""
        for work in self._work:
            work.stop()
        self._executor.close()

    def ask_once(self) -> None:
        """Probe both systems at the same time, waiting `PATIENCE` seconds at most."""
        probes = (self.redis, self.database)
        threads = [threading.Thread(target=_ask_alone, args=[probe], daemon=True) for probe in probes]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + PATIENCE
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def problems(self) -> Problems:
        """Return the problem of each system by its latest probe."""
        return {"redis": self.redis.problem(), "database": self.database.problem()}

    def _ask_redis(self) -> None:
        try:
            replies = self._executor.execute(write_probes(self._executor.server))
        except RedisUnreachable as problem:
            raise SystemDown(problem.detail) from problem
        except RedisUnavailable as problem:
            raise SystemDown("Redis does not answer.") from problem
        refused = next((reply for reply in replies if isinstance(reply, ReplyError)), None)
        if refused is not None:
            raise SystemDown(f"Redis takes no events: {refused}.")


def _ask_alone(probe: Probe) -> None:
    try:
        probe.step()
    finally:
        connection.close()


def _query_database() -> None:
    try:
        with connection.cursor() as cursor:
            # Selects from a table, because SQLite answers a bare SELECT 1 without reading its file.
            cursor.execute("SELECT 1 FROM django_migrations LIMIT 1")
            cursor.fetchone()
    except DatabaseError as error:
        # The next probe opens a new connection. The message may name users and hosts, so it is logged only at level
        # DEBUG.
        connection.close()
        logger.debug("the database: %s", error)
        raise SystemDown(f"The database does not answer ({type(error).__name__}).") from error


_running: Prober | None = None


def start() -> None:
    """Start a prober in this process; a second call changes nothing."""
    global _running  # noqa: PLW0603 - one a process
    if _running is None:
        _running = Prober()
        _running.start()


def stop() -> None:
    """Stop the prober."""
    global _running  # noqa: PLW0603
    if _running is not None:
        _running.stop()
        _running = None


def latest_problems() -> Problems | None:
    """Return the latest problems found by this process's prober, None when no prober runs."""
    return None if _running is None else _running.problems()


def redis_down_for() -> float | None:
    """Return the seconds since Redis stopped working, None while it works or when no prober runs."""
    return None if _running is None else _running.redis.down_for()


def check_now() -> Problems:
    """Return the current problems; without a running prober this takes up to `PATIENCE` seconds."""
    if (known := latest_problems()) is not None:
        return known
    once = Prober()
    once.ask_once()
    once.stop()
    return once.problems()


SERVICE = "synapse"
_STARTED = time.monotonic()


def answer_health(problems: Problems) -> Response:
    """Answer `GET /health`: 200 when Redis and the database work, else 503 with the problems."""
    wrong = " ".join(filter(None, problems.values()))
    parts = {name: "down" if problem else "ok" for name, problem in problems.items()}
    if wrong:
        return _answer_unavailable({"status": "unhealthy", "service": SERVICE, "error": wrong, **parts})
    return json_response({"status": "healthy", "service": SERVICE, **parts})


def answer_readiness(problems: Problems) -> Response:
    """Answer `GET /readyz`: 200 when events can be published, which needs Redis alone, else 503."""
    if problems["redis"]:
        return _answer_unavailable({"ready": False, "redis_status": "down"})
    return json_response({"ready": True, "redis_status": "ok"})


def answer_liveness() -> Response:
    """Answer `GET /healthz`: 200 with the process's `uptime` in seconds. Nothing else is checked."""
    return json_response({"healthy": True, "service": SERVICE, "uptime": int(time.monotonic() - _STARTED)})


def _answer_unavailable(value: Mapping[str, object]) -> Response:
    return json_response(value, status=503, headers={"Retry-After": "1"})
