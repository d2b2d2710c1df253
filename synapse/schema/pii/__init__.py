"""PII: the places of an event that a schema marks with `"x-pii": true`, and events without the values at these places.

- `marks`    which parts of a schema lead to a mark
- `masking`  an event walked along them, and masked; texts that quote it, redacted

A place that the schema leaves open counts as PII: masking too much is a nuisance, masking too little is a leak.
"""

from synapse.schema.pii.marks import MARK, Marks, marks_of
from synapse.schema.pii.masking import MASK, holds_mask, masked, pii_texts, redacted
