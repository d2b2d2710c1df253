"""Rights of callers: operations and endpoints refuse those without the required right here, in one wording."""

from dataclasses import dataclass

from synapse.auth.principal import EVERY_TYPE, PERSONAL, Action, Principal, Rights
from synapse.problems import Forbidden

# How a person without a name is spoken of.
_NOBODY = "This caller"


def demand_right(principal: Principal, action: Action, stream: str, event_type: str | None = None) -> None:
    """Make sure that the caller may publish to, or read from, a stream. `event_type` as for `Rights.may`.

    Call it before any lookup: a caller without the right must not learn whether the stream exists.

    Raises:
        Forbidden: when the right is missing.
    """
    if not principal.rights.may(action, stream, event_type):
        raise refused_right(principal, action, stream, event_type)


def demand_scope(principal: Principal, scope: str) -> None:
    """Make sure that the caller has a scope.

    Raises:
        Forbidden: when they have not.
    """
    if not principal.rights.has(scope):
        raise refused_scope(principal, scope)


def demand_personal(principal: Principal, what: str) -> None:
    """Make sure that the caller has payload access before an action on PII; `what` names the action.

    Raises:
        Forbidden: when payload access is missing.
    """
    if not principal.rights.has(PERSONAL):
        right = "the permission “streams.view_personal”" if principal.kind == "person" else f"the scope “{PERSONAL}”"
        raise Forbidden(f"{_name(principal)} may not {what}: it holds PII, which takes {right}.", missing=PERSONAL)


def refused_right(principal: Principal, action: Action, stream: str, event_type: str | None = None) -> Forbidden:
    """Return the error for a caller without the right to publish to, or read from, a stream."""
    verb = "publish to" if action == "publish" else "read from"
    what = f"{verb} {stream[:100]}"
    if event_type == EVERY_TYPE:
        what = f"{verb} all of {stream[:100]}, but some event types only"
    elif event_type is not None:
        what = f"{action} “{event_type[:100]}” events {'to' if action == 'publish' else 'from'} {stream[:100]}"
    return Forbidden(f"{_name(principal)} may not {what}.", missing=f"{action}:{stream[:100]}")


def refused_scope(principal: Principal, scope: str) -> Forbidden:
    """Return the error for a caller without a scope."""
    return Forbidden(f"{_name(principal)} may not do this: the scope “{scope}” is missing.", missing=scope)


def _name(principal: Principal) -> str:
    return _NOBODY if principal.kind == "anonymous" else str(principal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """Rights that an endpoint's caller must have, all of them together. Without any: a good key, where keys are
    required.

    Attributes:
        open_to_all: Not even a key.
        publish: To publish to the stream.
        read: To read from the stream some event types at least; where the path names one, that one.
        read_all: To read all event types of the stream.
        visible: To read from the stream, to publish to it, or the scope `streams:read`.
        scope: A scope.
        otherwise: A scope that does instead of all of them.
        of_people: Scopes that a person needs besides.
        is_checked_later: Whether the handler checks it, because the request's body names the stream or event type.
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
    return rights.may("read", stream) or rights.may("publish", stream) or rights.has("streams:read")
