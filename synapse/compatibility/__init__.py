"""Check whether a new JSON Schema is a safe successor of an old one.

`check` compares the sets of documents that two schemas accept, and refuses with a reason: the rule, the place in both
schemas, and a document that proves it. Pure: no Django, no database, nothing fetched. docs/compatibility.md has every
rule.
"""

from synapse.compatibility.checker import check, obstacle
from synapse.compatibility.findings import (
    NO_WITNESS,
    CompatibilityResult,
    Difference,
    Direction,
    EarlierVersion,
    Mode,
    Policy,
)
