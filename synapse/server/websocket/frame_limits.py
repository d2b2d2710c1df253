"""Limits on incoming frames and messages, as an extension of wsproto that negotiates nothing.

An extension sees the header of each frame before its payload: a frame that is too large is refused by its announced
length, before it is read.
"""

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

# The limits of a frame and of a message, in bytes.
MAX_MESSAGE_BYTES = 64 * 1024
MAX_FRAGMENTS = 256

_NO_BITS = RsvBits(False, False, False)


class FrameLimits(Extension):
    """Refuses binary messages, messages that are too large, and messages with too many fragments."""

    name = "limits"

    def __init__(self) -> None:
        self._size = self._fragments = 0
        self._is_control = False

    def enabled(self) -> bool:
        return True

    def offer(self) -> bool:
        return False

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        # This is called again for a header that arrives in pieces, so nothing is counted here.
        self._is_control = opcode.iscontrol()
        if opcode is Opcode.BINARY:
            return CloseReason.UNSUPPORTED_DATA
        if not self._is_control and self._size + payload_length > MAX_MESSAGE_BYTES:
            return CloseReason.MESSAGE_TOO_BIG
        if not self._is_control and self._fragments >= MAX_FRAGMENTS:
            return CloseReason.POLICY_VIOLATION
        return _NO_BITS

    def frame_inbound_payload_data(self, proto: FrameDecoder | FrameProtocol, data: bytes) -> bytes:
        if not self._is_control:
            self._size += len(data)
        return data

    def frame_inbound_complete(self, proto: FrameDecoder | FrameProtocol, fin: bool) -> None:
        if self._is_control:
            return
        self._fragments += 1
        if fin:
            self._size = self._fragments = 0
