"""The changes to an event's properties on its way into another stream."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from synapse.formats.text import RULE, is_name
from synapse.wire.encoding import OWN_PREFIX

_TYPE_NAMES = ("event_type", "event")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldMapping:
    """First nothing but `keep` stays (None keeps all) or `drop` goes, then `rename` (old name to new), then `put`.

    `event_type` "" leaves the type as it is. The type always stays.
    """

    event_type: str = ""
    keep: Sequence[str] | None = None
    drop: Sequence[str] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    put: Mapping[str, Any] = field(default_factory=dict)

    def apply(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return the event as the other stream gets it."""
        kept = {
            name: value
            for name, value in event.items()
            if name in _TYPE_NAMES or ((self.keep is None or name in self.keep) and name not in self.drop)
        }
        moved = {self.rename[name]: kept.pop(name) for name in self.rename if name in kept}
        mapped = {**kept, **moved, **self.put}
        if not self.event_type:
            return mapped
        mapped.pop("event", None)
        # First, as in every event that we write.
        mapped.pop("event_type", None)
        return {"event_type": self.event_type, **mapped}

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """Yield the errors in the mapping: the setting, and a sentence."""
        if self.event_type and not is_name(self.event_type):
            yield "event_type", f"is no event type: a name has {RULE}"
        if self.keep is not None and self.drop:
            yield "drop", "is of no use beside keep: what is not kept is dropped"
        if len(set(self.rename.values())) < len(self.rename):
            yield "rename", "gives two properties one name"
        names = {
            "keep": self.keep or (),
            "drop": self.drop,
            "rename": [*self.rename, *self.rename.values()],
            "set": self.put,
        }
        for setting, used in names.items():
            if wrong := next((name for name in used if name in _TYPE_NAMES), None):
                yield setting, f"must not name {wrong}: the setting event_type gives another type"
            elif wrong := next((name for name in used if name.startswith(OWN_PREFIX)), None):
                yield setting, f"must not name {wrong[:100]}: names that begin with {OWN_PREFIX} are Synapse's own"
