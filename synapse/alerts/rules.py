"""Conditions that can be watched, and the rules that exist without a row in the database.

`CONDITIONS` lists everything that can be measured, with its unit, default threshold and sentence. A `Rule` names a
condition, its threshold, the time that it has to hold, and the subjects. `DEFAULT_RULES` are enabled without a
definition; a definition with the name of one of them changes or disables it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from synapse.auth.key_rights import Pattern

SubjectKind = Literal["stream", "group", "key", "redis"]
Severity = Literal["warning", "critical"]
# Shares and rates are measured over this many seconds.
WINDOW = 300
# With fewer events or attempts in that time, a share is not measured.
LEAST_COUNTED = 5
# The longest duration that is reported (seconds); longer and infinite ones are cut to it.
LONGEST = 30 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One thing that can be measured.

    Attributes:
        name: the name that rules use.
        subject: the kind of thing that has this value. A `group` of a bridge is named by the bridge in sentences.
        unit: the unit of the value and the threshold: `seconds`, `days`, `percent`, or the counted thing in the
            singular; "" for a condition that is only true or false, whose value is 1 when true.
        threshold: the default. The condition holds at this value and above.
        is_low: whether the condition holds at the threshold and below it, not above.
        of_bridges: whether the condition applies only to groups of bridges.
        meaning: one sentence for people that defines the value.
        sentence: the text of an alert, with placeholders `{subject}`, `{value}` (includes the unit) and `{since}`.
        joint: the text between that sentence and its details, such as an error.
        prometheus: the condition as an expression over Synapse's metrics, with `{threshold}`; "" when no metric has it.
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
    """A rule that raises an alert when a condition holds.

    Attributes:
        name: the rule's name in alerts, silences and metrics.
        condition: a name of `CONDITIONS`.
        threshold: the value at which the condition begins to hold.
        for_seconds: how long the condition has to hold before the alert fires.
        severity: `warning` or `critical`.
        subjects: patterns (`*` for any characters) of the names of streams, bridges, groups (`stream/group`) or
            services, of which one has to match; without any, the rule is for all.
        enabled: whether the rule is evaluated.
        description: what is wrong when the rule fires, for people.
        runbook: a link to instructions; if empty, that of the bridge or stream is used.
        labels: added to the labels of the bridge or stream.
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


def _default_rule(name: str, condition: Condition, description: str, **others: Any) -> Rule:
    return Rule(name=name, condition=condition.name, threshold=condition.threshold, description=description, **others)


DEFAULT_RULES: tuple[Rule, ...] = (
    _default_rule(
        "group-behind",
        LAG,
        "The consumers of the group are too slow, blocked or gone: events reach it minutes late.",
        for_seconds=120,
    ),
    _default_rule(
        "dead-letters",
        DEAD,
        "Events were given up. Mend the cause, then redrive the dead letters, or discard them.",
        for_seconds=0,
    ),
    _default_rule(
        "events-unacknowledged",
        UNACKNOWLEDGED,
        "A consumer took events and does not acknowledge them. They are delivered again if it dies.",
    ),
    _default_rule(
        "events-refused",
        REFUSED,
        "A publisher sends events that break their contract, or the stream is full.",
        for_seconds=120,
    ),
    _default_rule(
        "bridge-down",
        DOWN,
        "Events wait until the bridge runs. Start a process that runs bridges, or mend what its status names.",
        severity="critical",
    ),
    _default_rule(
        "bridge-disabled",
        DISABLED,
        "The receiver refuses all further events (410 Gone). Mend the receiver, then enable the bridge.",
        for_seconds=0,
        severity="critical",
    ),
    _default_rule(
        "delivery-failing",
        FAILING,
        "The receiver is down, or refuses most events. They are tried again, and become dead letters in the end.",
        for_seconds=120,
    ),
    _default_rule(
        "events-lost",
        LOST,
        "Events were trimmed before the group acknowledged them: it will never get them.",
        for_seconds=0,
        severity="critical",
    ),
    _default_rule(
        "stream-nearly-full",
        FULL,
        "A group holds back trimming. A full stream refuses new events, or drops the oldest before they are read.",
    ),
    _default_rule("redis-memory", MEMORY, "Redis refuses all writes when its memory is full.", severity="critical"),
    _default_rule(
        "redis-persistence",
        PERSISTENCE,
        "When Redis crashes, events are gone that their publishers were told are stored.",
    ),
    _default_rule("key-expires", KEY_EXPIRES, "The service is refused from then on. Rotate its key.", for_seconds=0),
)
DEFAULTS_BY_NAME: Mapping[str, Rule] = {rule.name: rule for rule in DEFAULT_RULES}
