"""API keys, `syn_<environment>_<id>_<secret><checksum>`, and the credentials in a request's headers.

The prefix lets scanners of source code find keys that leaked. The id (8 characters) names the key in audit records and
on pages. The secret is 32 random characters of 62, 190 bits. The checksum (6 characters, CRC-32 of everything before
it) tells a mistyped key from an unknown one. Only a SHA-256 digest of the whole is kept: a secret that cannot be
guessed needs no slow hash.

A request shows a key in `Authorization: Bearer`, `X-API-Key` or `Authorization: Basic`, never in the address, which
ends up in logs and histories. Clients of schema registries know Basic alone: the key is the password (with any user
name), the user with an empty password, or divided into its id as user and the rest as password.
"""

import base64
import binascii
import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from synapse.problems import Unauthenticated

PREFIX = "syn_"
ENVIRONMENT_RULE = "1 to 12 lower-case letters and digits"
ID_LENGTH, SECRET_LENGTH, CHECKSUM_LENGTH = 8, 32, 6
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ENVIRONMENT = re.compile(r"[a-z0-9]{1,12}")
# The beginning of a key, followed by any text in place of its secret.
_BEGUN = re.compile(r"syn_[a-z0-9]{1,12}_[0-9A-Za-z]{8}_(.*)", re.DOTALL)
_KEY = re.compile(r"syn_([a-z0-9]{1,12})_([0-9A-Za-z]{8})_([0-9A-Za-z]{32})([0-9A-Za-z]{6})")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A new key. `text` is the key itself, shown once and never stored."""

    id: str
    text: str

    @property
    def digest(self) -> bytes:
        """The SHA-256 digest of the key, which is stored in its place."""
        return digest(self.text)


class NotAKey(ValueError):
    """A text is not an API key; the message names the fault and quotes nothing of the text."""


def make_key(environment: str) -> NewKey:
    """Return a new random key for an environment (`live`)."""
    id_ = _random_text(ID_LENGTH)
    body = f"{PREFIX}{environment}_{id_}_{_random_text(SECRET_LENGTH)}"
    return NewKey(id=id_, text=body + checksum(body))


def digest(text: str) -> bytes:
    """Return the SHA-256 digest of a key, which is stored in its place."""
    return hashlib.sha256(text.encode()).digest()


def parse_key(text: str) -> tuple[str, str]:
    """Return a key's environment and id.

    Raises:
        NotAKey: when it is not written like one, or its checksum is wrong.
    """
    match = _KEY.fullmatch(text)
    if match is None:
        raise NotAKey(_describe_deviation(text))
    if checksum(text[:-CHECKSUM_LENGTH]) != match[4]:
        raise NotAKey("Its checksum is wrong: the key was cut off, or a character of it changed.")
    return match[1], match[2]


def _describe_deviation(text: str) -> str:
    """Return how a text differs from the form of a key, without quoting the text."""
    if (begun := _BEGUN.fullmatch(text)) and (surplus := len(begun[1]) - SECRET_LENGTH - CHECKSUM_LENGTH):
        wrong = f"{abs(surplus)} character{'' if abs(surplus) == 1 else 's'} too {'long' if surplus > 0 else 'short'}"
        return f"It is {wrong} for a key of Synapse: copy the whole key and nothing else."
    return (
        "It is not written like a key of Synapse: “syn_”, the environment, “_”,"
        f" {ID_LENGTH} letters and digits, “_”, and {SECRET_LENGTH + CHECKSUM_LENGTH} more."
    )


def checksum(body: str) -> str:
    """Return the checksum of a key's other characters, which is its last six characters."""
    rest, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        rest, place = divmod(rest, len(_ALPHABET))
        digits = _ALPHABET[place] + digits
    return digits


def is_environment(text: str) -> bool:
    """Say whether a text can stand in a key as its environment."""
    return _ENVIRONMENT.fullmatch(text) is not None


def is_id(text: str) -> bool:
    """Say whether a text is written like the id of a key."""
    return len(text) == ID_LENGTH and text.isascii() and text.isalnum()


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


AUTHORIZATION, API_KEY = CREDENTIALS = "authorization", "x-api-key"


def presented_credential(headers: Mapping[str, str], environment: str) -> str | None:
    """Return the credential text from headers with lower-case names; None when there is none.

    `environment` completes a key that is shown in two parts. A text that is no key at all is returned unchanged.

    Raises:
        Unauthenticated: when two different keys are shown.
    """
    key = headers.get(API_KEY)
    authorization = headers.get(AUTHORIZATION)
    if not authorization:
        return key or None
    text = _credential_in(authorization, environment)
    if not key or key == text:
        return text
    if text.startswith(PREFIX):
        raise Unauthenticated("The request has two different keys. Send one.")
    # Authorization is not a key of Synapse: it may be meant for a proxy on the way.
    return key


def _credential_in(header: str, environment: str) -> str:
    scheme, _, rest = header.partition(" ")
    match scheme.lower():
        case "bearer":
            return rest.strip()
        case "basic":
            return _decode_basic(rest.strip(), environment)
    return header


def _decode_basic(encoded: str, environment: str) -> str:
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
