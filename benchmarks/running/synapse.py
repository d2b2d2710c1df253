"""Synapse: a new database, the platform's catalog, and the web server of `manage.py serve`."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.running.program import LOOPBACK, DidNotStart, Program, free_port, running
from synapse_project.environment import SETTINGS

ROOT = Path(__file__).resolve().parent.parent.parent
MANAGE = str(ROOT / "manage.py")
CATALOG = str(ROOT / "catalog" / "deepiri.yaml")


def environment(folder: Path, redis_url: str) -> dict[str, str]:
    """Return the settings of a benchmark, without those of the caller's environment or a `.env` file."""
    nothing = {name: "" for setting in SETTINGS for name in (setting.name, f"{setting.name}_FILE")}
    return nothing | {
        "REDIS_URL": redis_url,
        "DATABASE_URL": f"sqlite:///{folder / 'synapse.sqlite3'}",
        "SYNAPSE_VAR": str(folder),
        "SYNAPSE_LOG_LEVEL": "WARNING",
        "SYNAPSE_AUTH": "open",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "DJANGO_SETTINGS_MODULE": "synapse_project.settings",
    }


def prepare(folder: Path, variables: Mapping[str, str], *, with_catalog: bool = True) -> None:
    """Create the database, and define the catalog.

    Raises:
        DidNotStart: when a command fails.
    """
    manage(folder, variables, "migrate", "--verbosity", "0")
    if with_catalog:
        manage(folder, variables, "catalog", "apply", CATALOG)


def manage(folder: Path, variables: Mapping[str, str], *words: str) -> str:
    """Run a command of `manage.py` and return its output.

    Raises:
        DidNotStart: when it fails.
    """
    return _output([MANAGE, *words], folder, variables)


def run_module(variables: Mapping[str, str], *words: str, said: str = "") -> str:
    """Run a module of the benchmarks in a new process, with `said` as its input. Return its output.

    Raises:
        DidNotStart: when it fails.
    """
    return _output(["-m", *words], ROOT, {**variables, "PYTHONPATH": str(ROOT)}, said)


def _output(words: Sequence[str], folder: Path, variables: Mapping[str, str], said: str = "") -> str:
    result = subprocess.run(
        [sys.executable, *words],
        env={**os.environ, **variables},
        cwd=folder,
        input=said,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if result.returncode:
        raise DidNotStart(f"{' '.join(words)} failed:\n{(result.stdout + result.stderr)[-2000:]}")
    return result.stdout


def issued_key(folder: Path, variables: Mapping[str, str], service: str) -> str:
    """Return a new key of a service of the catalog.

    Raises:
        DidNotStart: when none is issued.
    """
    return manage(folder, variables, "issue_key", service).strip()


@contextmanager
def serving(folder: Path, variables: Mapping[str, str], *, port: int = 0) -> Iterator[Program]:
    """Run the web server with one worker, as `make run` does, on the given port or a free one."""
    port = port or free_port()
    own = {**variables, "HOST": LOOPBACK, "PORT": str(port)}
    with running("synapse", [sys.executable, MANAGE, "serve"], port=port, folder=folder, environment=own) as program:
        yield program


@contextmanager
def serving_django_only(folder: Path, variables: Mapping[str, str]) -> Iterator[Program]:
    """Run the same web server without routes on the event loop: Django answers everything."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.running.django_only"]
    own = {**variables, "HOST": LOOPBACK, "PORT": str(port), "PYTHONPATH": str(ROOT)}
    with running("django-only", command, port=port, folder=folder, environment=own) as program:
        yield program
