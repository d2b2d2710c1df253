"""Exports: all events that a search finds, as lines of JSON or as a table, in parts of bounded size.

Between two parts nothing is kept but where the search continues: a reader may take its time.
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

# The greatest number of entries that an export reads, and those of one part of it, with its approximate bytes.
MOST_EXPORTED = 1_000_000
PART_ENTRIES, PART_BYTES = 2_000, 2 * 1024 * 1024
MOST_COLUMNS, LONGEST_COLUMN = 100, 200
USUAL_COLUMNS = ("stream", "id", "event_type", "timestamp", "source", "event")
# Of a row: those that hold further values, which a column may name, and the others.
_NESTED = ("event", "data")
_PLAIN = ("stream", "id", "event_type", "timestamp", "source", "contract_version", "layout")
INCOMPLETE = "#incomplete"
# With these a spreadsheet begins a formula, some behind white space (OWASP, CSV Injection).
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
    def head(self) -> bytes:
        """Return the beginning of the export."""
        ...

    def line(self, row: Mapping[str, Any]) -> bytes:
        """Return a row as a line."""
        ...

    def incomplete(self, reason: str, following: str) -> bytes:
        """Return the last line of an export that ended early."""
        ...


class Lines:
    """Writes lines of JSON."""

    def head(self) -> bytes:
        """Return nothing: lines have no head."""
        return b""

    def line(self, row: Mapping[str, Any]) -> bytes:
        """Return a row as a line."""
        return row_as_json(row) + b"\n"

    def incomplete(self, reason: str, following: str) -> bytes:
        """Return an object without an id: every row has one."""
        told = {"incomplete": {"reason": reason, "next": following}}
        return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)


class Table:
    """Writes lines of CSV (RFC 4180). No field but a number can begin a formula: spreadsheets would run it."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._paths = [tuple(column.split(".")) for column in columns]

    def head(self) -> bytes:
        """Return the line of the columns' names."""
        return _record(map(_defused, self._columns))

    def line(self, row: Mapping[str, Any]) -> bytes:
        """Return a row as a line."""
        return _record(_field(value_at(row, path)) for path in self._paths)

    def incomplete(self, reason: str, following: str) -> bytes:
        """Return a line that begins with `#incomplete`: no row begins so."""
        return _record((INCOMPLETE, reason, following))


def _record(fields: Iterable[str]) -> bytes:
    written = StringIO()
    csv.writer(written).writerow(fields)
    return written.getvalue().encode("utf-8", "replace")


def _field(value: Any) -> str:
    if value is None or value is MISSING:
        return ""
    if isinstance(value, str):
        return _defused(value)
    try:
        return exact_json.dumps(value).decode()
    except orjson.JSONEncodeError:  # a foreign event, nested deeper than JSON can be written
        return ""


def _defused(text: str) -> str:
    """Return a text that a spreadsheet shows unchanged: with an apostrophe before a formula."""
    return f"'{text}" if text.startswith((*_FORMULAS, INCOMPLETE)) else text


def columns_of(query: ExportQuery) -> Sequence[str]:
    """Return the columns of the table that a query asks for.

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
        media_type: of the whole.
        streams: that are searched.
    """

    def __init__(self, query: ExportQuery, catalog: Snapshot, by: Principal) -> None:
        """Begin an export.

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
        # By stream, why the export lacks events of it.
        self._lacking: dict[str, str] = {}
        self.streams = tuple(self._search(catalog, by).streams)

    def next_part(self, catalog: Snapshot, by: Principal) -> Conversation[Part]:
        """Return the next part, as the caller may see it now. It may be empty: little was found.

        Raises:
            Forbidden, UnknownStream, BadParameter: when the caller may not search all that any more.
            WrongType, RedisUnavailable: when Redis cannot be used for this. The part can be asked for again.
        """
        result = yield from find_events(self._search(catalog, by))
        head = b"" if self._is_begun else self._writer.head()
        self._is_begun = True
        self._scanned += result.scanned
        self._next = result.next or ""
        self._lacking |= result.unread | dict.fromkeys(result.trimmed, "Events were trimmed before they were read.")
        ended = result.next is None
        lines = [head, *result.rows]
        if ended and self._lacking:
            reason = " ".join(f"{stream}: {why}" for stream, why in sorted(self._lacking.items()))
            lines.append(self._writer.incomplete(reason, ""))
        elif not ended and self._scanned >= MOST_EXPORTED:
            lines.append(self.incomplete(f"One export looks at {MOST_EXPORTED:,} entries.").text)
            ended = True
        return Part(b"".join(lines), ended)

    def incomplete(self, reason: str) -> Part:
        """End the export early. The last line says why, and where another export continues."""
        head = b"" if self._is_begun else self._writer.head()
        return Part(head + self._writer.incomplete(reason, self._next), is_last=True)

    def _search(self, catalog: Snapshot, by: Principal) -> Search:
        query = self._query.model_copy(update={"next": self._next})
        return Search.of(query, catalog, by, most=PART_ENTRIES, most_bytes=PART_BYTES, write=self._writer.line)
