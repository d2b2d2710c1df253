"""The requirement of an endpoint on its caller, declared as a value that also checks it."""

from dataclasses import dataclass

from synapse.auth.permission import demand_right, demand_scope, refused_right
from synapse.auth.principal import EVERY_TYPE, Principal, Rights


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """Rights that a caller must have, all of them together. Without any: a good key, where keys are required.

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
