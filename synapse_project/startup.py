"""The steps of `manage.py up`, one function each, and its warning about open authentication.

A failed step raises `CannotStart` with one clear line.
"""

import http.client
import os
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import Error as DatabaseError
from django.db import connection

from bridges import snapshot as bridges
from core import catalog_version, database
from core.database import SystemUnavailable, database_name, reason_of, wait_for
from streams import kept_snapshot
from streams.snapshot import holder
from synapse.redis import RedisUnavailable, ReplyError, Server, SyncExecutor
from synapse.redis.address import is_loopback
from synapse.redis.commands import streams as stream_commands
from synapse.runtime import periodic, ports, private_files, process
from synapse.runtime.supervisor import Child, Supervisor
from synapse_project import installation

_CLOSED = "A key is needed for all but the admin:  manage.py issue_key SERVICE  prints one (docs/access.md)."


def auth_banner(auth: str, host: str) -> str:
    """Return a warning or a note about authentication for a web server that listens on `host`."""
    if auth != "open":
        return _CLOSED
    who = f"every client that reaches this machine over the network (HOST is {host})"
    if is_loopback(host):
        who = "every program on this machine"
    lines = [
        f"OPEN: {who} may publish, read and change everything, without a key.",
        "To close it:  make run SYNAPSE_AUTH=required  and a key for each service:  manage.py issue_key SERVICE",
    ]
    return "\n".join(f"  !!  {line}" for line in lines)


ADMIN = "admin"
# Seconds that processes of a killed `up` may take to notice it and stop.
LEFTOVERS_PATIENCE = 25.0
HEALTH_PATIENCE = 60.0
POLL = 0.05
# The summary names at most this many bridges.
_MOST_NAMES = 5

Say = Callable[[str], None]


class CannotStart(Exception):
    """Synapse cannot start. The message is one line that says why and what to do."""


def hold_folder(folder: Path, say: Say) -> int:
    """Lock the data folder for this `up`. Return the lock's descriptor, which programs that `up` starts inherit.

    Raises:
        CannotStart: when another `up` uses this folder.
    """
    path = folder / installation.UP_LOCK
    deadline = time.monotonic() + LEFTOVERS_PATIENCE
    told = False
    while (lock := private_files.take_lock(path)) is None:
        holder = path.read_text(encoding="ascii").strip()
        is_running = holder.isascii() and holder.isdigit() and process.is_alive(int(holder))
        if is_running or time.monotonic() > deadline:
            raise CannotStart(f"Synapse runs already on {folder} (process {holder}); stop it first: kill {holder}")
        if not told:
            say("Waiting for the web server of the last run to stop.")
            told = True
        time.sleep(POLL)
    os.truncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode("ascii"))
    return lock


def record_settings() -> None:
    """Record this installation's settings for management commands in other shells."""
    installation.record(
        settings.VAR_DIR,
        os.environ,
        database=installation.database_of(settings.DATABASES["default"]),
        redis=installation.redis_of(settings.REDIS_URL, settings.EMBEDDED_REDIS_DIR),
    )


def require_free_port(host: str, port: int) -> None:
    """Check that the web server can listen on the port.

    Raises:
        CannotStart: when it cannot listen there.
    """
    try:
        free = ports.is_free(host, port)
    except OSError as error:
        raise CannotStart(f"The web server cannot listen on {host}:{port}: {error.strerror or error}.") from error
    if not free:
        other = port + 1000 if port + 1000 < 65_536 else 9002
        raise CannotStart(f"Port {port} is taken by another program. Choose another one: make run PORT={other}")


def wait_for_redis(url: str, say: Say) -> str:
    """Wait until the Redis at `url` answers. Return its address without the password."""
    server = Server(locate=lambda: url, timeout=settings.REDIS_TIMEOUT)
    executor = SyncExecutor(server)

    def ask() -> None:
        try:
            (reply,) = executor.execute([stream_commands.ping()])
        except RedisUnavailable as error:
            raise SystemUnavailable(reason_of(error)) from error
        if isinstance(reply, ReplyError):
            raise SystemUnavailable(str(reply))

    wait_for(f"Redis at {server.address()}", ask, say)
    executor.close()
    return str(server.address())


def migrate(say: Say) -> None:
    """Migrate the database. If several processes start at once, one migrates and the others wait."""
    say("Preparing the database ...")
    with periodic.report_long_work(say, "Preparing the database"):
        call_command("migrate", verbosity=0, interactive=False)


def load_catalog(say: Say, sleep: Callable[[float], None] = time.sleep) -> None:
    """Load the catalog. If the database is unavailable, use the stored copy; without one, wait for the database."""

    def ask() -> None:
        try:
            holder.refresh()
        except DatabaseError as error:
            connection.close()
            if not database.is_database_away(error):
                raise
            reason = reason_of(error)
            try:
                kept = kept_snapshot.file.read()
            except kept_snapshot.NotKept as why:
                raise SystemUnavailable(f"{reason}; there is no kept catalog: {why}") from error
            holder.adopt(kept)
            say(f"{database_name()} is away ({reason}); events are published by version {kept.version} of the catalog")

    wait_for(database_name(), ask, say, sleep)


