"""The answer to "is the new schema safe after the old ones?", as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from synapse.compatibility.modes import Direction


class NoWitness(Enum):
    """Stands where a document would, because JSON's `null` can be one."""

    NO_WITNESS = "no witness"

    def __repr__(self) -> str:
        return "NO_WITNESS"


NO_WITNESS: Final = NoWitness.NO_WITNESS


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A version that the new schema is compared with. `references` are the schemas it refers to, by name."""

    version: int
    document: Mapping[str, Any]
    references: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One way in which the two schemas do not fit.

    `direction` is BACKWARD when the new schema reads, FORWARD when the old one does. `old_pointer` and `new_pointer`
    are JSON Pointers into the two schemas; where the name is declared in only one of them, the other points at the
    object that lacks it. `witness` is a document that the writer's schema accepts and the reader's refuses; the
    real validator has said so. `fix` is the smallest change of the *new* schema that would help. `version` is the
    earlier version that the new schema clashes with. `decided` is false when no witness was found: neither a proof
    that all documents pass, nor one that does not.
    """

    rule: str
    direction: Direction
    old_pointer: str
    new_pointer: str
    description: str
    fix: str
    witness: Any = NO_WITNESS
    version: int | None = None

    @property
    def has_witness(self) -> bool:
        """Whether `witness` is a document."""
        return self.witness is not NO_WITNESS

    @property
    def decided(self) -> bool:
        """Whether the schemas are known not to fit here; otherwise it could not be decided."""
        return self.has_witness


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the new schema may follow, why not, and what was let through by the LENIENT policy."""

    is_compatible: bool
    differences: tuple[Difference, ...] = ()
    allowed: tuple[Difference, ...] = ()
