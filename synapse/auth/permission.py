"""Refuse callers without the required right: operations call these functions, so that every edge refuses in one
wording."""

from synapse.auth.principal import EVERY_TYPE, PERSONAL, Action, Principal
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
