"""Pulled groups: bridges with the sink `pull`, created by the first read of a group."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from django.db import DatabaseError, IntegrityError, InterfaceError, transaction
from django.utils import timezone

from bridges.models import Bridge, OpenedGroup
from bridges.snapshot import definition_of, holder
from core import audit
from core.database import close_stale_connections
from streams.connections import shares_of
from streams.models import Stream
from streams.snapshot import holder as catalog
from synapse.auth.permission import Requirement, demand_right, demand_scope
from synapse.auth.principal import EVERY_TYPE, PERSONAL, Principal
from synapse.catalog.bridge_definitions import PULL, PULL_LEASE_SECONDS, BridgeDefinition
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.errors.delivery import CatalogAway, GroupDisabled, GroupNotPulled, GroupTaken, TooManyGroups
from synapse.errors.streams import UnknownStream
from synapse.problems import Forbidden, Problem
from synapse.pull.protocol import GroupRef
from synapse.runtime.repeated_failures import RepeatedFailures
from synapse.shares import CallerId, caller_of
from synapse.shares.counter import RequestedShare

# The interval at which a group's row is written at most, by all processes together: precise enough for an expiry after
# days.
_WRITE_EVERY = timedelta(hours=12)

# The last read of each group in this process that is not written yet, in seconds since 1970. Only existing groups are
# recorded.
_last_reads: dict[tuple[str, str], float] = {}


def _note_read(stream: str, group: str) -> None:
    """Record that a group was read at this moment."""
    _last_reads[stream, group] = time.time()


def flush_reads() -> None:
    """Write the times of the last reads to the database. The catalog's version stays, because no process needs to
    reload.
    """
    for ref in list(_last_reads):
        moment = datetime.fromtimestamp(_last_reads.pop(ref), UTC)
        rows = OpenedGroup.objects.filter(bridge__stream__name=ref[0], bridge__group=ref[1])
        rows.filter(read_at__lt=moment - _WRITE_EVERY).update(read_at=moment)


GROUPS = "groups:write"
# Pulled events are not masked, and taking them keeps them from other programs. So people need both rights.
REQUIRES = Requirement(read=True, read_all=True, of_people=(PERSONAL, GROUPS), is_checked_later=True)


def stream_of(ref: GroupRef, by: Principal) -> StreamDefinition:
    """Return the stream that a caller pulls from.

    Raises:
        Forbidden: when the caller may not read from it, or is a person who may not see PII or act on groups.
        UnknownStream: when it is not defined.
    """
    demand_right(by, "read", ref.stream)
    for scope in REQUIRES.of_people if by.kind == "person" else ():
        demand_scope(by, scope)
    stream = catalog.current().streams.get(ref.stream)
    if stream is None:
        raise UnknownStream(ref.stream)
    return stream


def demand_group(group: BridgeDefinition, by: Principal) -> None:
    """Check that a caller may take and acknowledge every event of the group, and that another service does not own the
    group.

    Raises:
        Forbidden: when the group has events of a type that the caller may not read; when another service opened it,
            and the caller may not act on groups.
    """
    _demand_types(group.stream, group.event_types or (EVERY_TYPE,), by)
    if group.opened_by and group.opened_by != owner_for_new_group(by) and not by.rights.has(GROUPS):
        refusal = f"{by} may not use the group “{group.group}” of another service: the scope “{GROUPS}” is missing."
        raise Forbidden(refusal, missing=GROUPS)


def may_use_any_group(ref: GroupRef, by: Principal) -> bool:
    """Say whether a caller may use every group of the stream, regardless of its owner."""
    return by.rights.has(GROUPS) and by.rights.may("read", ref.stream, EVERY_TYPE)


def owner_for_new_group(by: Principal) -> str:
    """Return the service that will own a group that the caller opens, "" for none."""
    return by.name if by.kind == "service" else ""


def _demand_types(stream: str, event_types: Iterable[str], by: Principal) -> None:
    for event_type in event_types:
        demand_right(by, "read", stream, event_type)


# The number of pulled groups of a stream, so that a program that invents names cannot fill the catalog.
MOST_GROUPS = 1000
LONGEST_NAME = 100

T = TypeVar("T")

logger = logging.getLogger(__name__)
_failures = RepeatedFailures()


def follow_catalog() -> None:
    """Load the bridges of the current catalog. While the database is unavailable, keep those loaded before.

    Raises:
        CatalogAway: when they were never loaded, so that the groups of bridges are unknown.
    """
    try:
        holder.current()
    except (DatabaseError, InterfaceError) as error:
        if _failures.is_new(str(error), "bridges"):
            logger.warning("the bridges cannot be loaded: %s", error)
        if not holder.was_loaded:
            raise CatalogAway from error
    else:
        _failures.end("bridges")


def find_cached_bridge(ref: GroupRef) -> BridgeDefinition | None:
    """Return the pulled group as loaded in memory, without a query; None when it is not loaded.

    Raises:
        GroupTaken: when a bridge with another sink reads as the group.
    """
    found = holder.bridge_at(ref.stream, ref.group)
    return None if found is None else _demand_pulled(found)


def find_group(ref: GroupRef) -> BridgeDefinition:
    """Return a pulled group; read it from the database if this process has not loaded it yet.

    Raises:
        GroupNotPulled: when it was never pulled.
        GroupTaken: when a bridge with another sink reads as it.
        CatalogAway: when the database does not answer, and this process does not know the group.
    """
    found = find_cached_bridge(ref) or _query_database(lambda: _load_bridge(ref))
    if found is None:
        raise GroupNotPulled(ref.stream, ref.group)
    return _demand_pulled(found)


def open_group(ref: GroupRef, by: Principal) -> BridgeDefinition:
    """Return a pulled group, and create it if it does not exist. Safe under concurrent calls.

    Raises:
        Forbidden: when the group does not exist, and the caller may not read all of the stream.
        UnknownStream: when the stream is not defined.
        GroupTaken, GroupDisabled, TooManyGroups: as their names say.
        ShareUsedUp, AllInUse: when the caller has, or all callers have, opened the most groups allowed.
        CatalogAway: when the database does not answer, and this process does not know the group.
    """
    return record_read(
        _demand_pulled(find_cached_bridge(ref) or _query_database(lambda: _load_bridge(ref) or _create_group(ref, by)))
    )


def record_read(group: BridgeDefinition) -> BridgeDefinition:
    """Record that the group is read now, and return it.

    Raises:
        GroupDisabled: when it is disabled.
    """
    if not group.enabled:
        raise GroupDisabled(group.group)
    _note_read(group.stream, group.group)
    return group


def rename_owner(before: str, after: str) -> None:
    """Give a renamed service its groups under the new name. Positions, and the service's share of groups, stay."""
    Bridge.objects.filter(opened_by=before).update(opened_by=after)
    OpenedGroup.objects.filter(caller_kind="service", caller_name=before).update(caller_name=after)


