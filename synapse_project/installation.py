"""The running installation on this machine, recorded for management commands in other shells.

`manage.py up` records its settings in `var/running/`, next to `manage.py`, or in `SYNAPSE_RECORDS`. A command in the
same folder adopts the settings that its own environment lacks, and names them on standard error. Secrets are never
recorded: a command prints their names, and reports if it uses another database or Redis.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings

from synapse.redis import RedisUnreachable
from synapse.redis.embedded import read_endpoint
from synapse.redis.embedded.endpoint import write_private
from synapse.runtime import private_files
from synapse.runtime.supervisor import LIFELINE
from synapse_project import setting_values
from synapse_project.environment import SECRETS_PREFIX, SETTINGS, is_secret, read_env_file

ROOT = Path(__file__).resolve().parent.parent
# The variable that names another folder for the records.
RECORDS = "SYNAPSE_RECORDS"
UP_LOCK = "up.lock"
# Commands that have settings of their own, or use no installation.
_APART = ("up", "chaos", "help", "version", "check", "makemigrations", "runserver", "test")
# These variables select the Redis together, so they are adopted all or not at all.
_OF_REDIS = frozenset(setting.name for setting in SETTINGS if setting.name.startswith("REDIS_"))
# Only `up` itself needs these.
_OF_UP = ("SYNAPSE_ADMIN_PASSWORD",)
# `make run` sets these, so messages do not mention them.
_UNTOLD = ("SYNAPSE_AUTH_DEFAULT",)
_PATHS = ("SYNAPSE_AUDIT_LOG", "SYNAPSE_CATALOG")
_NO_PATHS = ("", setting_values.NO_FILE, setting_values.STDERR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A running `manage.py up`.

    `process` is its process id, `folder` its data folder. `settings` are its variables without secrets, `withheld` the
    names of the secret ones. `database` and `redis` are the addresses of its data, without passwords.
    """

    process: int
    folder: str
    settings: Mapping[str, str]
    withheld: Sequence[str]
    database: str
    redis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptedSettings:
    """The settings that a command adopted from a running installation, and the secrets that it lacks, by name."""

    installation: Installation
    names: Sequence[str]
    lacking: Sequence[str]


# The settings that this process adopted, None if there is no installation.
adopted: AdoptedSettings | None = None
# The running installations if this command uses its own settings.
others: Sequence[Installation] = ()


def record(folder: Path, variables: Mapping[str, str], *, database: str, redis: str) -> None:
    """Record the installation of this process and its settings, and delete the records of stopped ones."""
    records = _records_folder(variables)
    settings, withheld = _split_secrets(variables)
    if folder == ROOT / "var":
        settings.pop("SYNAPSE_VAR", None)
    else:
        settings["SYNAPSE_VAR"] = str(folder)
    installation = Installation(
        process=os.getpid(),
        folder=str(folder),
        settings=settings,
        withheld=withheld,
        database=database,
        redis=redis,
    )
    # In a container the checkout may be read-only. No record is needed there, because commands share the environment.
    with suppress(OSError):
        for made in (records.parent, records):
            made.mkdir(mode=0o700, exist_ok=True)
        for found in records.glob("*.json"):
            if _read_record(found) is None:
                found.unlink(missing_ok=True)
        write_private(_record_path(records, folder), json.dumps(asdict(installation), indent=2) + "\n")


def forget(folder: Path, variables: Mapping[str, str]) -> None:
    """Delete the file of an installation that stops."""
    with suppress(OSError):
        _record_path(_records_folder(variables), folder).unlink(missing_ok=True)


def adopt(arguments: Sequence[str], variables: MutableMapping[str, str]) -> None:
    """Add the settings of the running installation to a command's environment, whose own settings take precedence."""
    global adopted, others  # noqa: PLW0603 - read after the settings are loaded
    adopted, others = None, ()
    command = arguments[1] if len(arguments) > 1 else "help"
    # Processes that `up` started have its environment already.
    if command in _APART or command.startswith("-") or LIFELINE in variables:
        return
    explicit = frozenset(variables)
    read_env_file(ROOT)
    running = sorted(
        filter(None, map(_read_record, _records_folder(variables).glob("*.json"))), key=attrgetter("folder")
    )
    installation = _choose_installation(running, variables)
    if installation is None:
        others = running
        return
    names = [name for name in installation.settings if not _is_set(name.removesuffix("_FILE"), explicit)]
    changed = [name for name in names if variables.get(name) != installation.settings[name] and name not in _UNTOLD]
    for name in names:
        variables.pop(name.removesuffix("_FILE"), None)
        variables.pop(f"{name}_FILE", None)
        variables[name] = installation.settings[name]
    lacking = [
        name
        for name in installation.withheld
        if name not in variables and f"{name}_FILE" not in variables and not _is_set(name, explicit)
    ]
    adopted = AdoptedSettings(installation=installation, names=changed, lacking=lacking)


def secrets_elsewhere() -> frozenset[str]:
    """Return the variables of bridges' secrets that the running installation has and this command lacks."""
    lacking = adopted.lacking if adopted else ()
    return frozenset(name for name in lacking if name.startswith(SECRETS_PREFIX))


