"""All that is in tests/groups/test_the_moving_script.py, on three nodes."""

from tests.groups.test_the_moving_script import *  # noqa: F403
