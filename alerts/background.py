"""The evaluator of this process, which asks every second whether it is the one that evaluates."""

from django.db import close_old_connections

from alerts.links import link
from alerts.snapshot import holder
from streams import connections
from synapse.alerts.definitions import Definitions
from synapse.alerts.evaluator import Evaluator
from synapse.runtime.periodic import Periodic


def _definitions() -> Definitions:
    close_old_connections()
    return holder.current()


WORK = Periodic("alerts", 1.0, Evaluator(connections.executor, _definitions, link).step)
