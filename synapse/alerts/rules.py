"""Conditions that can be watched, and the rules that exist without a row in the database.

`CONDITIONS` lists each thing that can be measured, with its unit, usual threshold and sentence. A `Rule` names one, and
says from which value on, for how long, and of what it holds. `DEFAULT_RULES` are on from the start; a definition of the
same name changes or disables one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from synapse.auth.key_rights import Pattern

SubjectKind = Literal["stream", "group", "key", "redis"]
Severity = Literal["warning", "critical"]
# Shares and rates are those of this many seconds.
WINDOW = 300
# A share of fewer events or attempts in that time says nothing.
LEAST_COUNTED = 5
# The longest duration that is reported; longer and endless ones count as this. Seconds.
LONGEST = 30 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One thing that can be measured.

    Attributes:
        name: what rules call it.
        subject: what has such a value; a `group` that a bridge reads as is spoken of as the bridge.
        unit: of its value and threshold: `seconds`, `days`, `percent`, or what is counted, in the singular; "" for what
            is or is not, whose value is 1.
        threshold: the usual one. The condition holds from this value on.
        is_low: whether it holds up to the threshold instead.
        of_bridges: whether groups that no bridge reads as have no such value.
        meaning: one sentence for people, of the value.
        sentence: what people are told, with `{subject}`, `{value}` (with its unit) and `{since}`.
        joint: what stands between that sentence and what more is known, such as an error.
        prometheus: the same as an expression over Synapse's own metrics, with `{threshold}`; "" where no metric tells.
    """

    name: str
    subject: SubjectKind
    meaning: str
    sentence: str
    unit: str = ""
    threshold: float = 1
    is_low: bool = False
    of_bridges: bool = False
    joint: str = ", "
    prometheus: str = ""


