"""The endpoint that reads the audit log."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator

from core import audit, audit_query
from core.audit_query import AuditFilter
from synapse.auth.permission import Requirement
from synapse.endpoints import Answer, Call, Example, Query, QueryInt, Sentence, about, endpoint
from synapse.inspection.range_query import QueryTime
from synapse.problems import BadParameter

MOST, USUAL = 1000, 50
_MOMENT = "Milliseconds since 1970, or a time in ISO 8601 (without an offset: UTC)."
_ENTRY = {
    "id": 812,
    "at": "2026-11-23T16:20:01.512340Z",
    "actor": "person:anna",
    "kind": "person",
    "key": None,
    "address": "192.0.2.7",
    "action": "change",
    "target": "stream orders",
    "before": {"name": "orders", "max_length": 1000},
    "after": {"name": "orders", "max_length": 5000},
}
_STATE = "A JSON value; null when the target did not exist."


class AuditEntry(Answer):
    """An action, its actor and its target."""

    id: int
    at: datetime
    actor: str = about("`person:…`, `service:…`, `anonymous`, or `synapse` itself.")
    kind: str = about("person, service, anonymous, system; empty in old entries.")
    key: str | None = about("The id of the API key that the request was made with.")
    address: str | None = about("The IP address of the request.")
    action: str
    target: str
    before: Any = about(f"The target before the action. {_STATE}")
    after: Any = about(f"The target after the action. {_STATE}")


class AuditPage(Answer):
    """A page of the audit log, newest first."""

    entries: list[AuditEntry]
    next: int | None = about("The value of `before` for the next page.")


def _strip_text(text: Any) -> Any:
    return (text.strip() or None) if isinstance(text, str) else text


class AuditQuery(Query):
    """The filter and the page of audit entries."""

    actor: str = about(
        "Only actions of this actor, such as `person:anna`, `service:shop`, `anonymous`, `synapse`.", default=""
    )
    action: str = about("Only this action, such as `change`.", default="")
    target: str = about("Only targets whose name contains this, such as `stream orders`.", default="")
    key: str = about("Only actions with the API key of this id.", default="")
    since: QueryTime = about(f"Only actions at this time or later. {_MOMENT}", default=None)
    until: QueryTime = about(f"Only actions at this time or earlier. {_MOMENT}", default=None)
    count: QueryInt = about("How many actions to list.", default=USUAL, ge=1, le=MOST)
    before: Annotated[
        QueryInt | None, BeforeValidator(_strip_text), Sentence("“{name}” is what the page before gave as its next.")
    ] = about("The `next` of the previous page.", default=None)


@endpoint(
    "GET",
    "/audit",
    "Read the audit log",
    AuditPage,
    tag="audit",
    query=AuditQuery,
    requires=Requirement(scope=audit_query.SCOPE),
    examples=[Example("a page", {"entries": [_ENTRY], "next": None}, 200)],
)
def list_audit_entries(call: Call[AuditQuery, None]) -> dict[str, Any]:
    """Lists the newest entries first. For the next page, send the same query with `before` set to `next`."""
    query = call.query
    wanted = AuditFilter(
        **{name: getattr(query, name).replace("\0", "") for name in ("actor", "action", "target", "key")},
        since=None if query.since is None else _moment_of(query.since.first.ms, "since"),
        until=None if query.until is None else _moment_of(query.until.last.ms + 1, "until"),
    )
    found = audit_query.page(wanted, by=call.by, count=query.count, before=query.before)
    return {"entries": [audit.as_dict(entry) for entry in found.entries], "next": found.next}


def _moment_of(ms: int, parameter: str) -> datetime:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadParameter(f"“{parameter}” is no time that a calendar has.", parameter=parameter) from None
