"""The official test suite of JSON Schema. It comes with the source of the package `jsonschema`, fetched once."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.migrated import made_once

PACKAGE = "jsonschema==4.26.0"


@pytest.fixture(scope="module")
def suite(request: pytest.FixtureRequest) -> Path:
    """Return the folder of the suite, fetched when it is not in pytest's cache."""
    return made_once(request.config.cache.mkdir("json-schema-test-suite") / PACKAGE, fetch)


def fetch(folder: Path) -> None:
    made = folder.with_name(f"{folder.name}.{os.getpid()}")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", PACKAGE]
    try:
        subprocess.run([*command, "-d", str(made)], check=True, capture_output=True, timeout=120)
    except (subprocess.SubprocessError, OSError) as error:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{PACKAGE} cannot be fetched: {error}")
    [source] = made.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(made, filter="data")
    [suite] = made.glob("*/json")
    suite.rename(folder)
