"""Subjects of alerts: a stream, a group or the bridge that reads as it, a key, or Redis."""

from typing import NamedTuple

from synapse.alerts.rules import SubjectKind

_REDIS = "redis"


class Subject(NamedTuple):
    """One thing that can have an alert.

    Attributes:
        kind: what it is.
        stream: the stream, "" where it is of none.
        name: of a group its name, of a key its id.
        of: of a group the bridge that reads as it, "" without one; of a key its service. It is no part of `id`.
    """

    kind: SubjectKind
    stream: str = ""
    name: str = ""
    of: str = ""

    @property
    def id(self) -> str:
        """The subject as one text, which does not change when a bridge is renamed."""
        match self.kind:
            case "stream":
                return f"stream:{self.stream}"
            case "group":
                return f"group:{self.stream}/{self.name}"
            case "key":
                return f"key:{self.name}"
        return _REDIS

    @property
    def names(self) -> tuple[str, ...]:
        """The names that a pattern of a rule or silence can match."""
        match self.kind:
            case "stream":
                return (self.stream,)
            case "group":
                found = (self.stream, f"{self.stream}/{self.name}")
                return (*found, self.of) if self.of else found
            case "key":
                return (self.of, self.name)
        return (_REDIS,)

    @property
    def parts(self) -> dict[str, str]:
        """The names that the subject has, by what they name; those that it has not are left out."""
        names = {self.kind: self.name, "stream": self.stream, "bridge" if self.kind == "group" else "service": self.of}
        return {name: text for name, text in names.items() if text}

    @property
    def text(self) -> str:
        """The subject as people are told of it: “bridge orders-to-shop”."""
        match self.kind:
            case "stream":
                return f"stream {self.stream}"
            case "group":
                return f"bridge {self.of}" if self.of else f"group {self.name} of {self.stream}"
            case "key":
                return f"key {self.name} of {self.of}"
        return "Redis"
