"""The official test suite of JSON Schema, which `make install` fetches."""

from pathlib import Path

import pytest

from tests.conftest import need
from tests.migrated import ROOT

FOLDER = ROOT / ".venv/json-schema-test-suite"


@pytest.fixture(scope="module")
def suite() -> Path:
    """Return the folder of the suite."""
    need(FOLDER.is_dir(), "the official test suite of JSON Schema (make install)")
    return FOLDER
