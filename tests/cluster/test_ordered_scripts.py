"""All that is in tests/bridges/test_ordered_scripts.py, on three nodes."""

from tests.bridges.test_ordered_scripts import *  # noqa: F403
