"""However consumers read, fail, die and repeat themselves: every event is in one place, and it is the right one.

`SYNAPSE_MODEL_EXAMPLES` asks for more than the few that fit into every run, 2000 say; `make chaos` does 300.
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.chaos.profile import FULL
from tests.delivery.people import PlacesAndPeople

EXAMPLES = int(os.environ.get("SYNAPSE_MODEL_EXAMPLES", "300" if FULL else "15"))


@pytest.mark.parametrize("order", ["none", "key", "stream"])
def test_the_server_does_what_the_model_says(redis, executor, order):
    run_state_machine_as_test(
        lambda: PlacesAndPeople(redis, executor, order=order),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
