"""A block: the values of one stream's series over sixty steps of time, packed into bytes.

A block holds only changes. For each series it has the value before the block, and for each change the step and the
difference. All numbers are variable-length integers with seven bits a byte, so that a series that changes a little at
every step takes one byte a step. A complete block is compressed: by a fast method, or by a better one if it is kept for
long and rarely read.
"""

import lzma
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, islice

from synapse.statistics.series import Key, Selection

STEPS = 60
_PLAIN, _COMPRESSED, _DENSE = b"\x01", b"\x02", b"\x03"
_DENSE_FILTERS = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}]
# No block of Synapse unpacks to more bytes than this.
_MOST_BYTES = 4 * 1024 * 1024
_NUMBER = re.compile(rb"[\x80-\xff]*[\x00-\x7f]")


class _Numbers(dict[bytes, int]):
    """The number for each encoding of up to two bytes, cached once it was read."""

    def __missing__(self, data: bytes) -> int:
        number = self._read(data)
        if len(data) < 3:
            self[data] = number
        return number

    def _read(self, data: bytes) -> int:
        return _read(data, 0)[0]


class _Differences(_Numbers):
    """The difference for each encoding of a change; `_OTHER` for changes that skip steps or end the series."""

    def _read(self, data: bytes) -> int:
        code, _ = _read(data, 0)
        return _OTHER if code & 1 or code == 0 else code >> 2 if code & 2 else -(code >> 2)


# A value that is not a difference of any counter or gauge.
_OTHER = 1 << 200
_NUMBERS, _DIFFERENCES = _Numbers(), _Differences()


class Column:
    """One series within a block.

    Attributes:
        base: the value before the block, None when the series did not exist.
        value: the value after the last change.
        step: the step of the last change, from 0; -1 without any.
        changes: the packed changes.
        head: the key of the series and its base, packed.
        packed: the result of `pack`, empty after a change.
    """

    __slots__ = ("_decoded", "base", "changes", "head", "packed", "step", "value")

    def __init__(self, base: int | None, head: bytes = b"") -> None:
        self.base = self.value = base
        self.head = head
        self.packed = b""
        self.step = -1
        self.changes = bytearray()
        # The value at each step up to the last change, cached on first use.
        self._decoded: list[int | None] | None = None

    def put(self, step: int, value: int | None) -> None:
        """Record another value; None when the series ended. A second value for a step counts for the next step."""
        skipped = step - self.step - 1
        if skipped < 0:
            skipped, step = 0, self.step + 1
        code = (0 if value is None else _encode_signed(value - (self.value or 0))) << 1 | (skipped > 0)
        changes = self.changes
        if code < 128:  # many changes are this small
            changes.append(code)
        elif code < 16_384:  # nearly all other changes are this small
            changes.append(code & 127 | 128)
            changes.append(code >> 7)
        else:
            _write_number(changes, code)
        if skipped > 0:
            _write_number(changes, skipped)
        self.step, self.value, self._decoded, self.packed = step, value, None, b""

    def pack(self) -> bytes:
        """Return the column as bytes, as a part of its block."""
        if not self.packed:
            size = bytearray()
            _write_number(size, len(self.changes))
            self.packed = b"".join((self.head, size, self.changes))
        return self.packed

    def entries(self) -> Iterator[tuple[int, int | None]]:
        """Yield the step and the new value of each change."""
        data, end, at = self.changes, len(self.changes), 0
        step, value = -1, self.base
        while at < end:
            code, at = _read(data, at)
            if code & 1:
                skipped, at = _read(data, at)
                step += skipped
            step += 1
            difference = _decode_signed(code >> 1)
            value = None if difference is None else (value or 0) + difference
            yield step, value

    def values(self) -> list[int | None]:
        """Return the value at each step of the block."""
        if self._decoded is None:
            self._decoded = self._decode([], 0)
        found = self._decoded
        return found + [found[-1] if found else self.base] * (STEPS - len(found))

    def follow(self, earlier: "Column") -> None:
        """Take over the values that were decoded from an earlier, shorter version of the block."""
        if earlier._decoded is not None and earlier.base == self.base and self.changes.startswith(earlier.changes):
            self._decoded = self._decode(earlier._decoded, len(earlier.changes))

    def _decode(self, known: list[int | None], at: int) -> list[int | None]:
        """Return the value at each step up to the last change; `known` are the values from the changes before the
        position `at`. A page reads some ten thousand columns, so this repeats `entries` without a generator.
        """
        if at == len(self.changes):
            return known
        found = known.copy()
        value = found[-1] if found else self.base
        changes = _NUMBER.findall(self.changes, at)
        if value is not None and _OTHER not in (differences := list(map(_DIFFERENCES.__getitem__, changes))):
            # A change at every step, as in a busy stream.
            found += islice(accumulate(differences, initial=value), 1, None)
            del found[STEPS:]
            return found
        codes = map(_NUMBERS.__getitem__, changes)
        for code in codes:
            if code & 1:
                found += [value] * min(next(codes, 0), STEPS)
            if code < 2:
                value = None
            elif code & 2:
                value = (value or 0) + (code >> 2)
            else:
                value = (value or 0) - (code >> 2)
            found.append(value)
        del found[STEPS:]
        return found