LAG = Condition(
    name="lag_seconds",
    subject="group",
    unit="seconds",
    threshold=300,
    meaning="Age of the oldest event that the group has not read.",
    sentence="{subject} is behind: its oldest unread event is {value} old",
    prometheus="synapse_group_lag_seconds >= {threshold}",
)
DRAIN = Condition(
    name="time_to_drain",
    subject="group",
    unit="seconds",
    threshold=3_600,
    meaning="How long the group's unread events take at the pace of the last five minutes.",
    sentence="{subject} needs {value} for its unread events at the pace of the last five minutes",
    prometheus="synapse_group_lag_events / rate(synapse_group_delivered_total[5m]) >= {threshold}",
)
DEAD = Condition(
    name="dead_letters",
    subject="group",
    unit="dead letter",
    meaning="Dead letters that the group has.",
    sentence="{subject} fails: {value} since {since}",
    prometheus="synapse_group_dead_letters >= {threshold}",
)
DEAD_RATE = Condition(
    name="dead_letter_rate",
    subject="group",
    unit="dead letter",
    threshold=10,
    meaning="Events that become dead letters a minute, in the last five minutes.",
    sentence="{subject} fails: {value} a minute since {since}",
    prometheus="rate(synapse_group_dead_total[5m]) * 60 >= {threshold}",
)
UNACKNOWLEDGED = Condition(
    name="oldest_unacknowledged",
    subject="group",
    unit="seconds",
    threshold=3_600,
    meaning="Age of the oldest event that was delivered to the group and is in flight still.",
    sentence="{subject} does not acknowledge: its oldest event in flight is {value} old",
)
NO_TRAFFIC = Condition(
    name="no_traffic",
    subject="stream",
    unit="seconds",
    threshold=3_600,
    meaning="Age of the stream's latest event.",
    sentence="{subject} is silent: its latest event is {value} old",
    prometheus="time() - synapse_stream_last_event_timestamp_seconds >= {threshold}",
)
REFUSED = Condition(
    name="refused_share",
    subject="stream",
    unit="percent",
    threshold=5,
    meaning="Share of the events sent to the stream in the last five minutes that were refused.",
    sentence="{subject} refuses {value} of its events since {since}",
    prometheus=(
        "100 * sum by (stream) (rate(synapse_events_refused_total[5m]))"
        " / (sum by (stream) (rate(synapse_events_refused_total[5m]))"
        " + sum by (stream) (rate(synapse_events_published_total[5m]))) >= {threshold}"
    ),
)
DOWN = Condition(
    name="bridge_down",
    subject="group",
    of_bridges=True,
    meaning="1 when the bridge is enabled and no process runs it, or a person has to mend something before it runs.",
    sentence="{subject} does not run since {since}",
    joint=": ",
)
DISABLED = Condition(
    name="bridge_disabled",
    subject="group",
    of_bridges=True,
    meaning="1 when the bridge disabled itself because its receiver refuses all further events.",
    sentence="{subject} disabled itself",
    joint=": ",
)
FAILING = Condition(
    name="failing_share",
    subject="group",
    unit="percent",
    threshold=50,
    of_bridges=True,
    meaning="Share of the attempts of the bridge's webhook or other sink in the last five minutes that failed.",
    sentence="{subject} fails: {value} of its attempts since {since}",
    prometheus=(
        "100 * sum by (stream, group) (rate(synapse_group_failures_total[5m]))"
        " / (sum by (stream, group) (rate(synapse_group_failures_total[5m]))"
        " + sum by (stream, group) (rate(synapse_group_delivered_total[5m]))) >= {threshold}"
    ),
)
LOST = Condition(
    name="lost",
    subject="group",
    unit="event",
    meaning="Events that were trimmed or deleted in the last five minutes before the group acknowledged them.",
    sentence="{subject} lost {value}, trimmed or deleted before they were acknowledged",
    prometheus=(
        "increase(synapse_group_lost_total[5m]) + increase(synapse_group_lost_silent_total[5m]) >= {threshold}"
    ),
)
FULL = Condition(
    name="length_share",
    subject="stream",
    unit="percent",
    threshold=90,
    meaning="Events that the stream holds, as a share of the number at which it is full.",
    sentence="{subject} is nearly full: it holds {value} of the events that it can",
    prometheus="100 * synapse_stream_events / synapse_stream_limit_events >= {threshold}",
)
MEMORY = Condition(
    name="redis_memory",
    subject="redis",
    unit="percent",
    threshold=90,
    meaning="Memory that Redis uses, as a share of its `maxmemory`; 0 where there is no limit.",
    sentence="{subject} is nearly full: it uses {value} of its memory",
)
PERSISTENCE = Condition(
    name="redis_findings",
    subject="redis",
    unit="finding",
    meaning="Faults in how Redis keeps its data, as the log names them at start.",
    sentence="{subject} may lose events ({value})",
    joint=": ",
)
KEY_EXPIRES = Condition(
    name="key_expires",
    subject="key",
    unit="days",
    threshold=7,
    is_low=True,
    meaning="Days until the key expires, while its service has no other that is valid for longer.",
    sentence="{subject} expires in {value}",
)
CONDITIONS: Mapping[str, Condition] = {
    each.name: each
    for each in (
        *(LAG, DRAIN, DEAD, DEAD_RATE, UNACKNOWLEDGED, NO_TRAFFIC, REFUSED, DOWN, DISABLED, FAILING, LOST, FULL),
        *(MEMORY, PERSISTENCE, KEY_EXPIRES),
    )
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When people are to be told of a condition.

    Attributes:
        name: its own, in alerts, silences and metrics.
        condition: a name of `CONDITIONS`.
        threshold: the value from which on the condition holds.
        for_seconds: so long it has to hold before the alert fires.
        severity: how bad it is.
        subjects: patterns (`*` for any characters) of the names of streams, bridges, groups (`stream/group`) or
            services, of which one has to match; without any, the rule is for all.
        enabled: whether it is evaluated.
        description: what is wrong when it fires, for people.
        runbook: a link to what is to be done; where it is empty, that of the bridge or stream counts.
        labels: added to those of the bridge or stream.
    """

    name: str
    condition: str
    threshold: float
    for_seconds: int = 60
    severity: Severity = "warning"
    subjects: tuple[str, ...] = ()
    enabled: bool = True
    description: str = ""
    runbook: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _patterns(self) -> tuple[Pattern, ...]:
        return tuple(map(Pattern, self.subjects))

    def is_for(self, names: tuple[str, ...]) -> bool:
        """Say whether the rule applies to the subject with these names."""
        return not self._patterns or any(pattern.matches(name) for pattern in self._patterns for name in names)

    def holds(self, value: float) -> bool:
        """Say whether the condition holds at a value."""
        return value <= self.threshold if CONDITIONS[self.condition].is_low else value >= self.threshold


def _default(name: str, condition: Condition, description: str, **others: Any) -> Rule:
    return Rule(name=name, condition=condition.name, threshold=condition.threshold, description=description, **others)


DEFAULT_RULES: tuple[Rule, ...] = (
    _default(
        "group-behind",
        LAG,
        "The consumers of the group are too slow, blocked or gone: events reach it minutes late.",
        for_seconds=120,
    ),
    _default(
        "dead-letters",
        DEAD,
        "Events were given up. Mend the cause, then redrive the dead letters, or discard them.",
        for_seconds=0,
    ),
    _default(
        "events-unacknowledged",
        UNACKNOWLEDGED,
        "A consumer took events and does not acknowledge them. They are delivered again if it dies.",
    ),
    _default(
        "events-refused",
        REFUSED,
        "A publisher sends events that break their contract, or the stream is full.",
        for_seconds=120,
    ),
    _default(
        "bridge-down",
        DOWN,
        "Events wait until the bridge runs. Start a process that runs bridges, or mend what its status names.",
        severity="critical",
    ),
    _default(
        "bridge-disabled",
        DISABLED,
        "The receiver refuses all further events (410 Gone). Mend the receiver, then enable the bridge.",
        for_seconds=0,
        severity="critical",
    ),
    _default(
        "delivery-failing",
        FAILING,
        "The receiver is down, or refuses most events. They are tried again, and become dead letters in the end.",
        for_seconds=120,
    ),
    _default(
        "events-lost",
        LOST,
        "Events were trimmed before the group acknowledged them: it will never get them.",
        for_seconds=0,
        severity="critical",
    ),
    _default(
        "stream-nearly-full",
        FULL,
        "A group holds back trimming. A full stream refuses new events, or drops the oldest before they are read.",
    ),
    _default("redis-memory", MEMORY, "Redis refuses all writes when its memory is full.", severity="critical"),
    _default(
        "redis-persistence",
        PERSISTENCE,
        "When Redis crashes, events are gone that their publishers were told are stored.",
    ),
    _default("key-expires", KEY_EXPIRES, "The service is refused from then on. Rotate its key.", for_seconds=0),
)
DEFAULTS_BY_NAME: Mapping[str, Rule] = {rule.name: rule for rule in DEFAULT_RULES}
