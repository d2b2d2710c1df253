"""An installation of Synapse for a benchmark that calls its code in this process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import django

from benchmarks.running import synapse, valkey
from benchmarks.running.valkey import Valkey


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A Valkey, a database and their settings, in a temporary folder."""

    folder: Path
    settings: dict[str, str]
    valkey: Valkey


@contextmanager
def installed(name: str, *, with_catalog: bool = False) -> Iterator[Installation]:
    """Create an installation, empty or with the platform's catalog, and set up Django for it in this process."""
    with TemporaryDirectory(prefix=f"synapse-bench-{name}-") as path, valkey.serving(Path(path) / "valkey") as server:
        folder = Path(path)
        settings = synapse.environment(folder, server.endpoint.url)
        synapse.prepare(folder, settings, with_catalog=with_catalog)
        os.environ.update(settings)
        django.setup()
        yield Installation(folder=folder, settings=settings, valkey=server)
