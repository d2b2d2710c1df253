"""All that is in tests/bridges/test_failing_scripts.py, on three nodes."""

from tests.bridges.test_failing_scripts import *  # noqa: F403
