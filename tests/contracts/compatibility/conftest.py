"""How many examples the properties are tried with: 300, or 10,000 with HYPOTHESIS_PROFILE=nightly."""

import os

from hypothesis import HealthCheck, settings

from tests.chaos.profile import examples

_SHARED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
PROFILES = {
    "default": settings(max_examples=examples(300), derandomize=True, **_SHARED),
    "nightly": settings(max_examples=10_000, database=None, **_SHARED),
}


def profile() -> settings:
    """Return the settings that the environment asks for."""
    return PROFILES.get(os.environ.get("HYPOTHESIS_PROFILE", ""), PROFILES["default"])
