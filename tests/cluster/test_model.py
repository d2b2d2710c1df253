"""All that is in tests/delivery/test_model.py, on three nodes."""

from tests.delivery.test_model import *  # noqa: F403
