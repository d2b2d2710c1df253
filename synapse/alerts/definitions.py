"""The settings of an alert rule, in the order of catalog files and forms; and the definitions that alerts are evaluated
with: rules, silences and the watched streams, bridges and keys.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from synapse.alerts.rules import DEFAULT_RULES, Rule
from synapse.alerts.subject import Subject
from synapse.auth.key_rights import Pattern
from synapse.catalog import ownership
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.catalog.fields import Choice, Count, Flag, Rows, Text, declared_fields
from synapse.catalog.stream_definitions import Snapshot, StreamDefinition
from synapse.formats.text import ALERTS_STREAM

_USUAL = "empty: as from the start, or as is usual for the condition"
CONDITION = Text("condition", help="The thing that is measured. A rule that is there from the start has one already.")
THRESHOLD = Count(
    "threshold", least=0, most=2_000_000_000, help=f"From which value on it holds, in the condition's unit; {_USUAL}."
)
FOR_SECONDS = Count(
    "for_seconds", least=0, most=86_400, help=f"For how many seconds it has to hold before the alert fires; {_USUAL}."
)
SEVERITY = Choice(
    "severity",
    default="",
    choices={"": "as from the start, or warning", "warning": "warning", "critical": "critical"},
    help="How bad it is.",
)
SUBJECTS = Rows(
    "subjects",
    help="Patterns (* for any characters) of names of streams, bridges, groups (stream/group) or services. Empty: all.",
)
ENABLED = Flag("enabled", default=True, help="Whether the rule is evaluated.")
DESCRIPTION = Text("description", help="The fault that it finds, for people.")
RUNBOOK, LABELS = ownership.RUNBOOK, ownership.LABELS

ALERT_FIELDS = declared_fields(globals())


@dataclass(frozen=True, kw_only=True)
class Silence:
    """A time in which some alerts send no notifications. They are evaluated and shown nevertheless.

    Attributes:
        id: the number of the silence's row in the database.
        subject: a pattern (`*` for any characters) of the name of a stream, bridge, group (`stream/group`) or service.
        rule: a pattern of the names of rules.
        begins: in seconds since 1970.
        ends: in seconds since 1970.
    """

    id: int
    subject: str
    rule: str
    begins: float
    ends: float

    @cached_property
    def _patterns(self) -> tuple[Pattern, Pattern]:
        return Pattern(self.rule), Pattern(self.subject)

    def covers(self, rule: str, names: Iterable[str], now: float) -> bool:
        """Say whether a rule's alert about the subject with these names is silenced now."""
        of_rule, of_subject = self._patterns
        return self.begins <= now < self.ends and of_rule.matches(rule) and any(map(of_subject.matches, names))


@dataclass(frozen=True, kw_only=True)
class Definitions:
    """Rules, silences and watched subjects, at one version of the catalog.

    Attributes:
        catalog: the streams and keys, at this version.
        bridges: by name.
        disabled: why bridges disabled themselves, by name.
        rules: all rules, including disabled ones.
        silences: current and future ones.
    """

    catalog: Snapshot
    bridges: Mapping[str, BridgeDefinition] = field(default_factory=dict)
    disabled: Mapping[str, str] = field(default_factory=dict)
    rules: Sequence[Rule] = DEFAULT_RULES
    silences: Sequence[Silence] = ()

    @cached_property
    def streams(self) -> Mapping[str, StreamDefinition]:
        """The watched streams: all but the stream of alerts itself."""
        return {name: each for name, each in self.catalog.streams.items() if name != ALERTS_STREAM}

    @cached_property
    def watched_bridges(self) -> Mapping[tuple[str, str], BridgeDefinition]:
        """The bridges that deliver events of watched streams, by stream and group."""
        found = (each for each in self.bridges.values() if not each.is_pulled and each.stream in self.streams)
        return {(each.stream, each.group): each for each in found}

    @cached_property
    def _groups(self) -> dict[tuple[str, str], Subject]:
        return {}

    def group(self, stream: str, name: str) -> Subject:
        """Return a group as the subject of alerts."""
        if (found := self._groups.get((stream, name))) is None:
            bridge = self.watched_bridges.get((stream, name))
            found = self._groups[stream, name] = Subject("group", stream, name, bridge.name if bridge else "")
        return found

    def subject(self, id_: str, of: str) -> Subject | None:
        """Return the subject with an id, None for an id in another format.

        Args:
            id_: the id of a subject (`Subject.id`).
            of: the bridge of a group without one now, or the service of a key.
        """
        kind, _, rest = id_.partition(":")
        match kind:
            case "stream":
                return Subject("stream", rest)
            case "group":
                stream, _, name = rest.partition("/")
                found = self.group(stream, name)
                return found if found.of else found._replace(of=of)
            case "key":
                return Subject("key", name=rest, of=of)
            case "redis":
                return Subject("redis")
        return None

    def is_silenced(self, rule: str, subject: Subject, now: float) -> bool:
        """Say whether a rule's alert about a subject is silenced now."""
        return any(silence.covers(rule, subject.names, now) for silence in self.silences)

    def rule(self, name: str) -> Rule | None:
        """Return the rule of this name, None when there is none."""
        return self._rules.get(name)

    @cached_property
    def _rules(self) -> Mapping[str, Rule]:
        return {rule.name: rule for rule in self.rules}
