"""The groups that are pulled: bridges with the sink `pull`, made when somebody first reads as one."""

import hashlib
import logging
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, IntegrityError, InterfaceError, transaction
from django.utils import timezone

from bridges.database_connections import close_stale_connections
from bridges.models import Bridge, OpenedGroup
from bridges.pull import permissions
from bridges.pull.permissions import demand_opening, owner_of_what_opens
from bridges.snapshot import definition_of, holder
from core import audit
from streams.connections import shares_of
from streams.models import Stream
from synapse.auth.principal import Principal
from synapse.catalog.bridge_definitions import PULL, PULL_LEASE_SECONDS, BridgeDefinition
from synapse.errors.delivery import (
    CatalogAway,
    GroupDisabled,
    GroupTaken,
    NobodyPulls,
    TooManyGroups,
)
from synapse.errors.streams import UnknownStream
from synapse.pull.requests import Place
from synapse.shares import CallerId, caller_of
from synapse.shares.counter import Wanted

# A program that makes up names for its groups must not fill the catalog.
MOST_GROUPS = 1000
LONGEST_NAME = 100

T = TypeVar("T")

logger = logging.getLogger(__name__)


def follow() -> None:
    """Load the bridges of the current catalog. While the database is away they stay as they were.

    Raises:
        CatalogAway: when they were never loaded: nobody knows then which groups are bridges' own.
    """
    try:
        holder.current()
    except (DatabaseError, InterfaceError) as error:
        logger.warning("the bridges cannot be loaded: %s", error)
        if not holder.was_loaded:
            raise CatalogAway from error


def known(place: Place) -> BridgeDefinition | None:
    """Return the bridge that reads as a group, as far as this process knows: it asks no database.

    Raises:
        GroupTaken: when it brings the events somewhere.
    """
    found = holder.at(place.stream, place.group)
    return None if found is None else _pulled(found)


def find(place: Place) -> BridgeDefinition:
    """Return the group, whoever made it, and be it a moment ago.

    Raises:
        NobodyPulls: when nobody pulls as it.
        GroupTaken: when a bridge brings its events somewhere.
        CatalogAway: when the database does not answer, and the group is not known here.
    """
    found = known(place) or _asked(lambda: _row(place))
    if found is None:
        raise NobodyPulls(place.stream, place.group)
    return _pulled(found)


def opened(place: Place, by: Principal) -> BridgeDefinition:
    """Return the group, making it when nobody has. Many may ask for it at once.

    Raises:
        Forbidden: when it is not there, and the caller may not read all of the stream.
        UnknownStream: when no such stream is defined.
        GroupTaken, GroupDisabled, TooManyGroups: as their names say.
        ShareUsedUp, AllInUse: when the caller, or all, opened as many groups as may.
        CatalogAway: when the database does not answer, and the group is not known here.
    """
    return readable(_pulled(known(place) or _asked(lambda: _row(place) or _made(place, by))))


def readable(group: BridgeDefinition) -> BridgeDefinition:
    """Return the group, for one who reads it now.

    Raises:
        GroupDisabled: when somebody disabled it.
    """
    if not group.enabled:
        raise GroupDisabled(group.group)
    permissions.note(group.stream, group.group)
    return group


def rename_owner(before: str, after: str) -> None:
    """Let the groups of a service be those of its new name: where they are, and its share of groups, stay."""
    Bridge.objects.filter(opened_by=before).update(opened_by=after)
    OpenedGroup.objects.filter(caller_kind="service", caller_name=before).update(caller_name=after)


def _pulled(found: BridgeDefinition) -> BridgeDefinition:
    if not found.is_pulled:
        raise GroupTaken(found.group, found.name)
    return found


def _row(place: Place) -> BridgeDefinition | None:
    rows = Bridge.objects.select_related("stream").filter(stream__name=place.stream, group=place.group)
    row = rows.first()
    return None if row is None else definition_of(row)


def _made(place: Place, by: Principal) -> BridgeDefinition:
    demand_opening(place, by)
    values = {"group": place.group, "sink": PULL, "lease_seconds": PULL_LEASE_SECONDS}
    values["opened_by"] = owner_of_what_opens(by)
    try:
        with transaction.atomic():
            stream = Stream.objects.filter(name=place.stream).first()
            if stream is None:
                raise UnknownStream(place.stream)
            if Bridge.objects.filter(stream=stream, sink=PULL).count() >= MOST_GROUPS:
                raise TooManyGroups(place.stream, MOST_GROUPS)
            caller = caller_of(by)
            _check_share(caller)
            row = Bridge.objects.create(name=_free_name(place), stream=stream, **values)
            OpenedGroup.objects.create(
                bridge=row, caller_kind=caller.kind, caller_name=caller.name, read_at=timezone.now()
            )
            audit.record(by, "create", f"bridge {row.name}", before=None, after={"stream": place.stream, **values})
    except IntegrityError:
        # Somebody else made it in the same moment.
        found = _row(place)
        if found is None:
            raise
        return found
    logger.info("The group %s of %s is pulled from now on", place.group, place.stream)
    return definition_of(row)


def _check_share(caller: CallerId) -> None:
    """Make sure that a caller may open one more group, of all that reads have opened in the installation."""
    opened = OpenedGroup.objects
    wanted = Wanted(
        held=opened.filter(caller_kind=caller.kind, caller_name=caller.name).count() + 1,
        used=opened.count() + 1,
        anonymous=opened.filter(caller_kind="address").count() + 1,
    )
    shares_of("pull-groups").check(caller, wanted)


def _free_name(place: Place) -> str:
    name = f"{place.stream}:{place.group}"
    if len(name) <= LONGEST_NAME and not Bridge.objects.filter(name=name).exists():
        return name
    # Too long, or somebody else's: as much of it as fits, and what no other group has.
    digest = hashlib.sha256(f"{place.stream}/{place.group}".encode()).hexdigest()[:12]
    return f"{name[: LONGEST_NAME - len(digest) - 1]}:{digest}"


def _asked(question: Callable[[], T]) -> T:
    close_stale_connections()
    try:
        return question()
    except (DatabaseError, InterfaceError) as error:
        logger.warning("the groups cannot be asked for: %s", error)
        raise CatalogAway from error
