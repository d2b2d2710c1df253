"""Rules and silences in the memory of every process, reloaded when the catalog changes. The evaluator makes no
queries.
"""

import threading
from collections.abc import Iterable, Mapping

from django.utils import timezone

from alerts.models import AlertRule, Silence
from bridges.auto_disable import reasons_of_disabling
from bridges.snapshot import holder as bridges
from core.database import close_stale_connections
from streams.models import Stream
from streams.snapshot import holder as catalog
from synapse.alerts import definitions
from synapse.alerts.definitions import Definitions
from synapse.alerts.rules import CONDITIONS, DEFAULT_RULES, DEFAULTS_BY_NAME, Rule
from synapse.catalog.stream_definitions import Snapshot


class DefinitionHolder:
    """Holds the definitions that match the current snapshot of the catalog."""

    def __init__(self) -> None:
        self._loaded: tuple[Snapshot, Definitions] | None = None
        self._stream_ids: Mapping[str, int] = {}
        self._lock = threading.Lock()

    def current(self) -> Definitions:
        """Return rules, silences and watched subjects, without a query unless the catalog has changed."""
        snapshot = catalog.current()
        with self._lock:
            if self._loaded is None or self._loaded[0] is not snapshot:
                # Any thread may be the one to load, and its connection may be stale.
                close_stale_connections()
                self._loaded = (snapshot, _load_definitions(snapshot))
                self._stream_ids = dict(Stream.objects.values_list("name", "pk"))
            return self._loaded[1]

    def stream_id(self, name: str) -> int | None:
        """Return the primary key of a stream as of the last load, without a query."""
        return self._stream_ids.get(name)


def _load_definitions(snapshot: Snapshot) -> Definitions:
    found = bridges.current()
    return Definitions(
        catalog=snapshot,
        bridges=found,
        disabled=reasons_of_disabling([name for name, bridge in found.items() if not bridge.enabled]),
        rules=rules_of(AlertRule.objects.all()),
        silences=[
            definitions.Silence(
                id=row.pk,
                subject=row.subject,
                rule=row.rule,
                begins=row.begins_at.timestamp(),
                ends=row.ends_at.timestamp(),
            )
            # Past silences stay in the database for people to read, and their number grows.
            for row in Silence.objects.filter(ends_at__gt=timezone.now())
        ],
    )


def rules_of(rows: Iterable[AlertRule]) -> list[Rule]:
    """Return all rules: the built-in ones with the changes of rows, then others by name."""
    changed = {row.name: rule_of(row) for row in rows}
    return [*(changed.pop(rule.name, rule) for rule in DEFAULT_RULES), *(changed[name] for name in sorted(changed))]


def rule_of(row: AlertRule) -> Rule:
    """Convert a row to a rule. Empty columns get the values of the built-in rule, or the defaults of the condition."""
    known = DEFAULTS_BY_NAME.get(row.name)
    condition = row.condition or (known.condition if known else "")
    usual = known or Rule(name=row.name, condition=condition, threshold=CONDITIONS[condition].threshold)
    return Rule(
        name=row.name,
        condition=condition,
        threshold=usual.threshold if row.threshold is None else row.threshold,
        for_seconds=usual.for_seconds if row.for_seconds is None else row.for_seconds,
        severity="critical" if (row.severity or usual.severity) == "critical" else "warning",
        subjects=tuple(row.subjects),
        enabled=row.enabled,
        description=row.description or usual.description,
        runbook=row.runbook or usual.runbook,
        labels=row.labels,
    )


holder = DefinitionHolder()
