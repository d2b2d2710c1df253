"""Values of a compatibility check: its mode, and its result with the differences found.

The names of the modes are those of schema registries, which clients send and expect in answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Final


class Direction(StrEnum):
    """The direction of a comparison: which of the two schemas reads documents written under the other."""

    BACKWARD = "BACKWARD"
    """The new schema reads what was written under the old one."""

    FORWARD = "FORWARD"
    """The old schema reads what will be written under the new one."""


class Mode(StrEnum):
    """The earlier versions that a new schema is compared with, and the directions."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"

    @property
    def is_transitive(self) -> bool:
        """Whether all earlier versions count, not only the last."""
        return self.value.endswith("_TRANSITIVE")

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions to compare in."""
        match self.value.removesuffix("_TRANSITIVE"):
            case "BACKWARD":
                return (Direction.BACKWARD,)
            case "FORWARD":
                return (Direction.FORWARD,)
            case "FULL":
                return (Direction.BACKWARD, Direction.FORWARD)
        return ()


class Policy(StrEnum):
    """The policy that decides which differences count as incompatible."""

    LENIENT = "LENIENT"
    """STRICT, and three changes that people make every day: see `rules.LENIENT`."""

    STRICT = "STRICT"
    """No document that the writer's schema accepts is refused by the reader's."""


class NoWitness(Enum):
    """Stands in place of a missing witness, because JSON's `null` can be a document."""

    NO_WITNESS = "no witness"

    def __repr__(self) -> str:
        return "NO_WITNESS"


NO_WITNESS: Final = NoWitness.NO_WITNESS


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierVersion:
    """A version that the new schema is compared with. `references` are the schemas it refers to, by name."""

    version: int
    document: Mapping[str, Any]
    references: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One incompatibility of two schemas.

    `direction` is BACKWARD when the new schema reads, FORWARD when the old one does. `old_pointer` and `new_pointer`
    are JSON Pointers into the two schemas; where the name is declared in only one of them, the other points at the
    object that lacks it. `witness` is a document that the writer's schema accepts and the reader's refuses; the
    real validator confirmed it. `fix` is the smallest change of the *new* schema that would help. `version` is the
    earlier version that the new schema is incompatible with. `decided` is false when no witness was found: neither a
    proof that all documents pass, nor one that does not.
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
        """Whether the schemas are known to be incompatible here; if false, it could not be decided."""
        return self.has_witness


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatibilityResult:
    """The result of a check: whether the new schema is compatible, the differences, and those allowed by the LENIENT
    policy."""

    is_compatible: bool
    differences: tuple[Difference, ...] = ()
    allowed: tuple[Difference, ...] = ()
