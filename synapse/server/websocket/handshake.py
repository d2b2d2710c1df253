"""The handshake of WebSocket (RFC 6455, 4.2): its checks, its credential, and its acceptance.

A browser can set no header of a handshake but `Sec-WebSocket-Protocol`. So a page names its key there, as a protocol
`synapse.key.` and the key in base64url, beside the protocol that it wants to speak. The key is treated as that of the
header `Authorization` from here on. Cookies, which a browser adds by itself, are left out.
"""

import base64
import binascii
import contextlib
import re
from collections.abc import Mapping

from wsproto.utilities import generate_accept_token

from synapse.auth.api_key import API_KEY, AUTHORIZATION
from synapse.errors.streams import WebSocketRequired
from synapse.problems import BadRequest

PROTOCOL = "synapse.v1"
# Before the key, in base64url without padding.
KEY_PROTOCOL = "synapse.key."
VERSION = "13"
_OFFERED, _KEY, _VERSION = "sec-websocket-protocol", "sec-websocket-key", "sec-websocket-version"
_BASE64URL, _VISIBLE = re.compile(r"[A-Za-z0-9_-]+"), re.compile(rb"[!-~]+")
# 16 bytes in base64 (RFC 6455, 4.1).
_NONCE = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")


def with_credential(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a handshake without cookies, and with the key that a protocol names.

    Raises:
        BadRequest: when that is no base64url, or the handshake shows two keys.
    """
    found = {name: text for name, text in headers.items() if name != "cookie"}
    named = [each for each in _offered(headers) if each.startswith(KEY_PROTOCOL)]
    if not named:
        return found
    if len(named) > 1 or headers.get(AUTHORIZATION) or headers.get(API_KEY):
        raise BadRequest("The handshake shows more than one key. Show one, in a header or in a protocol.")
    found[AUTHORIZATION] = f"Bearer {_decoded(named[0].removeprefix(KEY_PROTOCOL))}"
    return found


def _decoded(text: str) -> str:
    key = b""
    if _BASE64URL.fullmatch(text):
        with contextlib.suppress(binascii.Error):  # of no such length
            key = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    # As in a header, where a key has neither blanks nor ends of lines.
    if not _VISIBLE.fullmatch(key):
        raise BadRequest(f"“{KEY_PROTOCOL}…” is followed by the key in base64url, without padding.")
    return key.decode("ascii")


def check(headers: Mapping[str, str]) -> None:
    """Refuse a handshake that breaks the RFC, or offers no supported protocol.

    Raises:
        WebSocketRequired, BadRequest: as their names say.
    """
    if headers.get(_VERSION) != VERSION:
        raise WebSocketRequired(f"Send Sec-WebSocket-Version: {VERSION}, the supported version (RFC 6455).")
    if not _NONCE.fullmatch(headers.get(_KEY, "")):
        raise BadRequest("“Sec-WebSocket-Key” is 16 bytes in base64 (RFC 6455, 4.1).")
    offered = _offered(headers)
    if offered and PROTOCOL not in offered:
        raise BadRequest(f"The protocol here is “{PROTOCOL}”. Offer it in Sec-WebSocket-Protocol, or offer none.")


def acceptance(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return the headers of the answer that accepts a handshake. No extension is accepted: compressing text of a
    caller's choice together with secrets would leak the secrets, and a small compressed frame could fill the memory."""
    pairs = [
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-accept", generate_accept_token(headers[_KEY].encode("ascii"))),
    ]
    if PROTOCOL in _offered(headers):
        pairs.append((b"sec-websocket-protocol", PROTOCOL.encode()))
    return pairs


def _offered(headers: Mapping[str, str]) -> list[str]:
    return [each.strip() for each in headers.get(_OFFERED, "").split(",") if each.strip()]
