"""What is compared with what, and how strictly.

The names of the modes are those of schema registries, which clients send and expect to get back.
"""

from enum import StrEnum


class Direction(StrEnum):
    """Who reads whom."""

    BACKWARD = "BACKWARD"
    """The new schema reads what was written under the old one."""

    FORWARD = "FORWARD"
    """The old schema reads what will be written under the new one."""


class Mode(StrEnum):
    """Which earlier versions a new schema is compared with, and in which directions."""

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
        """The directions to look in."""
        match self.value.removesuffix("_TRANSITIVE"):
            case "BACKWARD":
                return (Direction.BACKWARD,)
            case "FORWARD":
                return (Direction.FORWARD,)
            case "FULL":
                return (Direction.BACKWARD, Direction.FORWARD)
        return ()


class Policy(StrEnum):
    """What counts as compatible."""

    LENIENT = "LENIENT"
    """STRICT, and three changes that people make every day: see `rules.LENIENT`."""

    STRICT = "STRICT"
    """No document that the writer's schema accepts is refused by the reader's."""
