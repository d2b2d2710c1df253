"""Whose groups are: who brings or pulls events registers what it knows, because nothing here knows of that, and is told
when a service gets another name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

# A stream and a group of it.
Place = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What a group belongs to: a bridge that brings its events somewhere, or one that is pulled over HTTP."""

    kind: Literal["bridge", "pull"]
    name: str
    enabled: bool
    paused: bool


Owners = Mapping[Place, Owner]

_providers: list[Callable[[], Owners]] = []
_renamers: list[Callable[[str, str], None]] = []


def on_owners(provider: Callable[[], Owners]) -> None:
    """Register who knows of owners: called whenever groups are shown, so it answers from memory."""
    _providers.append(provider)


def owners() -> Owners:
    """Return the owners that are known. A group without one is some other program's."""
    found: dict[Place, Owner] = {}
    for provider in _providers:
        found |= provider()
    return found


def on_renamed_service(listener: Callable[[str, str], None]) -> None:
    """Register who is called with a service's old and new name, in the transaction that renames it."""
    _renamers.append(listener)


def rename_service(before: str, after: str) -> None:
    """Let a service keep what belongs to it under its old name."""
    for listener in _renamers:
        listener(before, after)
