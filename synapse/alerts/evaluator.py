"""The evaluator: after each sample one process compares the measurements with the rules.

The evaluator holds a lease in Redis that expires unless it is renewed, so that another process takes over when this one
dies. A script changes a state only if it still is the one that was read, and records the change with it. So each change
is recorded once, also when the evaluator is killed, or when two processes hold themselves to be the evaluator.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from synapse.alerts import rules, state
from synapse.alerts.definitions import Definitions
from synapse.alerts.event import LinkOf, alert_json, alert_name, change_event, entry_of
from synapse.alerts.measurement import Moment, RedisValues, ask_redis
from synapse.alerts.notifier import Notifier
from synapse.alerts.recent import RecentSeries
from synapse.alerts.rules import CONDITIONS, Rule
from synapse.alerts.state import AlertState, advance
from synapse.alerts.subject import Subject, sentence_of
from synapse.dead_letters import short_error
from synapse.formats.text import ALERTS_STREAM
from synapse.redis import Conversation, ReplyError, SyncExecutor, ask, keyspace, value
from synapse.redis.commands import alerts as commands
from synapse.redis.commands import dead_letters as dead_letter_commands
from synapse.redis.commands.alerts import StateChange
from synapse.redis.commands.statistics import latest_sample
from synapse.redis.lease import Lease
from synapse.statistics.latest import unpack

# A killed evaluator is replaced when its lease ends: three turns without a renewal.
LEASE_MS = 3_000
# Without a new sample for this many seconds (the sampler is down) the rules are evaluated nevertheless.
_PATIENCE = 10
# A sample that is older (seconds) is not used.
_FRESH = 15
# Seconds between two reads of the values that are not sampled.
_ASK_EVERY = 15
# After this many seconds without an evaluation, the waiting time of pending alerts begins again.
GAP = 60
# The limit on the number of alerts, and how many dead letters one evaluation reads to quote their errors.
MOST_ALERTS, _MOST_LOOKED_AT = 20_000, 100
# The number of states that one script changes: Redis serves no other client meanwhile.
_TOGETHER = 100

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _AlertChange:
    """The change of one alert.

    Attributes:
        name: the alert's name (`alert_name`).
        rule: the alert's rule.
        subject: the alert's subject.
        text: the alert's state as it was read from Redis; empty when Redis had none.
        before: the state in `text`; None when `text` is empty or in another format.
        after: the alert's next state, None: ok.
    """

    name: str
    rule: Rule
    subject: Subject
    text: bytes
    before: AlertState | None
    after: AlertState | None

    @property
    def begins(self) -> bool:
        """Whether the alert begins to fire."""
        return self.after is not None and self.after.phase == "firing" and not _is_firing(self.before)

    @property
    def ends(self) -> bool:
        """Whether the alert fired, and is resolved now."""
        return self.after is None and _is_firing(self.before)

    @property
    def is_told_late(self) -> bool:
        """Whether the alert still fires when its silence ends, so that people are notified only now."""
        return self.before is not None and self.before.is_untold and self.after is not None and not self.after.is_untold


def _is_firing(found: AlertState | None) -> bool:
    return found is not None and found.phase == "firing"


# A state as it was read: its text, and its value (None when the text is in another format). `_OK`: no state is stored.
_Stored = tuple[bytes, AlertState | None]
_OK: _Stored = (b"", None)
_Measurement = tuple[Subject, float, str]


class Evaluator:
    """Evaluates the rules while this process holds the lease.

    Args:
        executor: returns the connection to Redis.
        definitions: returns the rules, the silences, and the watched things.
        link_of: returns the URL of the page where the cause of an alert is fixed.
        clock: the time in seconds since 1970.
    """

    def __init__(
        self,
        executor: Callable[[], SyncExecutor],
        definitions: Callable[[], Definitions],
        link_of: LinkOf,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._executor = executor
        self._definitions = definitions
        self._link_of = link_of
        self._clock = clock
        self._lease = Lease(keyspace.ALERTS_LEASE, ttl_ms=LEASE_MS)
        self._reset()

    def _reset(self) -> None:
        """Forget all readings: another process may have evaluated the rules since."""
        self._series = RecentSeries()
        self._notifier = Notifier()
        self._sample: bytes | None = None
        # When the rules were last evaluated, and when Redis was last asked for values that are not sampled.
        self._evaluated_at = self._asked_at = float("-inf")
        self._unpacked: dict[bytes, AlertState | None] = {}

    def step(self) -> bool:
        """Evaluate the rules if there is a new sample, or none came for ten seconds. Return whether this process is the
        evaluator now.

        Raises:
            RedisUnavailable: when Redis cannot be used.
            ReplyError: when Redis refuses a command.
        """
        executor = self._executor()
        if not value(executor.execute([self._lease.hold()])[0]):
            self._reset()
            return False
        now, sample = self._clock(), value(executor.execute([latest_sample()])[0])
        if (sample is None or sample == self._sample) and 0 <= now - self._evaluated_at < _PATIENCE:
            return True
        executor.run(self._evaluate_sample(sample, now))
        self._sample, self._evaluated_at = sample, now
        return True

    def _evaluate_sample(self, sample: bytes | None, now: float) -> Conversation[None]:
        definitions = self._definitions()
        series = yield from self._follow_sample(sample, definitions, now)
        states, evaluated = yield from ask([commands.states(), commands.last_evaluation()])
        texts: Mapping[str, bytes] = value(states)
        if evaluated is None:
            # Redis lost its data, or the rules are evaluated for the first time.
            self._notifier = Notifier()
        # When Redis is out of memory, it does not store the time of an evaluation: this process remembers its own.
        last = max(self._evaluated_at, float("-inf") if evaluated is None else value(evaluated))
        moment = Moment(
            now=now,
            definitions=definitions,
            series=series,
            answers=(yield from self._ask_redis(definitions, series, now)),
            after_gap=not 0 <= now - last <= GAP,
        )
        changes = yield from self._with_errors(self._find_changes(moment, texts))
        yield from self._write_changes(changes, moment)
        yield from self._notifier.step(definitions.catalog.streams.get(ALERTS_STREAM), now)
        yield from ask([commands.note_evaluated(now)])

    def _follow_sample(
        self, sample: bytes | None, definitions: Definitions, now: float
    ) -> Conversation[RecentSeries | None]:
        found = None if sample is None else unpack(sample)
        if found is None or abs(now - found.at) > _FRESH:
            return None
        yield from self._series.add_sample(found, definitions.streams)
        return self._series

    def _ask_redis(
        self, definitions: Definitions, series: RecentSeries | None, now: float
    ) -> Conversation[RedisValues | None]:
        if 0 <= now - self._asked_at < _ASK_EVERY:
            return None
        conditions = {rule.condition for rule in definitions.rules if rule.enabled}
        answers = yield from ask_redis(definitions, series, conditions)
        self._asked_at = now
        return answers

    def _find_changes(self, moment: Moment, texts: Mapping[str, bytes]) -> list[_AlertChange]:
        """Return the alerts whose state, value or sentence changes."""
        known = self._unpack_states(texts)
        measured: dict[str, list[_Measurement] | None] = {}
        changes: list[_AlertChange] = []
        room = MOST_ALERTS - len(texts)
        for rule in moment.definitions.rules:
            if not rule.enabled:
                continue
            states = known.pop(rule.name, {})
            if rule.condition not in measured:
                values = moment.measure(rule.condition)
                measured[rule.condition] = None if values is None else list(values)
            if (all_ := measured[rule.condition]) is None:
                continue
            holding = {each[0].id: each for each in all_ if rule.holds(each[1]) and rule.is_for(each[0].names)}
            for id_ in sorted(states.keys() | holding.keys()):
                before = states.get(id_, _OK)
                if before is not _OK or room > 0:
                    room -= before is _OK
                    changes.append(_next_change(rule, id_, before, holding.get(id_), moment))
        for name, states in known.items():
            # The rule was deleted or disabled.
            rule = moment.definitions.rule(name) or Rule(name=name, condition="", threshold=0)
            changes += (_removal(rule, id_, before, moment) for id_, before in states.items())
        return [each for each in changes if each.before != each.after or (each.text and each.after is None)]

    def _unpack_states(self, texts: Mapping[str, bytes]) -> dict[str, dict[str, _Stored]]:
        """Return the stored states by the name of the rule and the id of the subject."""
        self._unpacked = {
            text: self._unpacked[text] if text in self._unpacked else state.unpack(text) for text in texts.values()
        }
        known: dict[str, dict[str, _Stored]] = {}
        for name, text in texts.items():
            rule, _, id_ = name.partition(" ")
            known.setdefault(rule, {})[id_] = text, self._unpacked[text]
        return known

    def _with_errors(self, changes: list[_AlertChange]) -> Conversation[list[_AlertChange]]:
        """Return the changes; each new alert about dead letters quotes the error of the latest one."""
        asked = [each for each in changes if each.begins and each.rule.condition == rules.DEAD.name][:_MOST_LOOKED_AT]
        if not asked:
            return changes
        letters = yield from ask(
            [dead_letter_commands.letters(each.subject.stream, each.subject.name, count=1) for each in asked]
        )
        errors = {
            id(each): short_error(found[0].error)
            for each, found in zip(asked, letters, strict=True)
            if not isinstance(found, ReplyError) and found
        }
        return [
            replace(
                each,
                after=_with_sentence(
                    each.after, each.rule, each.subject, detail=errors[id(each)], now=each.after.fired_at or 0
                ),
            )
            if each.after and id(each) in errors
            else each
            for each in changes
        ]

    def _write_changes(self, changes: Sequence[_AlertChange], moment: Moment) -> Conversation[None]:
        stream = moment.definitions.catalog.streams.get(ALERTS_STREAM)
        length = 0 if stream is None else stream.hard_length
        for start in range(0, len(changes), _TOGETHER):
            asked = [self._state_change_of(each, moment) for each in changes[start : start + _TOGETHER]]
            (reply,) = yield from ask([commands.change_states(asked, hard_length=length)])
            value(reply)

    def _state_change_of(self, each: _AlertChange, moment: Moment) -> StateChange:
        definitions, now, after = moment.definitions, moment.now, each.after
        record, entry = b"", list[str]()
        if (each.begins or each.ends or each.is_told_late) and (shown := after or each.before):
            phase = "resolved" if each.ends else "firing"
            alert = alert_json(each.rule, each.subject, shown, definitions, self._link_of, now=now, phase=phase)
            silenced = definitions.is_silenced(each.rule.name, each.subject, now) or (each.ends and shown.is_untold)
            record = orjson.dumps({**alert, "silenced": silenced})
            stream = definitions.catalog.streams.get(ALERTS_STREAM)
            if stream is not None and not each.is_told_late:
                entry = entry_of(change_event(alert), stream)
        return StateChange(each.name, each.text, state.pack(after), record, entry)


def _next_change(rule: Rule, id_: str, stored: _Stored, measured: _Measurement | None, moment: Moment) -> _AlertChange:
    """Return the change of an alert to its next state."""
    text, before = stored
    after = advance(before, rule, value=measured[1] if measured else None, now=moment.now, after_gap=moment.after_gap)
    if after is None:
        return _removal(rule, id_, stored, moment)
    subject = measured[0] if measured else _subject_of(id_, before, moment)
    after = replace(after, of=subject.of)
    if measured and (before is None or after.phase != before.phase or moment.answers is not None):
        after = _with_sentence(after, rule, subject, detail=measured[2] or after.detail, now=moment.now)
    elif before is not None:
        # The details of an alert are refreshed when Redis is asked for further values, not with each sample.
        after = replace(after, value=before.value)
    if _is_firing(after) and (after.is_untold or not _is_firing(before)):
        after = replace(after, is_untold=moment.definitions.is_silenced(rule.name, subject, moment.now))
    return _AlertChange(
        name=alert_name(rule.name, id_), rule=rule, subject=subject, text=text, before=before, after=after
    )


def _removal(rule: Rule, id_: str, stored: _Stored, moment: Moment) -> _AlertChange:
    """Return the change that removes an alert."""
    text, before = stored
    subject = _subject_of(id_, before, moment)
    return _AlertChange(
        name=alert_name(rule.name, id_), rule=rule, subject=subject, text=text, before=before, after=None
    )


def _subject_of(id_: str, before: AlertState | None, moment: Moment) -> Subject:
    # A state in another format is only removed: any subject does.
    return moment.definitions.subject(id_, before.of if before else "") or Subject("redis")


def _with_sentence(found: AlertState, rule: Rule, subject: Subject, *, detail: str, now: float) -> AlertState:
    """Return a state with the sentence for people, and the details in it."""
    said = sentence_of(CONDITIONS[rule.condition], subject.text, found.value, since=found.since, now=now, detail=detail)
    return replace(found, detail=detail, said=said)
