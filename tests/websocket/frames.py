"""Frames of WebSocket (RFC 6455, 5.2) as a client sends them, also those that no client should send, and as it reads
them."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_MASK = b"\x11\x22\x33\x44"


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, bits: int = 0, masked: bool = True) -> bytes:
    """Return a frame. `bits` are the reserved ones."""
    return head(opcode, len(payload), fin=fin, bits=bits, masked=masked) + (mask(payload) if masked else payload)


def head(opcode: int, length: int, *, fin: bool = True, bits: int = 0, masked: bool = True) -> bytes:
    """Return the head of a frame, which may announce more than follows."""
    first = fin << 7 | bits << 4 | opcode
    if length < 126:
        sized = struct.pack("!BB", first, masked << 7 | length)
    elif length < 1 << 16:
        sized = struct.pack("!BBH", first, masked << 7 | 126, length)
    else:
        sized = struct.pack("!BBQ", first, masked << 7 | 127, length)
    return sized + (_MASK if masked else b"")


def mask(payload: bytes) -> bytes:
    return bytes(byte ^ _MASK[place % 4] for place, byte in enumerate(payload))


def text(payload: bytes | str) -> bytes:
    return frame(TEXT, payload.encode() if isinstance(payload, str) else payload)


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


class Read(NamedTuple):
    """A frame of the server's."""

    opcode: int
    payload: bytes

    @property
    def code(self) -> int:
        """The code of a Close frame."""
        assert self.opcode == CLOSE, self
        return int.from_bytes(self.payload[:2])


def read(data: bytes) -> Iterator[Read]:
    """Return the whole frames in the bytes of a server: unmasked, and never in fragments."""
    while len(data) >= 2:
        assert data[0] & 0xF0 == 0x80, data[:2]
        length, begin = data[1], 2
        assert length < 128, "a server masks nothing"
        if length == 126:
            length, begin = struct.unpack_from("!H", data, 2)[0], 4
        elif length == 127:
            length, begin = struct.unpack_from("!Q", data, 2)[0], 10
        if len(data) < begin + length:
            return
        yield Read(data[0] & 0x0F, data[begin : begin + length])
        data = data[begin + length :]
