"""All that is in tests/delivery/test_model.py, on three nodes; in `make chaos` (`SYNAPSE_TESTS=full`)."""

import pytest

from tests.chaos.profile import FULL
from tests.delivery.test_model import *  # noqa: F403

pytestmark = pytest.mark.skipif(not FULL, reason="the same as on one node, in `make chaos`")
