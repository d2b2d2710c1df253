"""Secrets of bridges, whose settings refer to them by name and never hold their values.

A secret is an environment variable or, encrypted, a row of the database; the variable takes precedence. The previous
value of a variable is in another one, whose name ends with _PREVIOUS.
"""

import base64
import re
from collections.abc import Sequence
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from bridges.models import Secret
from core import audit
from synapse.auth.principal import Principal
from synapse.catalog.file import quote
from synapse.delivery.webhooks import signature
from synapse.errors.delivery import SecretElsewhere, SecretLost


def variable_of(name: str) -> str:
    """Return the environment variable that can supply a secret of this name."""
    return settings.SECRETS_PREFIX + re.sub(r"[^A-Za-z0-9]", "_", name).upper()


def values_of(name: str) -> list[str]:
    """Return the current value of a secret, followed by the previous one while that is still in use.

    Raises:
        SecretElsewhere: when the running installation has the secret's variable, but this command does not.
        SecretLost: when the secret does not exist, or cannot be decrypted.
    """
    if text := settings.BRIDGE_SECRETS.get(variable_of(name)):
        previous = settings.BRIDGE_SECRETS.get(f"{variable_of(name)}_PREVIOUS")
        return [text, previous] if previous else [text]
    row = Secret.objects.filter(name=name).first()
    if row is None:
        if variable_of(name) in settings.SECRETS_ELSEWHERE:
            raise SecretElsewhere(
                f"The secret {quote(name)} is known to the installation that runs here, and not to this command: set"
                f" {variable_of(name)} here too."
            )
        raise SecretLost(f"There is no secret {quote(name)}, in the database or as {variable_of(name)}.")
    try:
        return [unseal(sealed, settings.SECRETS_KEYS) for sealed in (row.value, row.previous) if sealed]
    except Unreadable:
        raise SecretLost(
            f"The secret {quote(name)} was encrypted with another SYNAPSE_SECRETS_KEY or SECRET_KEY than there is now."
        ) from None


def change_value(row: Secret, value: str, *, keep_previous: bool) -> None:
    """Set a secret's value in memory; the caller saves the row. With `keep_previous`, the old value stays in use beside
    it.
    """
    row.previous = row.value if keep_previous else ""
    row.value = seal(value, settings.SECRETS_KEYS)


def free_name(bridge: str) -> str:
    """Return an unused name for a new secret of a bridge."""
    names = [bridge, *(f"{bridge[:90]}-{number}" for number in range(2, 100))]
    there = set(Secret.objects.filter(name__in=names).values_list("name", flat=True))
    return next(name for name in names if name not in there and variable_of(name) not in settings.BRIDGE_SECRETS)


def create_secret(name: str, *, by: Principal) -> str:
    """Create a secret that signs webhooks, record it in the audit log, and return its value, which is shown only
    once.
    """
    value = signature.generate_secret()
    row = Secret(name=name)
    change_value(row, value, keep_previous=False)
    row.save()
    audit.record(by, "create", row, after=audit.describe(row, without=("value", "previous")) | {"value": "(secret)"})
    return value


_PURPOSE = b"synapse: secrets at rest"


class Unreadable(ValueError):
    """The text was encrypted with another key."""


def seal(text: str, passphrases: Sequence[str]) -> str:
    """Return the text, encrypted with the first of the passphrases."""
    return _fernet_of(tuple(passphrases)).encrypt(text.encode()).decode()


def unseal(sealed: str, passphrases: Sequence[str]) -> str:
    """Decrypt a text that was encrypted with any of the passphrases.

    Raises:
        Unreadable: when it was encrypted with another one.
    """
    try:
        return _fernet_of(tuple(passphrases)).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise Unreadable("It was encrypted with another key.") from None


@cache
def _fernet_of(passphrases: tuple[str, ...]) -> MultiFernet:
    keys = (HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(one.encode()) for one in passphrases)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
