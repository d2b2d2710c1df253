"""PII: places of an event that a schema marks with `"x-pii": true`, and events without what stands there.

- `marks`    which parts of a schema lead to a mark
- `masking`  an event walked along them, and masked; texts that quote it, redacted

Where a schema leaves open what a place is, the answer is yes: too much masked is a nuisance, too little a leak.
"""

from synapse.schema.pii.marks import MARK, Marks, marks_of
from synapse.schema.pii.masking import MASK, holds_mask, masked, pii_texts, redacted
