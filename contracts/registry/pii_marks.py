"""What a kept schema marks as personal, and in which versions marks stand.

A mark holds until the version that has it is deleted for good: hiding the version, or activating another one without
the mark, unmasks nothing.
"""

from contracts.models import Contract, Schema
from contracts.registry.lookup import numbered
from contracts.registry.references import compiled
from synapse.errors.contracts import BadSchema
from synapse.schema import validator
from synapse.schema.pii import MARK, Marks


def marks(of: Schema) -> Marks | None:
    """Return what a schema marks, with all that it refers to; None when nothing.

    Of a schema that cannot be used any more nobody knows what it marks: everything, then.
    """
    try:
        return compiled(of).personal
    except BadSchema:
        return validator.compile_schema({MARK: True}).personal


def has_marks(of: Contract) -> bool:
    """Say whether any version of a contract marks something, hidden versions too."""
    return any(version.schema and marks(version.schema) for version in numbered(of, deleted=True))
