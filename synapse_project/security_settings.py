"""Settings that keep strangers and storms out: their forms, and what Django is told because of them."""

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from synapse.auth import client_ip
from synapse.formats import rate

_SAMPLES = ("django-insecure-", "changeme", "change-me", "change_me", "your-secret", "your_secret", "example", "sample")
# A key of 50 random characters has fewer different ones than this once in very many lifetimes.
_FEWEST_CHARACTERS = 12
# So many characters that come three times are no accident: in 128 hexadecimal digits once in millions of keys. In a
# much longer key they might be, so no more is looked at.
_PIECE, _LOOKED_AT = 5, 128
_YEAR = 365 * 24 * 3600

# Checks of Django's that speak of what is not decided here, and why.
_NEVER_OURS = [
    "security.W005",  # HSTS for the other hosts of the domain: only who owns it can promise that.
    "security.W008",  # Redirecting to https: the key was sent in the clear by then. The proxy has no port for that.
    "security.W021",  # The browsers' preload list: the same.
]
# Without TLS: HSTS, and cookies that are sent over TLS only.
_WITHOUT_TLS = ["security.W004", "security.W012", "security.W016"]


def secret_key(text: str) -> str:
    """Return a secret key that can be one.

    Raises:
        ValueError: when it is short, a sample, or not random.
    """
    if len(text) < 50:
        raise ValueError("50 characters or more")
    if any(sample in text.lower() for sample in _SAMPLES) or not _looks_random(text):
        raise ValueError("50 random characters or more, not a sample")
    return text


def _looks_random(text: str) -> bool:
    """Say whether a key could be random: it has many different characters, repeats nothing, and does not just count."""
    text = text[:_LOOKED_AT]
    pieces = Counter(text[place : place + _PIECE] for place in range(len(text) - _PIECE + 1))
    if len(set(text)) < _FEWEST_CHARACTERS or max(pieces.values()) > 2:
        return False
    counted = sum(abs(ord(after) - ord(before)) <= 1 for before, after in pairwise(text))
    return counted < len(text) / 2


def trusted(text: str) -> client_ip.Proxies:
    """Return the proxies that are trusted.

    Raises:
        ValueError: when one is no address and no network.
    """
    try:
        return client_ip.proxies([part.strip() for part in text.split(",") if part.strip()])
    except ValueError:
        raise ValueError("addresses and networks such as 10.0.0.0/8, separated by commas") from None


def one_rate(text: str) -> rate.Rate:
    """Return the rate.

    Raises:
        ValueError: when it is none.
    """
    return rate.read(text)


def of_tls(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return Django's settings that follow from whether a proxy speaks TLS for us.

    Raises:
        ValueError: when it does, and is not known: then nobody could tell what came over TLS.
    """
    # What others than the trusted proxies say of that is thrown away before it is looked at.
    proxies = values["SYNAPSE_TRUSTED_PROXIES"].networks
    told_by_proxies = {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")} if proxies else {}
    if not values["SYNAPSE_HTTPS"]:
        return {"SILENCED_SYSTEM_CHECKS": [*_NEVER_OURS, *_WITHOUT_TLS], **told_by_proxies}
    if not proxies:
        raise ValueError("SYNAPSE_HTTPS: set SYNAPSE_TRUSTED_PROXIES to the addresses of the proxy that speaks TLS")
    return {
        "SILENCED_SYSTEM_CHECKS": _NEVER_OURS,
        **told_by_proxies,
        "SECURE_HSTS_SECONDS": _YEAR,
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
    }
