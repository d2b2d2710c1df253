"""What a request shows of who sends it: a key in `Authorization: Bearer`, `X-API-Key` or `Authorization: Basic`. Pure.

Never in the address: addresses end up in logs and histories. Clients of schema registries know Basic alone; theirs has
the key as its password (the user's name is free), as its user with an empty password, or in two parts as the user and
the password: the key's id, and what follows the id in the key.
"""

import base64
import binascii
from collections.abc import Mapping

from synapse.auth.api_key import PREFIX, is_id
from synapse.problems import Unauthenticated

AUTHORIZATION, API_KEY = CREDENTIALS = "authorization", "x-api-key"


def shown(headers: Mapping[str, str], environment: str) -> str | None:
    """Return the text that stands where a key would, from headers with lower-case names; None when there is none.

    `environment` is what completes a key that is shown in two parts. A text that is no key at all is returned as it is.

    Raises:
        Unauthenticated: when two different keys are shown.
    """
    key = headers.get(API_KEY)
    authorization = headers.get(AUTHORIZATION)
    if not authorization:
        return key or None
    text = _authorized(authorization, environment)
    if not key or key == text:
        return text
    if text.startswith(PREFIX):
        raise Unauthenticated("Two different keys are shown; show one.")
    # A proxy on the way may want an Authorization of its own.
    return key


def _authorized(header: str, environment: str) -> str:
    scheme, _, rest = header.partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip()
        case "basic":
            return _basic(rest.strip(), environment)
    return header


def _basic(encoded: str, environment: str) -> str:
    """Return the key in a user and a password (RFC 7617)."""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return encoded
    if password.startswith(PREFIX):
        return password
    if is_id(user):
        return f"{PREFIX}{environment}_{user}_{password}"
    return password or user
