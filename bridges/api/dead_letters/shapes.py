"""OpenAPI shapes and examples of requests and answers about dead letters."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework.fields import (
    BooleanField,
    CharField,
    ChoiceField,
    DateTimeField,
    DictField,
    FloatField,
    IntegerField,
    JSONField,
    ListField,
)

from bridges.dead_letters.actions import MOST_AT_ONCE, MOST_REASON
from streams.api.shapes.base import Shape, Violation
from synapse.dead_letters.filters import FASTEST, MOST_IDS, SLOWEST

ID = "1795432911042-0"
EVENT = {"event_type": "inference-complete", "request_id": "req_123", "model_name": "ranker", "latency_ms": 45}
SUMMARY: dict[str, Any] = {
    "id": ID,
    "event_id": "1795432838408-0",
    "event_type": "inference-complete",
    "source": "cyrex",
    "error": "https://hooks.example.com/ answered 500 Internal Server Error",
    "fingerprint": "5e5f1b5b8c3d",
    "attempts": 10,
    "first_failed_at": "2026-11-23T11:20:38.512Z",
    "last_failed_at": "2026-11-23T11:21:51.042Z",
}
CHECK = {
    "state": "broken",
    "contract_version": 2,
    "detail": "The event breaks version 2 of the contract “inference-events.inference-complete” in one place: "
    "The event must have the property “confidence”.",
    "violations": [
        {
            "pointer": "",
            "keyword": "required",
            "schema_pointer": "/required",
            "message": "The event must have the property “confidence”.",
        }
    ],
}
PLACE = {"stream": "inference-events", "group": "hooks"}
PAGE = {
    **PLACE,
    "total": 1,
    "dead_letters": [SUMMARY],
    "order": "newest",
    "next": None,
    "complete": True,
}
GROUPS = {
    **PLACE,
    "total": 12,
    "groups": [
        {
            "fingerprint": SUMMARY["fingerprint"],
            "pattern": "https://hooks.example.com/ answered N Internal Server Error",
            "count": 12,
            "event_types": ["inference-complete"],
            "newest": ID,
            "example": SUMMARY["error"],
            "first_failed_at": SUMMARY["first_failed_at"],
            "last_failed_at": SUMMARY["last_failed_at"],
        }
    ],
    "complete": True,
}
WHOLE = {
    **SUMMARY,
    **PLACE,
    "event": EVENT,
    "timestamp": "2026-11-23T11:20:38.406Z",
    "contract_version": 1,
    "layout": "flat",
    "data": {"event_type": "inference-complete", "request_id": "req_123", "latency_ms": "45"},
    "last_attempts": [
        {"at": SUMMARY["last_failed_at"], "number": 10, "took_ms": 212, "error": SUMMARY["error"]},
    ],
    "check": CHECK,
}


_RESULT = "redriven, gone (it is not there, or not any more), waiting (its event is on its way already) or broken."


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class Texts(JSONField):
    """An entry's fields."""


class DeadLetterSummary(Shape):
    """A dead letter in a list."""

    id = CharField(help_text="The dead letter's own id.")
    event_id = CharField(help_text="The id of the event's entry in its stream.")
    event_type = CharField(allow_null=True)
    source = CharField(allow_null=True)  # type: ignore[assignment]
    error = CharField(help_text="Why the last attempt failed.")
    fingerprint = CharField(
        help_text="The same for errors that differ in ids, quotations and numbers alone, other than an HTTP status."
    )
    attempts = IntegerField(help_text="How many there were.")
    first_failed_at = DateTimeField(allow_null=True)
    last_failed_at = DateTimeField(allow_null=True)


class FailedAttempt(Shape):
    """An attempt that failed."""

    at = DateTimeField(allow_null=True)
    number = IntegerField()
    took_ms = IntegerField(allow_null=True, help_text="Null where nobody said.")
    error = CharField()


class EventCheck(Shape):
    """What publishing the event now would say."""

    state = ChoiceField(["kept", "broken", "unchecked"])
    contract_version = IntegerField(allow_null=True, help_text="The active version of its contract.")
    detail = CharField(allow_null=True, help_text="Why it would be refused.")
    violations = Violation(many=True)


class DeadLetter(DeadLetterSummary):
    """All that is known of a dead letter."""

    stream = CharField()
    group = CharField()
    event = DictField(help_text="The event that would be delivered.")
    timestamp = CharField(allow_null=True)
    contract_version = IntegerField(allow_null=True, help_text="What it was checked against when it was published.")
    layout = CharField()
    data = Texts(help_text="The fields that a redrive delivers, as text.")  # type: ignore[assignment]
    last_attempts = FailedAttempt(many=True, help_text="The last ten, oldest first.")
    check = EventCheck()


