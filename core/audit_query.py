"""Search audit entries by actor, action, target and time, and phrase each as a sentence."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from core.models import AuditEntry
from synapse.auth.permission import demand_scope
from synapse.auth.principal import Principal

_MOST_CHARACTERS = 60
_MOST_CHANGES = 4
# “red” and “seed” are no verb's past.
_SHORTEST_PAST = 5

Said = Mapping[str, Any]


def sentence(action: str, target: str, before: Any, after: Any) -> str:
    """Phrase an action as a sentence without its subject: “changed stream orders: max_length from 5 to 9”."""
    said_before, said_after = (value if isinstance(value, dict) else {} for value in (before, after))
    tell = _SENTENCES.get(action)
    if tell is not None:
        return tell(target, said_before, said_after)
    return f"{_past(action)} {target}{_details(said_before, said_after)}"


def _past(action: str) -> str:
    """Return the past tense of an action, a verb with its complement: “redrive in part” becomes “redrove in part”."""
    verb, *rest = action.split(" ")
    return " ".join([_PASTS.get(verb, f"{verb}d" if verb.endswith("e") else f"{verb}ed"), *rest])


def searched(word: str) -> str:
    """Return the search terms for a verb in the past tense: “redrove” finds “redrive”, “changed” finds “change”.

    Of a regular verb it is the beginning, which finds the past tense too.
    """
    lower = word.lower()
    if lower in _VERBS:
        return _VERBS[lower]
    return word[:-2] if lower.endswith("ed") and len(word) > _SHORTEST_PAST else word


def _details(before: Said, after: Said) -> str:
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if not before or not after or not names:
        return ""
    shown = [f"{name} from {_value(before.get(name))} to {_value(after.get(name))}" for name in names[:_MOST_CHANGES]]
    more = f", and {len(names) - _MOST_CHANGES} more" if len(names) > _MOST_CHANGES else ""
    return f": {', '.join(shown)}{more}"


def _value(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, (dict, list)):
        return "another value" if len(orjson.dumps(value)) > _MOST_CHARACTERS else orjson.dumps(value).decode()
    text = str(value)
    return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + "…"


def _seen(target: str, _: Said, after: Said) -> str:
    also = ", with the PII in them" if after.get("personal") else ""
    if after.get("watching"):
        return f"watched the events of {target}{also}"
    if after.get("exporting"):
        return f"exported the events of {target}{also}"
    count = after.get("events", 0)
    what = "the payload of an event" if count == 1 else f"the payloads of {count} events"
    how = next((verb for name, verb in _LOOKS.items() if after.get(name)), "saw")
    return f"{how} {what} of {target}{also}"


def _counted(verb: str) -> Callable[[str, Said, Said], str]:
    def tell(target: str, _: Said, after: Said) -> str:
        count = after.get("count")
        many = "" if count is None else f"{count} of "
        why = f", because: {_value(after['reason'])}" if after.get("reason") else ""
        return f"{verb} {many}{target}{why}"

    return tell


def _published(target: str, _: Said, after: Said) -> str:
    id_ = after.get("id")
    return f"published an event by hand to {target}{f' ({id_})' if isinstance(id_, str) else ''}"


def _imported(target: str, _: Said, after: Said) -> str:
    count = after.get("count", 0)
    # Of those that Redis did not confirm, some may be stored.
    more = f", and perhaps {aborted} more" if (aborted := after.get("aborted")) else ""
    return f"imported {count} event{'' if count == 1 else 's'} into {target}{more}"


def _failed_to_log_in(target: str, _: Said, after: Said) -> str:
    count, names = after.get("failures", 1), after.get("names", [])
    times = "" if count == 1 else f" {count} times"
    shown = f", such as {', '.join(f'“{_value(name)}”' for name in names)}" if names else ""
    return f"failed{times} to log in as {target}{shown}"


# The kind of an access to payloads, by the members of its entry beside the events.
_LOOKS = {
    "exported": "exported",
    "pulled_as": "took",
    "back_test": "tested a schema on",
    "draft": "drafted a contract from",
}
_PASTS = {
    "begin": "began",
    "draft": "drafted",
    "fail": "failed",
    "log": "logged",
    "redrive": "redrove",
    "roll": "rolled",
    "see": "saw",
}
_VERBS = {past: verb for verb, past in _PASTS.items()}
_SENTENCES: Mapping[str, Callable[[str, Said, Said], str]] = {
    "log in": lambda *_: "logged in",
    "log out": lambda *_: "logged out",
    "fail to log in": _failed_to_log_in,
    "lock out": lambda target, _, after: f"was locked out as {target} for {after.get('minutes', '?')} minutes",
    "see payloads": _seen,
    "publish": _published,
    "begin import": lambda target, *_: f"began to import events into {target}",
    "import": _imported,
    "fail to import": lambda target, _, after: f"failed to import events into {target}: {_value(after.get('detail'))}",
    "redrive": _counted("redrove"),
    "redrive edited": _counted("edited and redrove"),
    "discard": _counted("discarded"),
    "change password": lambda target, *_: f"changed the password of {target}",
    "draft": lambda target, *_: f"wrote a draft of {target}",
    "discard draft": lambda target, *_: f"discarded the draft of {target}",
    "activate": lambda target, _, after: f"activated version {after.get('version', '?')} of {target}",
}


SCOPE = "audit:read"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """A filter of audit entries, whose conditions must all hold. An empty text matches all.

    `actor`, `action` and `key` match exactly; `target` matches a part of the target, in capitals or small letters.
    `since` and `until` are inclusive.
    """

    actor: str = ""
    action: str = ""
    target: str = ""
    key: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Audit entries, newest first, and the id before which the next page begins (None: there is none)."""

    entries: list[AuditEntry]
    next: int | None


def page(wanted: AuditFilter, *, by: Principal, count: int, before: int | None = None) -> Page:
    """Return the newest entries that match; with `before`, those with a lower id.

    Raises:
        Forbidden: when the caller may not read the audit log.
    """
    demand_scope(by, SCOPE)
    exact = {"actor": wanted.actor, "action": wanted.action, "key": wanted.key}
    rows = AuditEntry.objects.filter(**{name: text for name, text in exact.items() if text})
    if wanted.target:
        rows = rows.filter(target__icontains=wanted.target)
    if wanted.since is not None:
        rows = rows.filter(at__gte=wanted.since)
    if wanted.until is not None:
        rows = rows.filter(at__lte=wanted.until)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: count + 1])
    entries = found[:count]
    return Page(entries=entries, next=entries[-1].pk if len(found) > count else None)
