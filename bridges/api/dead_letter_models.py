"""Models of requests and answers about dead letters, with examples."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, StringConstraints

from bridges.dead_letters.actions import MOST_AT_ONCE, MOST_REASON
from synapse.dead_letters import FASTEST, FILTERS, MOST_IDS, SLOWEST, DeadLetterCriteria, Ids, is_id, read_criteria
from synapse.endpoints import Answer, Body, Sentence, Violation, about, maybe, union_model
from synapse.filters import FILTER_HELP
from synapse.inspection.answers import Texts
from synapse.problems import BadParameter

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
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
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


OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": True}
_RESULT = (
    "redriven; gone: the group has no such dead letter (any more); waiting: scheduled for retry already; broken: the "
    "event breaks its contract."
)


class DeadLetterSummary(Answer):
    """A dead letter in a list."""

    id: str = about("The dead letter's own id.")
    event_id: str = about("The id of the event's entry in its stream.")
    event_type: str | None
    source: str | None
    error: str = about("Why the last attempt failed.")
    fingerprint: str = about(
        "Equal for errors that differ only in ids, quotations and numbers. An HTTP status is no such number."
    )
    attempts: int = about("How many attempts failed.")
    first_failed_at: datetime | None
    last_failed_at: datetime | None
    trace_id: str | None = about("The trace id of its publish (W3C Trace Context); null without one.")


class FailedAttempt(Answer):
    """An attempt that failed."""

    at: datetime | None
    number: int
    took_ms: int | None = about("Null when that is unknown.")
    error: str


class EventCheck(Answer):
    """Result of checking the event now, as publishing checks it."""

    state: Literal["kept", "broken", "unchecked"]
    contract_version: int | None = about("The active version of the event's contract.")
    detail: str | None = about("Why publishing would refuse the event.")
    violations: list[Violation]


class DeadLetter(DeadLetterSummary):
    """A dead letter with its event, its last attempts, and a check of the event."""

    stream: str
    group: str
    event: dict[str, Any] = about("The event that would be delivered.")
    timestamp: str | None
    contract_version: int | None = about(
        "The version of the contract that the event was checked against when it was published."
    )
    layout: str
    data: Texts = about("The fields that a redrive delivers, as text.")
    last_attempts: list[FailedAttempt] = about("The last ten attempts, oldest first.")
    check: EventCheck


class DeadLetterPage(Answer):
    """A page of dead letters."""

    stream: str
    group: str
    total: int = about("How many dead letters the group has, regardless of the filters.")
    dead_letters: list[DeadLetterSummary]
    order: Literal["newest", "oldest"]
    next: str | None = about("The value of `before` (newest first) or `after` (oldest first) for the next page.")
    complete: bool = about("False when the page ended early because the limit of searched dead letters was reached.")


class DeadLettersOfError(Answer):
    """Dead letters whose errors are equal apart from ids, numbers and quotations."""

    fingerprint: str
    pattern: str = about("The text that their errors have in common.")
    count: int
    event_types: list[str | None]
    newest: str = about("The id of the newest of these dead letters.")
    example: str = about("The error of the newest of these dead letters.")
    first_failed_at: datetime | None
    last_failed_at: datetime | None


class DeadLettersByError(Answer):
    """Dead letters by the text that their errors have in common, the most frequent first."""

    stream: str
    group: str
    total: int
    groups: list[DeadLettersOfError]
    complete: bool = about("False when only the newest 10,000 were counted.")


DeadLettersOrGroups = union_model(DeadLetterPage, DeadLettersByError, name="DeadLettersOrGroups")


_FilterText = Annotated[
    str, StringConstraints(pattern=r"\S"), Sentence("“{name}” of the filter is a text that is not empty.")
]


class DeadLetterFilter(Body):
    """Dead letters that match all of these."""

    model_config = ConfigDict(extra="forbid")
    event_type: _FilterText = maybe()
    fingerprint: _FilterText = maybe()
    since: _FilterText = maybe("The earliest time of the last failure, as in the list.")
    until: _FilterText = maybe("The latest time of the last failure, as in the list.")
    filter: _FilterText = maybe(FILTER_HELP.format("those"))


def _check_id(text: str) -> str:
    if not is_id(text):
        raise ValueError("not an id of a dead letter")
    return text


def _check_filter(found: DeadLetterFilter | None) -> DeadLetterFilter | None:
    if found is not None and not found.model_fields_set:
        raise ValueError("empty")
    return found


def _check_true(value: bool | None) -> bool | None:
    if value is False:
        raise ValueError("not true")
    return value


class WhichAsked(Body):
    """One of `ids`, `filter` and `all`; how many at a time, and the cursor to continue at."""

    ids: Annotated[
        list[Annotated[str, AfterValidator(_check_id)]] | None,
        Sentence(f"“{{name}}” are 1 to {MOST_IDS} ids of dead letters, such as 1766570400000-0."),
    ] = maybe(min_length=1, max_length=MOST_IDS)
    filter: Annotated[
        DeadLetterFilter | None,
        AfterValidator(_check_filter),
        Sentence(f"“{{name}}” is an object with some of {', '.join(FILTERS)}, and no others."),
    ] = maybe()
    all: Annotated[bool | None, AfterValidator(_check_true), Sentence("“{name}” is true.")] = maybe(
        "True selects all dead letters of the group."
    )
    dry_run: bool | None = maybe("Only count the dead letters that match.")
    count: int = about("The most dead letters for this request.", default=MOST_AT_ONCE, ge=1, le=MOST_AT_ONCE)
    cursor: str = about("The `cursor` of the previous answer, to continue where that request ended.", default="")

    def to_selection(self) -> Ids | DeadLetterCriteria:
        """Return the requested dead letters.

        Raises:
            BadParameter: when none, or more than one, of `ids`, `filter` and `all` is given.
        """
        given = [name for name in ("ids", "filter", "all") if getattr(self, name) is not None]
        if len(given) != 1:
            raise BadParameter("Say which: one of “ids”, “filter” and “all”.", parameter=given[0] if given else "ids")
        if self.ids is not None:
            return Ids(tuple(self.ids))
        return read_criteria({} if self.filter is None else self.filter.model_dump(exclude_none=True))


class RedriveAsked(WhichAsked):
    """One of `ids`, `filter` and `all`, and how fast to redrive."""

    rate: Annotated[float | None, Sentence("“{name}” is the number of dead letters a second, from 0.1 to 10000.")] = (
        maybe("How many events become due a second; without `rate`, all are due now.", ge=SLOWEST, le=FASTEST)
    )


class DiscardAsked(WhichAsked):
    """One of `ids`, `filter` and `all`, and why."""

    reason: str = about(
        f"The reason; the audit log keeps its first {MOST_REASON} characters. Not needed for a dry run.", default=""
    )


class DeadLettersMeant(Answer):
    """Result of a dry run."""

    dry_run: bool
    count: int = about("How many dead letters match.")
    exact: bool = about("False when more may match: only 10,000 were searched.")
    gone: int = about("How many of the `ids` name no dead letter of the group.")
    sample: list[str] = about("The ids of the first ten that match.")


class RedriveResult(Answer):
    """Result of redriving one dead letter of several."""

    id: str
    result: str = about(_RESULT)


class Redriven(Answer):
    """Result of redriving a part of the dead letters."""

    redriven: int
    gone: int
    waiting: int
    broken: int
    results: list[RedriveResult] = maybe("The result for each id of a request with `ids`.")
    left: int = about("How many dead letters the group has now.")
    cursor: str | None = about("The cursor for the next request; null when all matching dead letters were visited.")


class Discarded(Answer):
    """Result of discarding a part of the dead letters."""

    discarded: int
    gone: int
    left: int
    cursor: str | None


RedrivenOrMeant = union_model(Redriven, DeadLettersMeant, name="RedrivenOrMeant")
DiscardedOrMeant = union_model(Discarded, DeadLettersMeant, name="DiscardedOrMeant")


class RedriveOneAsked(Body):
    """An edited event to deliver; without one, the event of the dead letter."""

    optional: ClassVar[bool] = True
    nullable: ClassVar[tuple[str, ...]] = ("event",)
    event: Any = maybe(
        "The event to deliver in place of the dead letter's, if publishing would accept it.", json_schema_extra=OBJECT
    )
    dry_run: bool | None = maybe("Only check the event.")


class RedrivenOne(Answer):
    """Result of redriving one dead letter."""

    id: str
    result: str = maybe(f"{_RESULT} Absent in a dry run.")
    dry_run: bool = maybe()
    check: EventCheck = maybe("The check of the `event` of the request.")


class DiscardOneAsked(Body):
    """The reason for discarding a dead letter."""

    # OpenAPI requires the reason; at run time, a missing one is refused like an empty one.
    model_config = ConfigDict(json_schema_extra={"required": ["reason"]})
    reason: str = about("The reason, for the audit log.", default="")


class DiscardedOne(Answer):
    """Result of discarding one dead letter."""

    id: str
    result: str = about("discarded or gone.")
