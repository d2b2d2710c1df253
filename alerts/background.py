"""The alert evaluator of this process. Every second it checks whether it is the one process that evaluates."""

from django.db import close_old_connections

from alerts.links import link_to
from alerts.snapshot import holder
from streams import connections
from synapse.alerts.definitions import Definitions
from synapse.alerts.evaluator import Evaluator
from synapse.runtime.periodic import Periodic


def _load_definitions() -> Definitions:
    close_old_connections()
    return holder.current()


WORK = Periodic("alerts", 1.0, Evaluator(connections.executor, _load_definitions, link_to).step)
