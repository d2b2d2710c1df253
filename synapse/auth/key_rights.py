"""The rights of an API key: the grants of its service, narrowed by the key's own scopes.

A scope is a word of `WORDS`, or `publish:PATTERN` or `read:PATTERN`. A key without `publish:` and `read:` scopes may do
everything that the grants allow; a key with one only what both allow. `first_uncovered` compares the rights of two
keys, so that no key can issue one with more rights.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from synapse.auth.principal import PERSONAL, Action

WORDS = {
    "registry:read": "see contracts and schemas in the registry",
    "registry:write": "register and delete them, and change what holds for them",
    "groups:write": "create, pause, resume, move and delete consumer groups",
    "dead-letters:read": "see dead letters",
    "dead-letters:write": "redrive, edit and discard dead letters",
    "audit:read": "see the audit log",
    "metrics:read": "see the metrics",
    "alerts:write": "see and make silences of alerts",
    "keys:write": "issue, rotate and revoke keys",
    PERSONAL: "see PII of events unmasked",
}
# The scope that every key has.
CATALOG_READ = "catalog:read"
MOST_SCOPES, LONGEST_SCOPE = 50, 110
ACTIONS: tuple[Action, ...] = ("publish", "read")
# Limits of a key's cache: the number of answers, and the characters of the names in one.
_MOST_KNOWN, _LONGEST_KNOWN = 256, 200
NAME_PATTERN = re.compile(r"[A-Za-z0-9._:*-]{1,100}")


class BadScope(ValueError):
    """A text is not a scope; the message explains it to a person."""


def sentence_of(scope: str) -> str:
    """Return what a scope allows, as a person reads it: “publish to orders”, “see dead letters”."""
    action, _, stream = scope.partition(":")
    if action in ACTIONS and scope not in WORDS:
        streams = "all streams" if stream == "*" else stream
        return f"publish to {streams}" if action == "publish" else f"read {streams}"
    return WORDS.get(scope, "see the catalog" if scope == CATALOG_READ else scope)


class Pattern:
    """A name, in which `*` stands for any characters. Matching takes time in proportion to both lengths at most.

    `matches` says whether a name matches. The function is chosen when the pattern is made, because each publish calls
    it, and most patterns are plain names or a lone `*`.
    """

    __slots__ = ("_first", "_last", "_middle", "matches")

    def __init__(self, text: str) -> None:
        self._first, *rest = text.split("*")
        self._last = rest.pop() if rest else ""
        self._middle = tuple(part for part in rest if part)
        self.matches: Callable[[str], bool] = self._matches_parts
        if "*" not in text:
            self.matches = text.__eq__
        elif not text.strip("*"):
            self.matches = _match_all

    def _matches_parts(self, name: str) -> bool:
        if len(name) < len(self._first) + len(self._last) or not name.startswith(self._first):
            return False
        if not name.endswith(self._last):
            return False
        at, end = len(self._first), len(name) - len(self._last)
        for part in self._middle:
            found = name.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True


def _match_all(name: str) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A grant of a service, from which rights are computed. `stream` and `event_type` are patterns."""

    action: Action
    stream: str
    event_type: str


class KeyRights:
    """The rights of one key (synapse.auth.principal.Rights), made when the catalog is loaded. A check compares a few
    patterns, and its answer is cached."""

    __slots__ = ("_grants", "_known", "_narrowed", "_words", "granted", "scopes")

    def __init__(self, grants: Iterable[Granted], scopes: Iterable[str]) -> None:
        self.granted, self.scopes = tuple(grants), tuple(scopes)
        self._known: dict[tuple[Action, str, str | None], bool] = {}
        each = self.scopes
        self._words = frozenset(word for word in each if word in WORDS) | {CATALOG_READ}
        self._narrowed: dict[Action, tuple[Pattern, ...]] = {
            action: tuple(Pattern(text.partition(":")[2]) for text in each if text.startswith(f"{action}:"))
            for action in ACTIONS
        }
        is_narrow = any(self._narrowed.values())
        self._grants: dict[Action, tuple[tuple[Pattern, Pattern], ...]] = {
            action: tuple(
                (Pattern(grant.stream), Pattern(grant.event_type)) for grant in self.granted if grant.action == action
            )
            # A key with scopes of its own has no right beyond them.
            if self._narrowed[action] or not is_narrow
            else ()
            for action in ACTIONS
        }

    def may(self, action: Action, stream: str, event_type: str | None = None) -> bool:
        question = (action, stream, event_type)
        answer = self._known.get(question)
        if answer is None:
            answer = self._decide(*question)
            # Callers and entries choose the names: without limits they could fill the memory.
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            if len(stream) + len(event_type or "") <= _LONGEST_KNOWN:
                self._known[question] = answer
        return answer

    def _decide(self, action: Action, stream: str, event_type: str | None) -> bool:
        narrowed = self._narrowed[action]
        if narrowed and not any(pattern.matches(stream) for pattern in narrowed):
            return False
        for on, of in self._grants[action]:
            if on.matches(stream) and (event_type is None or of.matches(event_type)):
                return True
        return False

    def has(self, scope: str) -> bool:
        return scope in self._words


