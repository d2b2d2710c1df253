"""Checks of callers' rights for operations and endpoints, with one wording of refusals.

The rights of people follow from Django's permissions: one table maps scopes to permissions. The admin's pages check
permissions themselves, as Django's do; their data and actions go through the operations, which check rights.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from synapse.auth.principal import EVERY_TYPE, EVERYTHING, PERSONAL, Action, Principal, Rights
from synapse.formats.text import ALERTS_STREAM
from synapse.problems import Forbidden

VIEW_PAYLOAD = "streams.view_payload"
VIEW_PERSONAL = "streams.view_personal"
PUBLISH = "streams.add_event"

# The right to see streams and their statistics, without publishing to or reading from them.
STREAMS_READ = "streams:read"

# The permissions that a scope requires, all of them.
SCOPES: Mapping[str, tuple[str, ...]] = {
    "catalog:read": (),
    STREAMS_READ: ("streams.view_stream",),
    "registry:read": ("contracts.view_contract",),
    "registry:write": ("contracts.add_contract", "contracts.change_contract"),
    # Changes contracts in the admin, where `registry:write` is not enough.
    "contracts:change": ("contracts.change_contract",),
    "groups:write": ("bridges.change_bridge",),
    "dead-letters:read": ("bridges.view_bridge", VIEW_PAYLOAD),
    "dead-letters:write": ("bridges.change_bridge", VIEW_PAYLOAD),
    PERSONAL: (VIEW_PERSONAL,),
    # No key has this scope: only the admin shows the archive.
    "archive:read": ("bridges.view_archivedevent",),
    "audit:read": ("core.view_auditentry",),
    "metrics:read": ("streams.view_stream",),
    "alerts:write": ("alerts.add_silence", "alerts.change_silence"),
    "keys:write": ("streams.add_key", "streams.change_key"),
}
ACTIONS: Mapping[Action, tuple[str, ...]] = {
    "publish": ("streams.view_stream", PUBLISH),
    "read": ("streams.view_stream", VIEW_PAYLOAD),
}


@dataclass(frozen=True, slots=True)
class PersonRights:
    """The rights of a person, from the permissions that they had when the request came."""

    permissions: frozenset[str] = field(repr=False)

    def may(self, action: Action, stream: str, event_type: str | None = None) -> bool:
        """Say whether the person may publish or read events: the same for all streams, since permissions do not name
        any.
        """
        return self.permissions.issuperset(ACTIONS[action])

    def has(self, scope: str) -> bool:
        """Say whether the person has a scope; only superusers have scopes without a permission."""
        return scope in SCOPES and self.permissions.issuperset(SCOPES[scope])


def rights_of(user: Any) -> Rights:
    """Return the rights of a Django user: every right for a superuser, none for an inactive user.

    Takes two queries, unless the user's permissions were loaded before.
    """
    if user.is_active and user.is_superuser:
        return EVERYTHING
    return PersonRights(frozenset(user.get_all_permissions()))


def person_of(user: Any, *, address: str) -> Principal:
    """Return the principal of a Django user with the IP address of the request."""
    return Principal(kind="person", name=user.get_username(), address=address, rights=rights_of(user))


# How refusals name an anonymous caller.
_NOBODY = "This caller"


def demand_right(principal: Principal, action: Action, stream: str, event_type: str | None = None) -> None:
    """Make sure that the caller may publish to, or read from, a stream. `event_type` as for `Rights.may`.

    Call it before any lookup: a caller without the right must not learn whether the stream exists.

    Raises:
        Forbidden: when the right is missing.
    """
    if action == "publish" and stream == ALERTS_STREAM:
        raise Forbidden(f"Only Synapse itself publishes to {stream}.", missing=f"publish:{stream}")
    if not principal.rights.may(action, stream, event_type):
        raise refused_right(principal, action, stream, event_type)


def demand_scope(principal: Principal, scope: str) -> None:
    """Make sure that the caller has a scope.

    Raises:
        Forbidden: when the scope is missing.
    """
    if not principal.rights.has(scope):
        raise refused_scope(principal, scope)


def demand_payload_access(principal: Principal, what: str) -> None:
    """Make sure that the caller may see PII before an action on it; `what` names the action.

    Raises:
        Forbidden: when the caller may not see PII.
    """
    if not principal.rights.has(PERSONAL):
        right = "the permission “streams.view_personal”" if principal.kind == "person" else f"the scope “{PERSONAL}”"
        raise Forbidden(
            f"{_caller_name(principal)} may not {what}: it holds PII, which takes {right}.", missing=PERSONAL
        )


def refused_right(principal: Principal, action: Action, stream: str, event_type: str | None = None) -> Forbidden:
    """Return the error for a caller without the right to publish to, or read from, a stream."""
    verb = "publish to" if action == "publish" else "read from"
    what = f"{verb} {stream[:100]}"
    if event_type == EVERY_TYPE:
        what = f"{verb} all of {stream[:100]}, but some event types only"
    elif event_type is not None:
        what = f"{action} “{event_type[:100]}” events {'to' if action == 'publish' else 'from'} {stream[:100]}"
    return Forbidden(f"{_caller_name(principal)} may not {what}.", missing=f"{action}:{stream[:100]}")


def refused_scope(principal: Principal, scope: str) -> Forbidden:
    """Return the error for a caller without a scope."""
    return Forbidden(f"{_caller_name(principal)} may not do this: the scope “{scope}” is missing.", missing=scope)


def _caller_name(principal: Principal) -> str:
    return _NOBODY if principal.kind == "anonymous" else str(principal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """Rights that an endpoint's caller must have, all of them together. Without any attribute set, a valid key
    suffices, where keys are required.

    Attributes:
        open_to_all: Nothing is required, not even a key.
        publish: To publish to the stream.
        read: To read at least some event types of the stream; if the path names one, that one.
        read_all: To read all event types of the stream.
        visible: To read from the stream, to publish to it, or the scope `streams:read`.
        scope: A scope.
        otherwise: A scope that replaces all other requirements.
        of_people: Scopes that a person needs in addition.
        is_checked_later: Whether the handler checks the rights, because the body names the stream or event type.
    """

    open_to_all: bool = False
    publish: bool = False
    read: bool = False
    read_all: bool = False
    visible: bool = False
    scope: str = ""
    otherwise: str = ""
    of_people: tuple[str, ...] = ()
    is_checked_later: bool = False

    def demand(self, by: Principal, stream: str = "", event_type: str | None = None) -> None:
        """Check the caller's rights.

        Raises:
            Forbidden: when one is missing.
        """
        if self.open_to_all or (self.otherwise and by.rights.has(self.otherwise)):
            return
        if self.visible and not is_visible(by.rights, stream):
            raise refused_right(by, "read", stream)
        if self.publish:
            demand_right(by, "publish", stream)
        if self.read:
            demand_right(by, "read", stream, event_type)
        if self.read_all:
            demand_right(by, "read", stream, EVERY_TYPE)
        if self.scope:
            demand_scope(by, self.scope)
        for scope in self.of_people if by.kind == "person" else ():
            demand_scope(by, scope)


ANYBODY, KNOWN = Requirement(open_to_all=True), Requirement()


def is_visible(rights: Rights, stream: str) -> bool:
    """Say whether a caller with these rights may see a stream's definition and statistics."""
    return rights.may("read", stream) or rights.may("publish", stream) or rights.has(STREAMS_READ)
