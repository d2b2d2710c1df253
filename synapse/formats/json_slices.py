"""Parses a large JSON array in slices, so that the event loop can answer other requests between two slices.

A parser cannot be interrupted, and holds Python's lock while it works. So the array is cut at commas between its items,
and each slice is parsed as an array. The cut is guessed from the brackets near the end of a window, and the parser
verifies the guess: after a wrong cut it fails behind the slice. Then, for example if texts contain brackets, a scan
from the slice's beginning finds the right cut.

Together the slices give the result of `strict_json.loads` for the whole text, with identical error texts and positions.
"""

import codecs
import re
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

from synapse.formats import strict_json
from synapse.formats.strict_json import BadJSON, Malformed, NotUnicode

# A slice has at most this many bytes, unless a single item is longer.
SLICE = 32 * 1024
# The bytes of one step: of the scan, of the search for the end of a string, and of decoding bytes to characters.
_BLOCK, _STRING_BLOCK, _TEXT_BLOCK = 8 * 1024, 64 * 1024, 256 * 1024
# The most brackets and commas at the end of a window that are examined for a guess.
_MOST_TOKENS = 4096
_STRUCTURE = re.compile(rb"[\[\]{},]")
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},"]', re.DOTALL)
_IN_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_VISIBLE = re.compile(rb"[^ \t\n\r]")
_QUOTE, _COMMA = ord('"'), ord(",")
# The parser refuses deeper nesting.
_MOST_LEVELS = 1024
_OPENING, _CLOSING = frozenset(b"[{"), frozenset(b"]}")
_NO_BRACKETS = bytes(set(range(256)) - _OPENING - _CLOSING)
# With a number on both sides, the parser reads a slice in the same state as within the whole array.
_BEFORE, _BEHIND = b"[0,", b",0]"


class Oversized(NamedTuple):
    """An item that was not parsed, because its text of `size` bytes is too long or has too many parts."""

    size: int


class Slice(NamedTuple):
    """Some items of the array, in order, and the size of their text in bytes; without items, it is only a pause."""

    items: list[Any]
    size: int


_PAUSE = Slice([], 0)


def read(data: bytes, *, longest: int) -> Iterator[Slice]:
    """Yield the items of an array, whose text begins with its bracket or white space.

    An item of more than `longest` bytes, or of too many parts, is yielded as `Oversized` without being parsed: errors
    inside it are not found.

    Raises:
        BadJSON: immediately if the text is not JSON; at the end for any other reason, as `strict_json.loads` does.
    """
    reading = _Reading(data, longest)
    yield from reading.slices()
    if reading.refusal is not None:
        raise reading.refusal


class _Cut(NamedTuple):
    """The end of a slice: at the comma behind it, at the bracket that ends the array, or at the end of a truncated
    text.

    `is_single`: it has no comma between items. `is_blank`: it is only white space.
    """

    at: int
    is_comma: bool
    is_single: bool
    is_blank: bool


