"""The cast of the tests of access: services with keys, where keys are required."""

from collections.abc import Callable, Iterator

import pytest

from core.principal import SYSTEM
from streams.access import issuing, usage
from streams.models import Grant, Service
from streams.snapshot import holder
from tests.lanes import DjangoAlone


@pytest.fixture
def required(settings: object) -> None:
    """Nobody gets in without a key."""
    settings.AUTH = "required"  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def nothing_used() -> Iterator[None]:
    usage.forget()
    yield
    usage.forget()


@pytest.fixture
def key_of(db: None) -> Callable[..., str]:
    """Issue a key: `key_of("billing", publishes=["orders"], subscribes=["orders/order-placed"], scopes=[...])`."""

    def key_of(
        service: str,
        *,
        publishes: tuple[str, ...] | list[str] = (),
        subscribes: tuple[str, ...] | list[str] = (),
        scopes: tuple[str, ...] | list[str] = (),
    ) -> str:
        row, _ = Service.objects.get_or_create(name=service)
        for action, grants in ((Grant.Action.PUBLISH, publishes), (Grant.Action.SUBSCRIBE, subscribes)):
            for grant in grants:
                stream, _, event_type = grant.partition("/")
                Grant.objects.get_or_create(service=row, action=action, stream=stream, event_type=event_type or "*")
        issued = issuing.issue(service, by=SYSTEM, scopes=scopes)
        # What tells the process comes after the commit, and no test commits.
        holder.forget()
        return issued.text

    return key_of


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
