"""A schema proposed from events: what they have in common, and no more than that.

`Observation` is shown the events, one by one; `propose` makes the schema that accepts every one of them.
"""

from synapse.schema.inference.observation import Observation
from synapse.schema.inference.proposal import propose

__all__ = ["Observation", "propose"]
