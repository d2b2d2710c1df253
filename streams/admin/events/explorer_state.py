"""The state of the explorer's page as the query of its address: the search, its columns, and where it continues.

Each state has exactly one address: its parameters have a fixed order, and empty ones are left out. So addresses can be
shared, kept as saved views, and compared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from synapse.errors.streams import BadFilterExpression
from synapse.explorer import export
from synapse.explorer.search import EventsQuery
from synapse.filters.tokens import without_texts
from synapse.http.exchange import Request
from synapse.statistics.charts import RANGES

MOST_COLUMNS = 8
# An exported table has the same columns, with `event.` before each.
LONGEST_COLUMN = export.LONGEST_COLUMN - len("event.")
# More parameters than any page makes: one for each stream, and some others.
_MOST_PARAMETERS = 1_000
ANY_TIME = "any"
HIDDEN = "…"
_ALL = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplorerState:
    """The state of a page of the explorer.

    Attributes:
        streams: names of streams; empty for all.
        q: the text to search for.
        filter: a filter expression.
        event_type: the only event type to show; "" for all.
        range: a time range up to now, one of `RANGES`; "" for any time, or `since` and `until`.
        since: the begin of the time range, in a format of the API.
        until: the end of the time range, in a format of the API.
        order: `newest` or `oldest`: which events come first.
        columns: the paths of properties that have columns of their own.
        next: where the search continues: `next` of the previous answer; "" for its beginning.
    """

    streams: tuple[str, ...] = ()
    q: str = ""
    filter: str = ""
    event_type: str = ""
    range: str = ""
    since: str = ""
    until: str = ""
    order: str = "newest"
    columns: tuple[str, ...] = ()
    next: str = ""

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, str]]) -> "ExplorerState":
        """Return the state for query parameters. Unknown and empty ones are ignored.

        A button for a time range sends `preset` along with the whole form; it overrides the form's other times.
        """
        one: dict[str, str] = {}
        streams: list[str] = []
        columns: list[str] = []
        for name, text in pairs:
            if not (text := text.strip()):
                continue
            if name == "stream":
                streams += [part for each in text.split(",") if (part := each.strip())]
            elif name == "column":
                columns.append(text)
            elif name == "columns":
                # The form's text field has several paths, separated by commas.
                columns += [part for each in text.split(",") if (part := each.strip())]
            else:
                one[name] = text
        since, until, preset = one.get("since", ""), one.get("until", ""), one.get("preset", "")
        if preset:
            since = until = ""
        range_ = "" if since or until else preset or one.get("range", "")
        return cls(
            streams=() if _ALL in streams else tuple(dict.fromkeys(streams)),
            q=one.get("q", ""),
            filter=one.get("filter", ""),
            event_type=one.get("event_type", ""),
            range=range_ if range_ in RANGES else "",
            since=since,
            until=until,
            order="oldest" if one.get("order") == "oldest" else "newest",
            columns=tuple(dict.fromkeys(path[:LONGEST_COLUMN] for path in columns))[:MOST_COLUMNS],
            next=one.get("next", ""),
        )

    @classmethod
    def from_query(cls, query: str) -> "ExplorerState":
        """Return the state of an address's query.

        Raises:
            ValueError: when it has too many parameters.
        """
        return cls.from_pairs(parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS))

    def with_changes(self, **changes: Any) -> "ExplorerState":
        """Return a copy of the state with some attributes changed."""
        return replace(self, **changes)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The parameters of the address."""
        one = {"q": self.q, "filter": self.filter, "event_type": self.event_type, "range": self.range}
        one |= {"since": self.since, "until": self.until, "order": self.order.replace("newest", "")}
        return [
            *(("stream", name) for name in self.streams),
            *((name, text) for name, text in one.items() if text),
            *(("column", path) for path in self.columns),
            *((("next", self.next),) if self.next else ()),
        ]

    @property
    def query(self) -> str:
        """The query of the address."""
        return urlencode(self.pairs)

    def without_texts(self) -> "ExplorerState":
        """Return the state with “…” in place of the texts that are searched for, which may be PII."""
        try:
            filter_ = self.filter and without_texts(self.filter)
        except BadFilterExpression:
            filter_ = HIDDEN
        return self.with_changes(q=self.q and HIDDEN, filter=filter_, next="")

    @property
    def is_narrowed(self) -> bool:
        """Whether the search selects only some of the events in its streams and time range."""
        return bool(self.q or self.filter or self.event_type)

    def api_parameters(self, *, now: float, **more: str) -> list[tuple[str, str]]:
        """Return the query parameters for the API.

        Args:
            now: seconds since 1970, for time ranges up to now.
            more: further parameters.
        """
        since = str(int((now - RANGES[self.range][0]) * 1_000)) if self.range else self.since
        one = {"q": self.q, "filter": self.filter, "event_type": self.event_type, "since": since, "until": self.until}
        one |= {"order": self.order, "next": self.next} | more
        return [*(("stream", name) for name in self.streams), *((name, text) for name, text in one.items() if text)]

    def check_parameters(self) -> None:
        """Make sure that the parameters are valid. Whether the streams exist is not checked.

        Raises:
            Problem: when a parameter is invalid; the member `parameter` names it.
        """
        EventsQuery.from_request(request_for(self.api_parameters(now=RANGES["30d"][0])))


def request_for(pairs: Sequence[tuple[str, str]], **more: Any) -> Request:
    """Return a request to `GET /events` with these parameters."""
    return Request(method="GET", path="/events", query=dict(pairs), raw_query=urlencode(pairs), **more)