class _Reading:
    def __init__(self, data: bytes, longest: int) -> None:
        self._data = data
        self._longest = longest
        # The error in the values, of those found so far: the first one of the earliest stage.
        self.refusal: BadJSON | None = None
        # Whether each examined comma between two objects was one between items.
        self._is_flat = True

    def slices(self) -> Iterator[Slice]:
        start = self._data.index(b"[") + 1
        before = b"["
        while len(self._data) - start > SLICE:
            at = self._guess_cut(start)
            found = None if at is None else self._parse_slice(before, start, at, _BEHIND, is_guess=True)
            if found is None and self._is_flat:
                self._is_flat = False
                continue
            if at is None or found is None:
                cut = yield from self._find_cut(start)
                yield _PAUSE  # parsing a large item may take long
                yield self._parse_until(before, start, cut)
                if not cut.is_comma:
                    return
                at = cut.at
            else:
                yield found
            start, before = at + 1, _BEFORE
        yield self._parse_slice(before, start, len(self._data)) or _PAUSE

    def _guess_cut(self, start: int) -> int | None:
        """Guess the last comma between items in the window. Brackets in strings mislead; arrays in items mislead the
        first, fastest guess.
        """
        end = start + SLICE
        if self._is_flat:
            at = max(self._data.rfind(b"},{", start, end), self._data.rfind(b"}, {", start, end))
            return None if at < 0 else at + 1
        brackets = self._data[start:end].translate(None, _NO_BRACKETS)
        depth = brackets.count(b"{") + brackets.count(b"[") - brackets.count(b"}") - brackets.count(b"]")
        left = _MOST_TOKENS
        while end > start and left > 0:
            begin = max(start, end - 1024)
            tokens = list(_STRUCTURE.finditer(self._data, begin, end))
            for token in reversed(tokens):
                at = token.start()
                kind = self._data[at]
                if kind in _CLOSING:
                    depth += 1
                elif kind in _OPENING:
                    depth -= 1
                elif depth == 0:
                    return at
            left -= len(tokens)
            end = begin
        return None

    def _find_cut(self, start: int) -> Generator[Slice, None, _Cut]:
        """Find the last cut that fits into a slice, otherwise the one behind the first item."""
        data, size = self._data, len(self._data)
        at, depth, comma = start, 0, -1
        is_blank = True

        def cut(end: int, *, is_comma: bool) -> _Cut:
            is_empty = is_blank and _VISIBLE.search(data, block, end) is None
            return _Cut(end, is_comma=is_comma, is_single=comma < 0, is_blank=is_empty)

        while at < size:
            block, end = at, min(at + _BLOCK, size)
            for token in _TOKEN.finditer(data, at, end):
                at = token.start()
                kind = data[at]
                if kind in _OPENING:
                    depth += 1
                elif kind in _CLOSING:
                    depth -= 1
                elif kind == _COMMA and depth == 0:
                    if at - start > SLICE:
                        return cut(at if comma < 0 else comma, is_comma=True)
                    comma = at
                elif kind == _QUOTE and token.end() - at == 1:
                    end = yield from self._find_end_of_string(at + 1)
                    break
                if depth < 0:
                    return cut(at, is_comma=False)
            at = end
            is_blank = is_blank and _VISIBLE.search(data, block, at) is None
            if depth > _MOST_LEVELS:
                raise strict_json.too_deep(stage=BadJSON.TEXT)
            if comma >= 0 and at - start > SLICE:
                return cut(comma, is_comma=True)
            yield _PAUSE
        return cut(size, is_comma=False)

    def _find_end_of_string(self, at: int) -> Generator[Slice, None, int]:
        """Return the position behind the string in which the scan is; the end of the text if the string has no end."""
        data, size = self._data, len(self._data)
        while at < size:
            before, at = at, _IN_STRING.match(data, at, at + _STRING_BLOCK).end()  # type: ignore[union-attr]  # it may be empty
            if data[at : at + 1] == b'"':
                return at + 1
            if at == before:
                break  # a backslash, and nothing behind it
            yield _PAUSE
        return size

    def _parse_until(self, before: bytes, start: int, cut: _Cut) -> Slice:
        """Parse the items up to a cut that `_find_cut` found."""
        data, end = self._data, cut.at
        if end == len(data) and (cut.is_blank or end - start > self._longest):
            raise self._malformed_at("unexpected end of data", end)
        if cut.is_blank and data[end : end + 1] == b"]":
            end = start  # the parser reports a trailing comma at the comma
        elif cut.is_blank:
            start = end
        elif cut.is_single and end < len(data) and self._is_oversized(data[start:end]):
            self._check_end(cut)
            return _PAUSE if self.refusal else Slice([Oversized(end - start)], end - start)
        if cut.is_comma:
            return self._parse_slice(before, start, end, _BEHIND) or _PAUSE
        found = self._parse_slice(before, start, end, data[cut.at : cut.at + 1]) or _PAUSE
        self._check_end(cut)
        return found

    def _is_oversized(self, item: bytes) -> bool:
        return len(item) > self._longest or (
            len(item) > SLICE and strict_json.count_parts(item) > strict_json.MAX_NODES
        )

    def _parse_slice(
        self, before: bytes, start: int, end: int, behind: bytes = b"", *, is_guess: bool = False
    ) -> Slice | None:
        """Parse the items between two positions; None when the guessed end is wrong."""
        text = before + self._data[start:end]
        try:
            values = strict_json.loads(text + behind, max_depth=strict_json.MAX_DEPTH + 1)
        except Malformed as error:
            if is_guess and error.at > len(text.decode()):
                return None  # only what was put behind the cut does not fit
            raise self._malformed_at(error.reason, start, within=error, before=len(before)) from None
        except BadJSON as error:
            if error.stage == BadJSON.TEXT:
                self._check_unicode()
                raise
            if self.refusal is None or error.stage < self.refusal.stage:
                self.refusal = error
            return _PAUSE
        if self.refusal is not None:
            return _PAUSE
        return Slice(values[before == _BEFORE : len(values) - (behind == _BEHIND)], end - start)

    def _check_end(self, cut: _Cut) -> None:
        """Raise an error for content behind the bracket that ends the array."""
        behind = None if cut.is_comma else _VISIBLE.search(self._data, cut.at + 1)
        if behind is not None:
            raise self._malformed_at(_content_behind(), behind.start())

    def _malformed_at(self, reason: str, at: int, *, within: Malformed | None = None, before: int = 0) -> BadJSON:
        """Return the error that the text is not JSON: at a byte, or at the position of an error `within` a slice that
        begins there, after `before` characters that were added to the slice.
        """
        self._check_unicode()
        line = self._data.count(b"\n", 0, at) + 1
        if within is not None and within.line > 1:
            return Malformed(reason, at=0, line=line + within.line - 1, column=within.column)
        column = sum(map(len, self._decode_blocks(self._data.rfind(b"\n", 0, at) + 1, at))) + 1
        if within is not None:
            column += within.column - 1 - before
        return Malformed(reason, at=0, line=line, column=column)

    def _check_unicode(self) -> None:
        """Raise the error in the text's encoding, which takes precedence over all others."""
        for _ in self._decode_blocks(0, len(self._data)):
            pass

    def _decode_blocks(self, begin: int, end: int) -> Iterator[str]:
        while begin < end:
            stop = min(begin + _TEXT_BLOCK, end)
            try:
                text, size = codecs.utf_8_decode(self._data[begin:stop], "strict", stop == end)
            except UnicodeDecodeError as bad:
                raise NotUnicode(self._data, begin + bad.start) from None
            yield text
            begin += size


def _content_behind() -> str:
    """Return the parser's message about a second value."""
    try:
        strict_json.loads(b"0 0")
    except Malformed as error:
        return error.reason
    raise AssertionError("the parser took two values for one")