def describe_differences(*, database: str, redis: str) -> str:
    """Return a line for each running installation from which this command differs or adopted settings; "" if there is
    none.
    """
    if adopted is None:
        return "\n".join(filter(None, (_describe_difference(other, [], database, redis) for other in others)))
    parts = []
    if adopted.names:
        parts.append(f"Taken from there: {', '.join(adopted.names)}.")
    if adopted.lacking:
        parts.append(f"Secret, and to be set here where it matters: {', '.join(adopted.lacking)}.")
    return _describe_difference(adopted.installation, parts, database, redis)


def _describe_difference(running: Installation, parts: list[str], database: str, redis: str) -> str:
    for what, here, there in (("database", database, running.database), ("Redis", redis, running.redis)):
        if here != there:
            parts.append(f"This command acts on another {what}, {here}; there it is {there}.")
    if not parts:
        return ""
    return (
        f"synapse: An installation runs here (process {running.process}, data in {running.folder}). {' '.join(parts)}"
    )


def print_difference(*, database: str, redis: str) -> None:
    """Print the differences on standard error."""
    line = describe_differences(database=database, redis=redis)
    if line and sys.stderr is not None:
        with suppress(OSError):
            print(line, file=sys.stderr, flush=True)


def database_of(settings: Mapping[str, Any]) -> str:
    """Return the address of Django's database, without its password."""
    if settings["ENGINE"].endswith("sqlite3"):
        return str(settings["NAME"])
    return f"postgresql://{settings['HOST'] or 'localhost'}:{settings['PORT'] or 5432}/{settings['NAME']}"


def redis_url() -> str:
    """Return `REDIS_URL`, or the URL of the embedded server (`settings.REDIS_LOCATOR` names this function).

    Raises:
        RedisUnreachable: when no Redis is configured and the embedded one was never started here.
    """
    if django_settings.REDIS_URL:
        return str(django_settings.REDIS_URL)
    endpoint = read_endpoint(django_settings.EMBEDDED_REDIS_DIR)
    if endpoint is None:
        raise RedisUnreachable("No Redis is configured and the embedded one was never started: run `make run` first.")
    return endpoint.url


def redis_of(url: str, embedded: Path) -> str:
    """Return the address of Redis without the password: that of the server at `url`, or of the embedded one in a
    folder.
    """
    if not url:
        return f"the embedded one in {embedded}"
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/') or '/0'}"


def _split_secrets(variables: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the settings that are not secret, and the names of the secret ones."""
    settings: dict[str, str] = {}
    withheld: list[str] = []
    for setting in SETTINGS:
        if path := variables.get(f"{setting.name}_FILE"):
            settings[f"{setting.name}_FILE"] = os.path.abspath(path)
        elif (text := variables.get(setting.name)) is not None and setting.name not in _OF_UP:
            if text and is_secret(setting.name, text):
                withheld.append(setting.name)
            else:
                settings[setting.name] = _without_current_folder(setting.name, text)
    for name in sorted(variables):
        if name.startswith(SECRETS_PREFIX) and name.endswith("_FILE"):
            settings[name] = os.path.abspath(variables[name])
        elif name.startswith(SECRETS_PREFIX):
            withheld.append(name)
    return settings, withheld


def _without_current_folder(name: str, text: str) -> str:
    """Make paths in a setting absolute, because commands may be started in any folder."""
    if name in _PATHS:
        path = setting_values.file_or_word(text.strip())
        return path if path in _NO_PATHS else os.path.abspath(path)
    path = text.removeprefix("sqlite:///")
    if name == "DATABASE_URL" and path not in (text, ":memory:"):
        return f"sqlite:///{os.path.abspath(path)}"
    return text


def _is_set(name: str, explicit: Iterable[str]) -> bool:
    """Say whether an environment sets a setting, or one that takes its place."""
    names = _OF_REDIS if name in _OF_REDIS else {name}
    return any(each in explicit or f"{each}_FILE" in explicit for each in names)


def _choose_installation(found: Sequence[Installation], variables: Mapping[str, str]) -> Installation | None:
    """Return the installation of the environment's data folder, otherwise of the default folder, otherwise the only
    one.
    """
    asked = variables.get("SYNAPSE_VAR")
    folder = str((ROOT / (asked or "var")).resolve())
    named = [each for each in found if each.folder == folder]
    if named or asked:
        return named[0] if named else None
    return found[0] if len(found) == 1 else None


def _read_record(path: Path) -> Installation | None:
    """Return a recorded installation, None if it no longer runs or its record cannot be read."""
    try:
        found = Installation(**json.loads(path.read_text(encoding="utf-8")))
        return found if private_files.is_held(Path(found.folder) / UP_LOCK) else None
    except (OSError, ValueError, TypeError):
        return None


def _records_folder(variables: Mapping[str, str]) -> Path:
    """Return the folder of the records."""
    return ROOT / (variables.get(RECORDS) or "var/running")


def _record_path(records: Path, folder: Path) -> Path:
    return records / f"{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}.json"
