"""Limits on the memory of request bodies, in total, for each caller and for anonymous callers; and reading bodies
within them.

The head identifies the caller before the body is read. When keys are required, a caller without a valid key or session
may send at most `SMALL`, and each byte counts. Small bodies of other callers are not counted, because there is enough
memory for one on each connection.

The route decides how large the body of one request may be: `synapse.publishing.body` for events and batches,
`contracts.api.request_parser` for schemas, and Django's settings for the admin.

A body with the coding gzip is decoded here for all routes. All limits apply to the decoded body.
"""

from io import BytesIO
from typing import Self

from synapse.http import content_coding
from synapse.problems import PayloadTooLarge, too_large
from synapse.runtime.turn_queue import turn_queue
from synapse.server.config import Headers, PersonOf, Receive, Sender, ServerConfig
from synapse.shares import CallerId

SMALL = 64 * 1024


def check_announced(length: str | bytes, *, most: int) -> None:
    """Refuse a body whose header Content-Length is above `most`, before any of it is read."""
    if length.isdigit():
        check_read(int(length[:20]), most=most)


def check_read(size: int, *, most: int) -> None:
    """Refuse a body of which more than `most` bytes have been read."""
    if size > most:
        raise too_large(most)


class AnonymousBodyTooLarge(PayloadTooLarge):
    """The body exceeds the size limit for callers without a valid key or session."""

    def __init__(self) -> None:
        super().__init__(f"Of callers without a good key or session at most {SMALL // 1024} KiB are read.")


def is_limited(config: ServerConfig, caller: CallerId) -> bool:
    """Say whether the bodies of a caller must be small, and are counted from the first byte."""
    return caller.is_anonymous and not config.is_open


class Reservation:
    """The memory that the body of one request takes from its caller's share."""

    __slots__ = ("_caller", "_free", "_shares", "_taken")

    def __init__(self, config: ServerConfig, caller: CallerId) -> None:
        self._caller = caller
        self._shares = config.shares_of("body-memory")
        self._free = 0 if is_limited(config, caller) else SMALL
        self._taken = 0

    def grow(self, size: int) -> None:
        """Reserve memory for the current size of the body.

        Raises:
            ShareUsedUp, AllInUse: when that exceeds the caller's share, or all memory is in use.
        """
        if size > self._free and size > self._taken:
            self._shares.take(self._caller, size - self._taken)
            self._taken = size

    def give_back(self) -> None:
        """Release the memory."""
        if self._taken:
            self._shares.give_back(self._caller, self._taken)
            self._taken = 0


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


class Body:
    """The body of one request; its memory is released when the block ends.

    Attributes:
        sender: The sender of the request. `read` may identify a person by their session.
    """

    def __init__(
        self, config: ServerConfig, person_of: PersonOf, receive: Receive, headers: Headers, sender: Sender
    ) -> None:
        self._config, self._person_of = config, person_of
        self._receive = receive
        self._headers = headers
        self.sender = sender
        self._reservation = Reservation(config, sender.caller)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reservation.give_back()

    async def read(self) -> bytes:
        """Return the whole body, decoded.

        Raises:
            PayloadTooLarge, Unauthenticated: when the body is larger than its sender may send.
            UnsupportedCoding, BadCoding: when the body cannot be decoded.
            ShareUsedUp, AllInUse: when no memory is left for the body.
            DatabaseDown: when the sender's session cannot be looked up.
            ClientGone: when the client disconnected before the end of the body.
        """
        announced = self._headers.get("content-length", "")
        has_body = bool(announced.strip("0")) or "transfer-encoding" in self._headers
        decoder = content_coding.decoder_of(self._headers) if has_body else None
        check_announced(announced, most=self._config.max_body_bytes)
        if announced.isdigit():
            await self._check_size(int(announced[:20]))
        body = BytesIO()
        size = received = 0
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part = message.get("body", b"")
            received += len(part)
            check_read(received, most=self._config.max_body_bytes)
            more = message.get("more_body", False)
            for number, piece in enumerate((part,) if decoder is None else decoder.slices(part)):
                if number:
                    await turn_queue.turn()
                size += len(piece)
                check_read(size, most=self._config.max_body_bytes)
                await self._check_size(size)
                self._reservation.grow(size)
                body.write(piece)
        if decoder is not None:
            decoder.finish()
        # The buffer itself is returned: joining the parts at the end would block the loop for a millisecond for each
        # MiB.
        return body.getvalue()

    async def _check_size(self, size: int) -> None:
        """Refuse a large body of an anonymous sender, after looking for a session."""
        if size <= SMALL or not is_limited(self._config, self.sender.caller):
            return
        person = await self._person_of(self._headers, self.sender.address)
        if person is None:
            raise self.sender.refusal or AnonymousBodyTooLarge()
        self._reservation.give_back()
        self.sender = Sender(person, self.sender.address)
        self._reservation = Reservation(self._config, person)
