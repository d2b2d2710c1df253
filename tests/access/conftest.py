"""The cast of the tests of access: services with keys, where keys are required."""

from collections.abc import Callable, Iterator

import pytest

from streams.access import identification
from tests.both_ways import DjangoAlone


@pytest.fixture
def required(settings: object) -> None:
    """Nobody gets in without a key."""
    settings.AUTH = "required"  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def nothing_used() -> Iterator[None]:
    identification.forget_uses()
    yield
    identification.forget_uses()


@pytest.fixture
def streams(define: Callable[..., object]) -> None:
    """Two streams of the platform."""
    define("training-events", {"training-complete": None, "training-failed": None})
    define("agi-decisions", {"decision-made": None})


@pytest.fixture
def django(redis: object, db: None) -> DjangoAlone:
    """Django alone, for routes that it alone serves."""
    return DjangoAlone()


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}
