"""Answers to clients that speak HTTP/1.0 and know no chunks: the end of the connection ends them (RFC 9112, 6.1)."""

from collections.abc import Mapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def without_chunks(app: Any, cycle: RequestResponseCycle) -> Any:
    """Return an ASGI application that has uvicorn write an answer without a length as it is.

    uvicorn does so for an answer of a known length only, so each part is announced to it as the whole length.
    """

    async def run(scope: Any, receive: Any, send: Any) -> None:
        ends_with_connection = False

        async def send_plainly(message: Mapping[str, Any]) -> None:
            nonlocal ends_with_connection
            if message["type"] == "http.response.start":
                ends_with_connection = all(name != b"content-length" for name, _ in message["headers"])
                if ends_with_connection:
                    cycle.chunked_encoding = False
            elif ends_with_connection:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_plainly)

    return run
