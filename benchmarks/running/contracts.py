"""The cost of contracts: a check of compatibility, registering after many versions, a back-test.

Run as `python -m benchmarks.running.contracts check|register|back-test ROUNDS`; prints the milliseconds of each round.
"""

import contextlib
import copy
import io
import json
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import django

from benchmarks.events import STREAM

SUBJECT = f"{STREAM}.inference-complete"
VERSIONS = 100


def check(rounds: int) -> list[float]:
    """Compare the guide's largest schema with the same schema plus an optional property, in both directions."""
    from synapse.compatibility import EarlierVersion, Mode, check  # noqa: PLC0415 - needs Django, as all imports here

    old = _largest()
    new = _with(old, "more")

    def once() -> None:
        assert check(new, [EarlierVersion(version=1, document=old)], mode=Mode.FULL).is_compatible

    return _timed(rounds, once)


def register(rounds: int) -> list[float]:
    """Register a version that is compared with a hundred earlier ones."""
    from contracts import registry  # noqa: PLC0415
    from contracts.registry import settings  # noqa: PLC0415
    from synapse.auth.principal import SYSTEM  # noqa: PLC0415
    from synapse.compatibility import Mode  # noqa: PLC0415
    from synapse.schema import validator  # noqa: PLC0415

    subject, document = "benchmark.transitive", _largest()
    numbers = iter(range(VERSIONS + rounds))

    def once() -> None:
        nonlocal document
        document = _with(document, f"more_{next(numbers)}")
        registry.register(subject, validator.canonical_text(document), by=SYSTEM)

    once()
    settings.change(registry.contract(subject), by=SYSTEM, compatibility=Mode.BACKWARD_TRANSITIVE)
    for _ in range(VERSIONS - 1):
        once()
    return _timed(rounds, once)


def back_test(rounds: int) -> list[float]:
    """Test the newest ten thousand events of the stream against a schema that all of them break."""
    from django.core.management import call_command  # noqa: PLC0415

    wrong = {"properties": {name: {"type": "boolean"} for name in ("request_id", "model_name", "latency_ms")}}

    def once() -> None:
        sys.stdin = io.TextIOWrapper(io.BytesIO(json.dumps(wrong).encode()))
        # The exit status is 1, because events are refused.
        with contextlib.suppress(SystemExit):
            call_command("backtest", SUBJECT, "-", "--json", stdout=io.StringIO())

    return _timed(rounds, once)


def _timed(rounds: int, once: Callable[[], None]) -> list[float]:
    took = []
    for _ in range(rounds):
        begun = perf_counter()
        once()
        took.append((perf_counter() - begun) * 1000)
    return took


def _largest() -> dict[str, Any]:
    from contracts.models import ContractVersion  # noqa: PLC0415

    texts = [version.text for version in ContractVersion.objects.filter(state="active").select_related("schema")]
    document: dict[str, Any] = json.loads(max(texts, key=len))
    return document


def _with(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the schema with an additional optional property."""
    found = copy.deepcopy(document)
    found["properties"][name] = {"type": "string", "maxLength": 100}
    return found


WORK = {"check": check, "register": register, "back-test": back_test}


def main() -> None:
    """Run the measure that the arguments name."""
    django.setup()
    json.dump(WORK[sys.argv[1]](int(sys.argv[2])), sys.stdout)


if __name__ == "__main__":
    main()
