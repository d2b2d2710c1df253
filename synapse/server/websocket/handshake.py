"""The handshake of WebSocket (RFC 6455, 4.2): its checks, its credential, and its acceptance.

In a browser, the only header of a handshake that a page can set is `Sec-WebSocket-Protocol`. So a page sends its key
there, as a protocol `synapse.key.` followed by the key in base64url, besides the protocol to speak. From here on, the
key is treated like that of the header `Authorization`. Cookies, which a browser adds by itself, are left out.
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
# The prefix of the key in base64url without padding.
KEY_PROTOCOL = "synapse.key."
VERSION = "13"
_OFFERED, _KEY, _VERSION = "sec-websocket-protocol", "sec-websocket-key", "sec-websocket-version"
_BASE64URL, _VISIBLE = re.compile(r"[A-Za-z0-9_-]+"), re.compile(rb"[!-~]+")
# 16 bytes in base64 (RFC 6455, 4.1).
_NONCE = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")


def with_credential(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a handshake without cookies, and with the key from the protocols.

    Raises:
        BadRequest: when the key is not base64url, or the handshake has two keys.
    """
    found = {name: text for name, text in headers.items() if name != "cookie"}
    named = [each for each in _offered_protocols(headers) if each.startswith(KEY_PROTOCOL)]
    if not named:
        return found
    if len(named) > 1 or headers.get(AUTHORIZATION) or headers.get(API_KEY):
        raise BadRequest("The handshake shows more than one key. Show one, in a header or in a protocol.")
    found[AUTHORIZATION] = f"Bearer {_decode_key(named[0].removeprefix(KEY_PROTOCOL))}"
    return found


def _decode_key(text: str) -> str:
    key = b""
    if _BASE64URL.fullmatch(text):
        with contextlib.suppress(binascii.Error):  # base64url has no such length
            key = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    # As in a header, a key has neither blanks nor line breaks.
    if not _VISIBLE.fullmatch(key):
        raise BadRequest(f"“{KEY_PROTOCOL}…” is followed by the key in base64url, without padding.")
    return key.decode("ascii")


def check(headers: Mapping[str, str]) -> None:
    """Refuse a handshake that violates the RFC, or offers no supported protocol.

    Raises:
        WebSocketRequired, BadRequest: when the handshake is invalid.
    """
    if headers.get(_VERSION) != VERSION:
        raise WebSocketRequired(f"Send Sec-WebSocket-Version: {VERSION}, the supported version (RFC 6455).")
    if not _NONCE.fullmatch(headers.get(_KEY, "")):
        raise BadRequest("“Sec-WebSocket-Key” is 16 bytes in base64 (RFC 6455, 4.1).")
    offered = _offered_protocols(headers)
    if offered and PROTOCOL not in offered:
        raise BadRequest(f"The protocol here is “{PROTOCOL}”. Offer it in Sec-WebSocket-Protocol, or offer none.")


def acceptance(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Return the headers of the response that accepts a handshake.

    No extension is accepted: compressing text that a caller chose together with secrets would leak the secrets, and a
    small compressed frame could fill the memory.
    """
    pairs = [
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-accept", generate_accept_token(headers[_KEY].encode("ascii"))),
    ]
    if PROTOCOL in _offered_protocols(headers):
        pairs.append((b"sec-websocket-protocol", PROTOCOL.encode()))
    return pairs


def _offered_protocols(headers: Mapping[str, str]) -> list[str]:
    return [each.strip() for each in headers.get(_OFFERED, "").split(",") if each.strip()]
