"""A snapshot of the bridges in each process, reloaded when the catalog changes.

A change shows in the snapshot of streams, which every process then replaces as a whole.
"""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime

from bridges.models import Bridge
from core.database import close_stale_connections
from streams.snapshot import holder as catalog
from synapse.catalog import filters
from synapse.catalog.bridge_definitions import BRIDGE_FIELDS, BridgeDefinition
from synapse.catalog.stream_definitions import Snapshot
from synapse.delivery import retry
from synapse.delivery.sink import Delivery
from synapse.inspection.groups import Owner, Owners
from synapse.wire import masking
from synapse.wire.ids import start_of
from synapse.wire.masking import Mask


class BridgeHolder:
    """Holds the bridge definitions that match the current snapshot of the catalog."""

    def __init__(self) -> None:
        self._loaded: tuple[Snapshot, Mapping[str, BridgeDefinition]] | None = None
        self._by_group: Mapping[tuple[str, str], BridgeDefinition] = {}
        self._lock = threading.Lock()

    def current(self) -> Mapping[str, BridgeDefinition]:
        """Return the bridges by name, without a query unless the catalog changed."""
        snapshot = catalog.current()
        with self._lock:
            if self._loaded is None or self._loaded[0] is not snapshot:
                # This thread may not have used its connection for long.
                close_stale_connections()
                self._loaded = (snapshot, _load_bridges())
                self._by_group = {(bridge.stream, bridge.group): bridge for bridge in self._loaded[1].values()}
            return self._loaded[1]

    @property
    def is_current(self) -> bool:
        """Whether the loaded bridges match the current snapshot, so that no query is needed."""
        loaded = self._loaded
        return loaded is not None and loaded[0] is catalog.current()

    @property
    def was_loaded(self) -> bool:
        """Whether bridges were loaded, even if older than the current snapshot."""
        return self._loaded is not None

    def bridge_at(self, stream: str, group: str) -> BridgeDefinition | None:
        """Return the bridge that reads as a group, as loaded last; None without one. Makes no query."""
        return self._by_group.get((stream, group))

    def keeps_log(self, stream: str, group: str) -> bool:
        """Say whether a bridge reads as the group and keeps a delivery log."""
        self.current()
        bridge = self.bridge_at(stream, group)
        return bridge is not None and bridge.delivery_log != "off"

    def durable_groups(self) -> dict[str, dict[str, str]]:
        """Return the groups of all bridges, by stream, each with the id after which it begins.

        Trimming respects their backlog, also while the bridges are disabled.
        """
        groups: dict[str, dict[str, str]] = {}
        now = datetime.now(UTC)
        for bridge in self.current().values():
            groups.setdefault(bridge.stream, {})[bridge.group] = start_of(bridge.start, now=now)
        return groups

    def owners(self) -> Owners:
        """Return the owner of each bridge's group, by stream and group."""
        return {
            (bridge.stream, bridge.group): Owner(
                kind="pull" if bridge.is_pulled else "bridge",
                name=bridge.name,
                enabled=bridge.enabled,
                paused=bridge.paused,
                owner=bridge.owner,
                runbook=bridge.runbook,
                labels=dict(bridge.labels),
            )
            for bridge in self.current().values()
        }


def _load_bridges() -> dict[str, BridgeDefinition]:
    return {row.name: definition_of(row) for row in Bridge.objects.select_related("stream").order_by("name")}


def definition_of(row: Bridge) -> BridgeDefinition:
    """Return the definition in a row."""
    settings = {field.name: getattr(row, field.name) for field in BRIDGE_FIELDS}
    settings["event_types"] = frozenset(row.event_types)
    settings["filters"] = filters.read_filters(row.filters)
    settings["retry_schedule"] = retry.read_schedule(row.retry_schedule)
    own = {name: getattr(row, name) for name in ("name", "group", "sink", "config", "opened_by", "pk")}
    return BridgeDefinition(stream=row.stream.name, **own, **settings)


holder = BridgeHolder()


def mask_of(delivery: Delivery) -> Mask | None:
    """Return the mask for the PII of an event, by the contracts of its stream; None without any."""
    return masking.mask_of(catalog.current().display_definition(delivery.stream), delivery.entry)