class Block:
    """The series of one stream over sixty steps."""

    def __init__(self, base: Mapping[Key, int] | None = None) -> None:
        self.columns: dict[Key, Column] = {}
        self._texts = {"": 0}
        # The encoded texts, cached until another text is added.
        self._head = b""
        for key, value in (base or {}).items():
            self.add(key, value)

    @property
    def values(self) -> dict[Key, int]:
        """The latest value of each series that exists."""
        return {key: column.value for key, column in self.columns.items() if column.value is not None}

    @property
    def last_step(self) -> int:
        """The step of the last change, -1 without any."""
        return max((column.step for column in self.columns.values()), default=-1)

    def add(self, key: Key, base: int | None) -> Column:
        """Add a series, and return it."""
        head, texts = bytearray(), self._texts
        self._head = b""
        for number in (
            key.number,
            texts.setdefault(key.group, len(texts)),
            texts.setdefault(key.label, len(texts)),
            _encode_signed(base),
        ):
            _write_number(head, number)
        column = self.columns[key] = Column(base, bytes(head))
        return column

    def follow(self, earlier: "Block") -> None:
        """Take over the columns that were decoded from an earlier, shorter version of the block."""
        for key, column in self.columns.items():
            if column.changes and (before := earlier.columns.get(key)) is not None:
                column.follow(before)

    def record(
        self, step: int, values: Mapping[Key, int], touched: Iterable[Key] | None = None
    ) -> dict[Key, tuple[int | None, int | None]]:
        """Record the values of a step. Return the series that changed, with their values before and after.

        Args:
            step: the step, from 0.
            values: all values.
            touched: the series that may have changed; None for all.
        """
        columns = self.columns
        changed: dict[Key, tuple[int | None, int | None]] = {}
        for key in {**values, **columns} if touched is None else touched:
            value = values.get(key)
            column = columns.get(key)
            before = column.value if column is not None else None
            if before != value:
                changed[key] = (before, value)
                (column or self.add(key, None)).put(step, value)
        return changed

    def pack(self, *, is_complete: bool = False, is_dense: bool = False) -> bytes:
        """Return the block as bytes, which `unpack` decodes.

        Args:
            is_complete: whether to compress it.
            is_dense: whether to compress it better, in five times the time.
        """
        if not self._head:
            head = bytearray()
            _write_number(head, len(self._texts))
            for text in self._texts:
                encoded = text.encode()
                _write_number(head, len(encoded))
                head += encoded
            self._head = bytes(head)
        data = b"".join((self._head, *[column.packed or column.pack() for column in self.columns.values()]))
        if is_dense:
            return _DENSE + lzma.compress(data, lzma.FORMAT_RAW, filters=_DENSE_FILTERS)
        return _COMPRESSED + zlib.compress(data) if is_complete else _PLAIN + data


def unpack(data: bytes, selection: Selection | None = None) -> Block | None:
    """Decode a block; None when the bytes are not a block. With a selection, the block has only these series and can
    only be read.
    """
    try:
        if data[:1] == _PLAIN:
            return _unpack(data[1:], selection)
        if data[:1] == _COMPRESSED:
            return _unpack(zlib.decompressobj().decompress(data[1:], _MOST_BYTES), selection)
        if data[:1] == _DENSE:
            decompressor = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_DENSE_FILTERS)
            return _unpack(decompressor.decompress(data[1:], _MOST_BYTES), selection)
    except (IndexError, ValueError, zlib.error, lzma.LZMAError, EOFError):
        pass
    # Another program's value under this key is ignored and is no error.
    return None


def _unpack(data: bytes, selection: Selection | None) -> Block:
    count, at = _read(data, 0)
    texts = []
    for _ in range(count):
        size, at = _read(data, at)
        texts.append(data[at : at + size].decode())
        at += size
    block = Block()
    columns, end = block.columns, len(data)
    while at < end:
        number, group, label = data[at : at + 3]
        if number | group | label < 128:  # true for nearly all columns
            at += 3
        else:
            number, at = _read(data, at)
            group, at = _read(data, at)
            label, at = _read(data, at)
        base_at = at
        while data[at] > 127:
            at += 1
        size = data[at := at + 1]
        if size < 128:
            at += 1
        else:
            size, at = _read(data, at)
        begin, at = at, at + size
        if selection is None:
            column = block.add(Key(number, texts[group], texts[label]), _decode_signed(_read(data, base_at)[0]))
            column.changes = bytearray(data[begin:at])
            for step, value in column.entries():
                column.step, column.value = step, value
        elif number in selection.numbers and selection.has(key := Key(number, texts[group], texts[label])):
            column = columns[key] = Column(_decode_signed(_read(data, base_at)[0]))
            column.changes = bytearray(data[begin:at])
    return block


def _write_number(out: bytearray, number: int) -> None:
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


def _read(data: bytes | bytearray, at: int) -> tuple[int, int]:
    byte = data[at]
    at += 1
    if byte < 128:
        return byte, at
    number, shift = byte & 127, 7
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7


def _encode_signed(value: int | None) -> int:
    """Encode a number that may be negative, or None, as a number that is not negative. Small numbers stay small."""
    if value is None:
        return 0
    return 2 * value + 1 if value >= 0 else -2 * value


def _decode_signed(code: int) -> int | None:
    if code == 0:
        return None
    return (code - 1) // 2 if code & 1 else -(code // 2)