class ScopesAlone:
    """Rights that consist of scopes alone and reach no stream (synapse.auth.principal.Rights)."""

    __slots__ = ("_words",)

    def __init__(self, *words: str) -> None:
        self._words = frozenset(words)

    def may(self, action: Action, stream: str, event_type: str | None = None) -> bool:
        return False

    def has(self, scope: str) -> bool:
        return scope in self._words


def check_scopes(scopes: Iterable[str]) -> list[str]:
    """Return the scopes of a key, each once, in order.

    Raises:
        BadScope: when one is not a scope, or there are too many.
    """
    found = sorted(set(scopes))
    if len(found) > MOST_SCOPES:
        raise BadScope(f"A key has at most {MOST_SCOPES} scopes.")
    for scope in found:
        action, _, pattern = scope.partition(":")
        if scope in WORDS or scope == CATALOG_READ:
            continue
        if action not in ACTIONS or not NAME_PATTERN.fullmatch(pattern):
            raise BadScope(
                f"“{scope[:LONGEST_SCOPE]}” is no scope. Scopes are {', '.join(WORDS)}, {CATALOG_READ}, and publish:"
                " or read: followed by the name of a stream or a pattern of names."
            )
    return found


def lower_bound(grants: Sequence[Granted], scopes: Iterable[str]) -> list[Granted]:
    """Return grants that a key with these scopes has for certain: never more than its rights.

    Where a grant and a scope are patterns that overlap, and neither contains the other, the overlap is left out.
    """
    return _narrowed(grants, scopes, in_doubt=False)


def upper_bound(grants: Sequence[Granted], scopes: Iterable[str]) -> list[Granted]:
    """Return grants that a key with these scopes has at most: never less than its rights.

    Where a grant and a scope are patterns that overlap, the grant stays whole.
    """
    return _narrowed(grants, scopes, in_doubt=True)


def first_uncovered(mine: Sequence[Granted], others: Iterable[Granted]) -> Granted | None:
    """Return the first grant of `others` that no single grant of `mine` contains, None when each is contained. A grant
    that only several of `mine` together contain counts as not contained.
    """
    return next((each for each in others if not any(_contains(one, each) for one in mine)), None)


def _narrowed(grants: Sequence[Granted], scopes: Iterable[str], *, in_doubt: bool) -> list[Granted]:
    parts = [(action, pattern) for action, _, pattern in (scope.partition(":") for scope in scopes)]
    patterns = [(action, pattern) for action, pattern in parts if action in ACTIONS]
    if not patterns:
        return list(grants)
    met = (
        (grant, _intersect(grant.stream, pattern, in_doubt=in_doubt))
        for grant in grants
        for action, pattern in patterns
        if action == grant.action
    )
    return [replace(grant, stream=stream) for grant, stream in met if stream]


def _intersect(stream: str, pattern: str, *, in_doubt: bool) -> str:
    """Return the pattern of the names that match both patterns, "" for none."""
    if _is_within(pattern, stream):
        return pattern
    if _is_within(stream, pattern) or (in_doubt and "*" in stream and "*" in pattern):
        return stream
    return ""


def _contains(wide: Granted, narrow: Granted) -> bool:
    return (
        wide.action == narrow.action
        and _is_within(narrow.stream, wide.stream)
        and _is_within(narrow.event_type, wide.event_type)
    )


def _is_within(narrow: str, wide: str) -> bool:
    # A `*` in the narrow pattern is matched as a plain character, so only a `*` of the wide pattern covers it.
    return Pattern(wide).matches(narrow)
