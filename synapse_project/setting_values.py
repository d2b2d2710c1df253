"""What settings are read as: from a variable's text to a value. Each raises ValueError with what was expected."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from synapse.auth import api_key
from synapse.delivery.handlers import allow_list


def boolean(text: str) -> bool:
    """Read true or false, in any of the usual words."""
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in known:
        raise ValueError("true or false")
    return known[text.lower()]


def between(low: int, high: int) -> Callable[[str], int]:
    """Return what reads a whole number within these limits, both included."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def redis_port(text: str) -> int:
    """Read a port, also out of an address."""
    # Kubernetes sets REDIS_PORT=tcp://10.0.0.1:6379 in every pod beside a Service that is named `redis`.
    return between(1, 65535)(text.rpartition(":")[2] if text.startswith("tcp://") else text)


def milliseconds(text: str) -> float:
    """Read milliseconds; returned in seconds."""
    return between(1, 600_000)(text) / 1000


def names(text: str) -> list[str]:
    """Read a list with commas between."""
    return [part.strip() for part in text.split(",") if part.strip()]


def header_names(text: str) -> list[str]:
    """Read names of headers (RFC 9110, 5.1)."""
    for name in (found := names(text)):
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'+.^_`|~-]+", name):
            raise ValueError("names of headers, separated by commas")
    return found


def cookie_suffix(text: str) -> str:
    """Read the end of a cookie's name."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", text):
        raise ValueError("1 to 40 letters, digits, - and _")
    return text


def handlers(text: str) -> list[str]:
    """Read the functions that bridges may call."""
    for name in (found := names(text)):
        if not allow_list.is_entry(name):
            raise ValueError("dotted paths of functions, or package.module.*, separated by commas")
    return found


def passphrases(text: str) -> list[str]:
    """Read what secrets are encrypted with, the newest first."""
    if not (found := names(text)) or min(map(len, found)) < 32:
        raise ValueError("32 characters or more; several separated by commas")
    return found


def url(*schemes: str) -> Callable[[str], str]:
    """Return what reads a URL of one of these schemes."""
    wanted = "a URL that begins with " + " or ".join(f"{scheme}://" for scheme in schemes)

    def parse(text: str) -> str:
        try:
            parts = urlsplit(text)
            is_good = parts.scheme in schemes and parts.port != 0
        except ValueError:  # the port is no number, or an address is cut off
            is_good = False
        if not is_good:
            raise ValueError(wanted)
        # The scheme as the rest of the program writes it; urlsplit has read POSTGRES:// as postgres.
        return parts.scheme + text[len(parts.scheme) :]

    return parse


def host(text: str) -> str:
    """Read the name or address of a host."""
    if not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*", text):
        raise ValueError("a host name or an address, without a port")
    return text


def auth(text: str) -> str:
    """Read who gets in."""
    if text.lower() not in ("required", "open"):
        raise ValueError("required or open")
    return text.lower()


def key_environment(text: str) -> str:
    """Read the word that tells keys of one installation from those of another."""
    if not api_key.is_environment(text):
        raise ValueError(api_key.ENVIRONMENT_RULE)
    return text


def metrics_token(text: str) -> str:
    """Read a token that a header can carry."""
    if len(text) < 16 or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("16 or more printable ASCII characters without spaces")
    return text


def level(text: str) -> str:
    """Read a level of logging."""
    levels = ("DEBUG", "INFO", "WARNING", "ERROR")
    if text.upper() not in levels:
        raise ValueError("one of " + ", ".join(levels))
    return text.upper()


def log_format(text: str) -> str:
    """Read how log lines are written."""
    if text not in ("text", "json"):
        raise ValueError("text or json")
    return text


def origins(text: str) -> list[str]:
    """Read origins as a browser names them (RFC 6454, 6.2)."""
    for origin in (found := names(text)):
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or "*" in parts.netloc:
            raise ValueError("origins such as http://localhost:5173, separated by commas")
    return found