def apply_catalog() -> None:
    """Apply the optional catalog file if the installation has never had definitions.

    Deleted definitions do not come back, because the catalog's version number, which decides, never falls.
    """
    if settings.CATALOG_FILE is not None and catalog_version.current() == 0:
        call_command("catalog", "apply", str(settings.CATALOG_FILE), only_new=True)


def create_admin() -> str:
    """Create the user `admin` if there is no superuser yet. Return a sentence on how to log in."""
    users = get_user_model().objects
    # Another machine may be starting with the same database.
    with database.hold_lock():
        if users.filter(is_superuser=True).exists():
            return "log in as before"
        if users.filter(username=ADMIN).exists():
            return "no superuser yet: manage.py createsuperuser"
        password = settings.ADMIN_PASSWORD or secrets.token_urlsafe(12)
        try:
            validate_password(password, get_user_model()(username=ADMIN))
        except ValidationError as error:
            raise CannotStart(f"SYNAPSE_ADMIN_PASSWORD: {' '.join(error.messages)}") from None
        users.create_superuser(ADMIN, password=password)
    if settings.ADMIN_PASSWORD:
        return f"user {ADMIN}, password from SYNAPSE_ADMIN_PASSWORD"
    return f"user {ADMIN}, password {password}  (shown this once)"


def start_web(supervisor: Supervisor) -> Child:
    """Start the web server and keep it running."""
    return supervisor.add("web server", [sys.executable, str(settings.BASE_DIR / "manage.py"), "serve"])


def start_bridges(supervisor: Supervisor) -> Child:
    """Start the process that runs the enabled bridges, and keep it running."""
    return supervisor.add(
        "process of the bridges", [sys.executable, str(settings.BASE_DIR / "manage.py"), "consume", "--all"]
    )


def wait_until_healthy(web: Child, say: Say) -> None:
    """Wait until the web server reports that it is healthy.

    Raises:
        CannotStart: when the server ends, or is not healthy within a minute.
    """
    deadline = time.monotonic() + HEALTH_PATIENCE
    with periodic.report_long_work(say, "Starting the web server"):
        while (found := _check_health()) != "answers 200":
            if how := web.exit_description():
                raise CannotStart(f"The web server {how} before it answered; see above.")
            if time.monotonic() > deadline:
                raise CannotStart(f"The web server is not healthy after {HEALTH_PATIENCE:.0f} s: /health {found}.")
            time.sleep(0.5 if found.startswith("answers") else POLL)


def describe_start(*, redis: str, login: str) -> str:
    """Return the summary of a start as a text: addresses, access, and first steps."""
    api = f"http://{_host_in_urls(settings.HOST)}:{settings.PORT}"
    key = "" if settings.AUTH == "open" else ' -H "Authorization: Bearer $SYNAPSE_API_KEY"'
    return f"""
Synapse is running.

  API     {api}    documentation {api}/docs
  Admin   {api}/admin/    {login}
  Redis   {redis}
  Bridges {_describe_bridges()}
  Data    {settings.VAR_DIR}

{auth_banner(settings.AUTH, settings.HOST)}

{_describe_first_steps(api, key)}

Ctrl-C stops all of it.
"""


def _describe_first_steps(api: str, key: str) -> str:
    """Return example commands for the existing streams."""
    streams = holder.current().streams
    if not streams:
        return f"""There is no stream yet. Define one: {api}/admin/streams/stream/add/
  or apply a file:  manage.py catalog apply FILE"""
    if (models := streams.get("model-events")) is None or "model-deprecated" not in models.event_types:
        return f"""Try it:
  curl{key} '{api}/streams'
  curl{key} '{api}/streams/{min(streams)}/messages?count=10'
What a stream takes, and a form that sends a test event: {api}/admin/streams/stream/"""
    return f"""Try it:
  curl {api}/events/model-events{key} -H 'Content-Type: application/json' \\
       -d '{{"event_type": "model-deprecated", "model_name": "task-classifier-v1"}}'
  curl{key} '{api}/streams/model-events/messages?count=10'"""


def _describe_bridges() -> str:
    """Return the number and names of the enabled bridges as a text."""
    names = [bridge.name for bridge in bridges.holder.current().values() if bridge.enabled]
    shown = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    return f"{len(names)} enabled{': ' if names else ''}{shown}"


def _check_health() -> str:
    """Return the result of GET /health as a text: "answers 200", another status, or the reason why there is no
    answer.
    """
    caller = http.client.HTTPConnection(ports.local_host_for(settings.HOST), settings.PORT, timeout=5)
    try:
        caller.request("GET", "/health")
        return f"answers {caller.getresponse().status}"
    except (OSError, http.client.HTTPException) as error:
        return f"gives no answer ({reason_of(error)})"
    finally:
        caller.close()


def _host_in_urls(host: str) -> str:
    """Return the host for URLs used on this machine, for a server that listens on `host`."""
    reached = ports.local_host_for(host)
    return {"127.0.0.1": "localhost", "::1": "[::1]"}.get(reached, f"[{reached}]" if ":" in reached else reached)
