"""Exports: all events that a search finds, as lines of JSON or as a table, in parts of bounded size.

Between two parts only the position of the search is kept in memory, so slow readers cost nothing.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any, Literal, Protocol

import orjson

from synapse.auth.principal import Principal
from synapse.catalog.stream_definitions import Snapshot
from synapse.endpoints import about
from synapse.explorer.paths import MISSING, value_at
from synapse.explorer.search import Search, SearchQuery, find_events
from synapse.formats import exact_json
from synapse.inspection.rows import row_as_json
from synapse.problems import BadParameter
from synapse.redis import Conversation

# Limits: the entries that an export reads, and the entries and approximate bytes that one part reads.
MOST_EXPORTED = 1_000_000
PART_ENTRIES, PART_BYTES = 2_000, 2 * 1024 * 1024
MOST_COLUMNS, LONGEST_COLUMN = 100, 200
USUAL_COLUMNS = ("stream", "id", "event_type", "timestamp", "source", "event")
# The members of a row: those with nested values, which a column may name, and the others.
_NESTED = ("event", "data")
_PLAIN = ("stream", "id", "event_type", "timestamp", "source", "contract_version", "layout")
INCOMPLETE = "#incomplete"
# Characters with which a formula begins in a spreadsheet, some after white space (OWASP, CSV Injection).
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Format = Literal["ndjson", "csv"]


class ExportQuery(SearchQuery):
    """Which events are exported, and how."""

    format: Format = about("`ndjson`: an event a line, as `GET /events` answers it; `csv`: a table.", default="ndjson")
    columns: str = about(
        f"The columns of the table, with commas between: of {', '.join(_PLAIN)}, event and data, or a value within the "
        f"last two, such as `event.order_id`. Without it: `{','.join(USUAL_COLUMNS)}`.",
        default="",
    )


class _Writer(Protocol):
    def header(self) -> bytes:
        """Return the beginning of the export."""
        ...

    def row_line(self, row: Mapping[str, Any]) -> bytes:
        """Return a row as a line."""
        ...

    def end_early(self, reason: str, following: str) -> bytes:
        """Return the last line of an export that ended early."""
        ...


class Lines:
    """Writes lines of JSON."""

    def header(self) -> bytes:
        """Return b"": NDJSON has no header."""
        return b""

    def row_line(self, row: Mapping[str, Any]) -> bytes:
        """Return a row as a line."""
        return row_as_json(row) + b"\n"

    def end_early(self, reason: str, following: str) -> bytes:
        """Return an object without `id`, which each row has."""
        last_line = {"incomplete": {"reason": reason, "next": following}}
        return orjson.dumps(last_line, option=orjson.OPT_APPEND_NEWLINE)


class Table:
    """Writes lines of CSV (RFC 4180). Only numbers can begin like a formula, which spreadsheets would run."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._paths = [tuple(column.split(".")) for column in columns]

    def header(self) -> bytes:
        """Return the line with the names of the columns."""
        return _csv_record(map(_without_formula, self._columns))

    def row_line(self, row: Mapping[str, Any]) -> bytes:
        """Return a row as a line."""
        return _csv_record(_csv_field(value_at(row, path)) for path in self._paths)

    def end_early(self, reason: str, following: str) -> bytes:
        """Return a line that begins with `#incomplete`, as no row does."""
        return _csv_record((INCOMPLETE, reason, following))


def _csv_record(fields: Iterable[str]) -> bytes:
    written = StringIO()
    csv.writer(written).writerow(fields)
    return written.getvalue().encode("utf-8", "replace")


def _csv_field(value: Any) -> str:
    if value is None or value is MISSING:
        return ""
    if isinstance(value, str):
        return _without_formula(value)
    try:
        return exact_json.dumps(value).decode()
    except orjson.JSONEncodeError:  # a foreign event, nested deeper than JSON can be written
        return ""


def _without_formula(text: str) -> str:
    """Return a text for a field of CSV, with an apostrophe before one that a spreadsheet would run as a formula."""
    return f"'{text}" if text.startswith((*_FORMULAS, INCOMPLETE)) else text


def columns_of(query: ExportQuery) -> Sequence[str]:
    """Parse the columns of the table in a query.

    Raises:
        BadParameter: when one of them cannot be used.
    """
    if not query.columns:
        return USUAL_COLUMNS
    if query.format != "csv":
        raise BadParameter("“columns” needs format=csv.", parameter="columns")
    columns = [column.strip(" ") for column in query.columns.split(",")]
    if len(columns) > MOST_COLUMNS:
        raise BadParameter(
            f"“columns” are {len(columns)}, and at most {MOST_COLUMNS} are written.", parameter="columns"
        )
    for column in columns:
        first, _, rest = column.partition(".")
        if len(column) > LONGEST_COLUMN or not (first in _NESTED or (first in _PLAIN and not rest)):
            raise BadParameter(
                f"“{column[:LONGEST_COLUMN]}” is no column. A column is one of {', '.join(_PLAIN)}, event and data, or "
                "a value within the last two, such as event.order_id.",
                parameter="columns",
            )
    return columns


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an export, and whether it is the last one."""

    text: bytes
    is_last: bool


class Export:
    """Writes the events that a search finds, part by part.

    Attributes:
        media_type: the media type of the export.
        streams: the searched streams.
    """

    def __init__(self, query: ExportQuery, catalog: Snapshot, by: Principal) -> None:
        """Check the query of an export.

        Raises:
            Forbidden, UnknownStream, BadParameter: as for a search, and when the columns cannot be used.
        """
        self._query = query
        columns = columns_of(query)
        self._writer: _Writer = Lines() if query.format == "ndjson" else Table(columns)
        self.media_type = "application/x-ndjson" if query.format == "ndjson" else "text/csv; charset=utf-8"
        self._next = query.next
        self._scanned = 0
        self._is_begun = False
        # By stream: the reason that the export lacks some of its events.
        self._lacking: dict[str, str] = {}
        self.streams = tuple(self._next_search(catalog, by).streams)

    def next_part(self, catalog: Snapshot, by: Principal) -> Conversation[Part]:
        """Return the next part, as the caller may see it now. It may be empty, when no entry of this part matches.

        Raises:
            Forbidden, UnknownStream, BadParameter: when the caller may not search these streams any more.
            WrongType, RedisUnavailable: when Redis cannot be used. The part can be requested again.
        """
        result = yield from find_events(self._next_search(catalog, by))
        header = b"" if self._is_begun else self._writer.header()
        self._is_begun = True
        self._scanned += result.scanned
        self._next = result.next or ""
        self._lacking |= result.unread | dict.fromkeys(result.trimmed, "Events were trimmed before they were read.")
        ended = result.next is None
        lines = [header, *result.rows]
        if ended and self._lacking:
            reason = " ".join(f"{stream}: {why}" for stream, why in sorted(self._lacking.items()))
            lines.append(self._writer.end_early(reason, ""))
        elif not ended and self._scanned >= MOST_EXPORTED:
            lines.append(self.end_early(f"One export looks at {MOST_EXPORTED:,} entries.").text)
            ended = True
        return Part(b"".join(lines), ended)

    def end_early(self, reason: str) -> Part:
        """End the export early. The last line has the reason, and the cursor with which another export continues."""
        header = b"" if self._is_begun else self._writer.header()
        return Part(header + self._writer.end_early(reason, self._next), is_last=True)

    def _next_search(self, catalog: Snapshot, by: Principal) -> Search:
        query = self._query.model_copy(update={"next": self._next})
        return Search.from_query(
            query, catalog, by, most=PART_ENTRIES, most_bytes=PART_BYTES, write=self._writer.row_line
        )
