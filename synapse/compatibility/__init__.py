"""Check whether a new JSON Schema is a safe successor of an old one.

`check` compares the sets of documents that two schemas accept. Each difference that it returns has the rule, the place
in both schemas, and a document that proves it. Nothing is fetched, neither from a database nor the network.
docs/compatibility.md lists the rules.
"""

from synapse.compatibility.checker import check, find_obstacle
from synapse.compatibility.findings import (
    NO_WITNESS,
    CompatibilityResult,
    Difference,
    Direction,
    EarlierVersion,
    Mode,
    Policy,
)
