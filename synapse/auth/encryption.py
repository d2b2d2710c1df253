"""Encrypting what the database keeps and must not show: Fernet, with a key that is elsewhere."""

import base64
from collections.abc import Sequence
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_PURPOSE = b"synapse: secrets at rest"


class Unreadable(ValueError):
    """A sealed text was sealed with another key."""


def seal(text: str, passphrases: Sequence[str]) -> str:
    """Return the text, encrypted with the first of the passphrases."""
    return _fernet(tuple(passphrases)).encrypt(text.encode()).decode()


def unseal(sealed: str, passphrases: Sequence[str]) -> str:
    """Return the text that was sealed with any of the passphrases.

    Raises:
        Unreadable: when it was none of them.
    """
    try:
        return _fernet(tuple(passphrases)).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise Unreadable("It was encrypted with another key.") from None


@cache
def _fernet(passphrases: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(one.encode()))) for one in passphrases])


def _derived(passphrase: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(passphrase)
