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
# Shorter words in -ed, such as “red” and “seed”, are not taken for a verb in the past tense.
_SHORTEST_PAST = 5

Values = Mapping[str, Any]


def sentence(action: str, target: str, before: Any, after: Any) -> str:
    """Phrase an action as a sentence without its subject: “changed stream orders: max_length from 5 to 9”."""
    said_before, said_after = (value if isinstance(value, dict) else {} for value in (before, after))
    phrase = _SENTENCES.get(action)
    if phrase is not None:
        return phrase(target, said_before, said_after)
    return f"{_past_tense_of(action)} {target}{_describe_changes(said_before, said_after)}"


def _past_tense_of(action: str) -> str:
    """Return the past tense of an action, a verb with its complement: “redrive in part” becomes “redrove in part”."""
    verb, *rest = action.split(" ")
    return " ".join([_PASTS.get(verb, f"{verb}d" if verb.endswith("e") else f"{verb}ed"), *rest])


def search_term_of(word: str) -> str:
    """Return the search terms for a verb in the past tense: “redrove” finds “redrive”, “changed” finds “change”.

    For a regular verb it is the stem, which both tenses contain.
    """
    lower = word.lower()
    if lower in _VERBS:
        return _VERBS[lower]
    return word[:-2] if lower.endswith("ed") and len(word) > _SHORTEST_PAST else word


def _describe_changes(before: Values, after: Values) -> str:
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if not before or not after or not names:
        return ""
    shown = [
        f"{name} from {_format_value(before.get(name))} to {_format_value(after.get(name))}"
        for name in names[:_MOST_CHANGES]
    ]
    more = f", and {len(names) - _MOST_CHANGES} more" if len(names) > _MOST_CHANGES else ""
    return f": {', '.join(shown)}{more}"


def _format_value(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, (dict, list)):
        return "another value" if len(orjson.dumps(value)) > _MOST_CHARACTERS else orjson.dumps(value).decode()
    text = str(value)
    return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + "…"


def _phrase_payload_access(target: str, _: Values, after: Values) -> str:
    also = ", with the PII in them" if after.get("personal") else ""
    if after.get("watching"):
        return f"watched the events of {target}{also}"
    if after.get("exporting"):
        return f"exported the events of {target}{also}"
    count = after.get("events", 0)
    what = "the payload of an event" if count == 1 else f"the payloads of {count} events"
    how = next((verb for name, verb in _ACCESS_VERBS.items() if after.get(name)), "saw")
    return f"{how} {what} of {target}{also}"


def _phrase_count(verb: str) -> Callable[[str, Values, Values], str]:
    def phrase(target: str, _: Values, after: Values) -> str:
        count = after.get("count")
        many = "" if count is None else f"{count} of "
        why = f", because: {_format_value(after['reason'])}" if after.get("reason") else ""
        return f"{verb} {many}{target}{why}"

    return phrase


def _phrase_publish(target: str, _: Values, after: Values) -> str:
    id_ = after.get("id")
    return f"published an event by hand to {target}{f' ({id_})' if isinstance(id_, str) else ''}"


def _phrase_import(target: str, _: Values, after: Values) -> str:
    count = after.get("count", 0)
    # Redis may have stored some of the events that it did not confirm.
    more = f", and perhaps {aborted} more" if (aborted := after.get("aborted")) else ""
    return f"imported {count} event{'' if count == 1 else 's'} into {target}{more}"


def _phrase_failed_login(target: str, _: Values, after: Values) -> str:
    count, names = after.get("failures", 1), after.get("names", [])
    times = "" if count == 1 else f" {count} times"
    shown = f", such as {', '.join(f'“{_format_value(name)}”' for name in names)}" if names else ""
    return f"failed{times} to log in as {target}{shown}"


# The verb for an access to payloads, by the member that its entry has in addition to the events.
_ACCESS_VERBS = {
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
_SENTENCES: Mapping[str, Callable[[str, Values, Values], str]] = {
    "log in": lambda *_: "logged in",
    "log out": lambda *_: "logged out",
    "fail to log in": _phrase_failed_login,
    "lock out": lambda target, _, after: f"was locked out as {target} for {after.get('minutes', '?')} minutes",
    "see payloads": _phrase_payload_access,
    "publish": _phrase_publish,
    "begin import": lambda target, *_: f"began to import events into {target}",
    "import": _phrase_import,
    "fail to import": lambda target, _, after: (
        f"failed to import events into {target}: {_format_value(after.get('detail'))}"
    ),
    "redrive": _phrase_count("redrove"),
    "redrive edited": _phrase_count("edited and redrove"),
    "discard": _phrase_count("discarded"),
    "change password": lambda target, *_: f"changed the password of {target}",
    "draft": lambda target, *_: f"wrote a draft of {target}",
    "discard draft": lambda target, *_: f"discarded the draft of {target}",
    "activate": lambda target, _, after: f"activated version {after.get('version', '?')} of {target}",
}


SCOPE = "audit:read"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """A filter of audit entries. All conditions must hold; an empty one matches every entry.

    `actor`, `action` and `key` match exactly; `target` matches a part of the target, ignoring case. `since` and `until`
    are inclusive.
    """

    actor: str = ""
    action: str = ""
    target: str = ""
    key: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Audit entries, newest first. `next` is the `before` of the next page, None on the last page."""

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