def _demand_pulled(found: BridgeDefinition) -> BridgeDefinition:
    if not found.is_pulled:
        raise GroupTaken(found.group, found.name)
    return found


def _load_bridge(ref: GroupRef) -> BridgeDefinition | None:
    rows = Bridge.objects.select_related("stream").filter(stream__name=ref.stream, group=ref.group)
    row = rows.first()
    return None if row is None else definition_of(row)


def _create_group(ref: GroupRef, by: Principal) -> BridgeDefinition:
    # A group opened by a read delivers events of all types, so the caller must be allowed to read all.
    _demand_types(ref.stream, (EVERY_TYPE,), by)
    values = {"group": ref.group, "sink": PULL, "lease_seconds": PULL_LEASE_SECONDS}
    values["opened_by"] = owner_for_new_group(by)
    try:
        with transaction.atomic():
            stream = Stream.objects.filter(name=ref.stream).first()
            if stream is None:
                raise UnknownStream(ref.stream)
            if Bridge.objects.filter(stream=stream, sink=PULL).count() >= MOST_GROUPS:
                raise TooManyGroups(ref.stream, MOST_GROUPS)
            caller = caller_of(by)
            _check_share(caller)
            row = Bridge.objects.create(name=_find_free_name(ref), stream=stream, **values)
            OpenedGroup.objects.create(
                bridge=row, caller_kind=caller.kind, caller_name=caller.name, read_at=timezone.now()
            )
            audit.record(by, "create", f"bridge {row.name}", before=None, after={"stream": ref.stream, **values})
    except IntegrityError:
        # Another process created it at the same time.
        found = _load_bridge(ref)
        if found is None:
            raise
        return found
    logger.info("The group %s of %s is pulled from now on", ref.group, ref.stream)
    return definition_of(row)


def _check_share(caller: CallerId) -> None:
    """Check that a caller's share allows one more group, among all groups that reads have opened."""
    opened = OpenedGroup.objects
    wanted = RequestedShare(
        held=opened.filter(caller_kind=caller.kind, caller_name=caller.name).count() + 1,
        used=opened.count() + 1,
        anonymous=opened.filter(caller_kind="address").count() + 1,
    )
    shares_of("pull-groups").check(caller, wanted)


def _find_free_name(ref: GroupRef) -> str:
    name = f"{ref.stream}:{ref.group}"
    if len(name) <= LONGEST_NAME and not Bridge.objects.filter(name=name).exists():
        return name
    # The name is too long or taken: shorten it, and add a digest.
    digest = hashlib.sha256(f"{ref.stream}/{ref.group}".encode()).hexdigest()[:12]
    return f"{name[: LONGEST_NAME - len(digest) - 1]}:{digest}"


def _query_database(question: Callable[[], T]) -> T:
    close_stale_connections()
    try:
        found = question()
    except (DatabaseError, InterfaceError) as error:
        if _failures.is_new(str(error), "groups"):
            logger.warning("the groups cannot be asked for: %s", error)
        raise CatalogAway from error
    except Problem:
        # The database did answer.
        _failures.end("groups")
        raise
    _failures.end("groups")
    return found
