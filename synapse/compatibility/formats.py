"""Formats, as the validator checks them in each draft, with texts that have them."""

from collections.abc import Mapping
from functools import lru_cache

from synapse.compatibility import validators

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "date-time": ("2024-01-15T10:30:00Z", "2024-01-15T10:30:00.123456+01:00"),
    "date": ("2024-01-15",),
    "time": ("10:30:00Z", "10:30:00.5+01:00"),
    "duration": ("P1D", "PT36H"),
    "email": ("a@example.com",),
    "idn-email": ("a@example.com", "ä@example.com"),
    "hostname": ("example.com", "a"),
    "idn-hostname": ("example.com", "bücher.example"),
    "ipv4": ("192.0.2.1",),
    "ipv6": ("2001:db8::1", "::1"),
    "uri": ("https://example.com/a", "urn:a:b"),
    "uri-reference": ("/a", "https://example.com/a", ""),
    "iri": ("https://example.com/ä",),
    "iri-reference": ("/ä", ""),
    "uuid": ("123e4567-e89b-12d3-a456-426614174000",),
    "uri-template": ("/a/{b}", "a"),
    "json-pointer": ("/a", ""),
    "relative-json-pointer": ("0", "1/a"),
    "regex": ("^a$", ""),
    "base64": ("YWJj", ""),
    "json": ("1", '{"a": 1}'),
}
LENGTHS: Mapping[str, tuple[int, int]] = {"uuid": (36, 36), "date": (10, 10), "ipv4": (7, 15)}
"""How short and how long the texts of some formats are (RFC 9562, 4; RFC 3339, 5.6; RFC 2673, 3.2)."""
_HAS_NO_FORMAT = "\x00 {%%"
# Their meaning has moved with the drafts.
_DIFFERENT_IN_DRAFTS = ("hostname", "idn-hostname", "regex")


@lru_cache(maxsize=512)
def is_checked(name: str, draft: int) -> bool:
    """Say whether the validator of a draft knows the format; others inform only."""
    validator = validators.alone({"format": name}, draft)
    return validator is not None and not validator.is_valid(_HAS_NO_FORMAT)


def token(name: str, draft: int) -> str:
    """Return the format under a name that is the same for two drafts only when both check the same."""
    return f"{name} of draft {draft}" if name in _DIFFERENT_IN_DRAFTS else name


def name_of(token: str) -> str:
    """Return the format that a token stands for."""
    return token.partition(" of draft ")[0]