class DeadLetterPage(Shape):
    """A page of dead letters."""

    stream = CharField()
    group = CharField()
    total = IntegerField(help_text="How many the group has, whatever was asked for.")
    dead_letters = DeadLetterSummary(many=True)
    order = ChoiceField(["newest", "oldest"])
    next = CharField(
        allow_null=True, help_text="The value of `before` (newest first) or `after` (oldest first) for the next page."
    )
    complete = BooleanField(help_text="False when the page ended early because enough had been looked at.")


class DeadLettersOfError(Shape):
    """Dead letters whose errors have all in common but ids, numbers and quotations."""

    fingerprint = CharField()
    pattern = CharField(help_text="What they have in common.")
    count = IntegerField()
    event_types = ListField(child=CharField(allow_null=True))
    newest = CharField(help_text="The id of the newest of them.")
    example = CharField(help_text="Its error.")
    first_failed_at = DateTimeField(allow_null=True)
    last_failed_at = DateTimeField(allow_null=True)


class DeadLettersByError(Shape):
    """Dead letters by what their errors have in common, the most frequent first."""

    stream = CharField()
    group = CharField()
    total = IntegerField()
    groups = DeadLettersOfError(many=True)
    complete = BooleanField(help_text="False when only the newest 10,000 were counted.")


class DeadLetterFilter(Shape):
    """Those that meet all that is said."""

    event_type = CharField(required=False)
    fingerprint = CharField(required=False)
    since = CharField(required=False, help_text="Of the last failure, as in the list.")
    until = CharField(required=False)


class _Which(Shape):
    ids = ListField(child=CharField(), required=False, min_length=1, max_length=MOST_IDS)
    filter = DeadLetterFilter(required=False)
    all = BooleanField(required=False, help_text="True: all of the group.")
    dry_run = BooleanField(required=False, help_text="Only say how many it would be.")
    count = IntegerField(required=False, min_value=1, max_value=MOST_AT_ONCE, help_text="At most so many now.")
    cursor = CharField(required=False, help_text="What the answer before gave: go on there.")


class RedriveAsked(_Which):
    """One of `ids`, `filter` and `all`, and how."""

    rate = FloatField(
        required=False, min_value=SLOWEST, max_value=FASTEST, help_text="So many a second; without it all are due now."
    )


class DiscardAsked(_Which):
    """One of `ids`, `filter` and `all`, and why."""

    reason = CharField(help_text=f"It is recorded: its first {MOST_REASON} characters. Not needed for a dry run.")


class DeadLettersMeant(Shape):
    """What a dry run found."""

    dry_run = BooleanField()
    count = IntegerField(help_text="How many it would be.")
    exact = BooleanField(help_text="False when there may be more: 10,000 were looked at.")
    gone = IntegerField(help_text="How many of the `ids` are not there.")
    sample = ListField(child=CharField(), help_text="The first ten of them.")


class RedriveResult(Shape):
    """What became of one."""

    id = CharField()
    result = CharField(help_text=_RESULT)


class Redriven(Shape):
    """What became of a part."""

    redriven = IntegerField()
    gone = IntegerField()
    waiting = IntegerField()
    broken = IntegerField()
    results = RedriveResult(many=True, required=False, help_text="With `ids`: what became of each.")
    left = IntegerField(help_text="How many dead letters the group has now.")
    cursor = CharField(allow_null=True, help_text="To go on with; null when all that was meant was looked at.")


class Discarded(Shape):
    """What became of a part."""

    discarded = IntegerField()
    gone = IntegerField()
    left = IntegerField()
    cursor = CharField(allow_null=True)


class RedriveOneAsked(Shape):
    """Nothing, or another event."""

    event = DictField(required=False, help_text="It goes out in place of the old one, if its contract lets it.")
    dry_run = BooleanField(required=False, help_text="Only check it.")


class RedrivenOne(Shape):
    """What became of it."""

    id = CharField()
    result = CharField(required=False, help_text=f"{_RESULT} Not there in a dry run.")
    dry_run = BooleanField(required=False)
    check = EventCheck(required=False, help_text="Of the event that was sent, or would be in a dry run.")


class DiscardOneAsked(Shape):
    """Why."""

    reason = CharField()


class DiscardedOne(Shape):
    """What became of it."""

    id = CharField()
    result = CharField(help_text="discarded or gone.")
