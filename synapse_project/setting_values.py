"""Parse the text of settings into values; each parser raises ValueError with the expected form.

The settings of security (secret key, proxies, rates, TLS) and of the audit log's file are here too.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from synapse.auth import client_ip
from synapse.redis import address
from synapse.tracing.settings import TraceSettings


def boolean(text: str) -> bool:
    """Read true or false, in any of the usual words."""
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in known:
        raise ValueError("true or false")
    return known[text.lower()]


def between(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of whole numbers within these limits, both included."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def such(is_good: Callable[[str], object], expected: str, convert: Callable[[str], str] = str) -> Callable[[str], str]:
    """Return a parser of texts that pass a test once they are converted."""

    def parse(text: str) -> str:
        found = convert(text)
        if not is_good(found):
            raise ValueError(expected)
        return found

    return parse


def matching(pattern: str, expected: str) -> Callable[[str], str]:
    """Return a parser of texts that match a regular expression."""
    return such(re.compile(pattern).fullmatch, expected)


def one_of(*words: str, convert: Callable[[str], str] = str) -> Callable[[str], str]:
    """Return a parser of one of these words, or of what `convert` makes one of them."""
    expected = " or ".join(words) if len(words) < 3 else f"one of {', '.join(words)}"
    return such(words.__contains__, expected, convert)


def each(parse: Callable[[str], str]) -> Callable[[str], list[str]]:
    """Return a parser of lists with commas between, each part read by `parse`."""
    return lambda text: [parse(part) for part in names(text)]


def redis_url(text: str) -> str:
    """Read the URL of a Redis, and the files named in it."""
    address.parse_url(text)
    parts = urlsplit(text)
    for name, paths in parse_qs(parts.query).items():
        if name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
            try:
                Path(paths[-1]).read_bytes()
            except OSError as error:
                raise ValueError(f"a file that can be read as “{name}” ({error.strerror})") from None
    # urlsplit has read REDIS:// as redis.
    return parts.scheme + text[len(parts.scheme) :]


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


def passphrases(text: str) -> list[str]:
    """Read the passphrases that encrypt secrets, the newest first."""
    if not (found := names(text)) or min(map(len, found)) < 32:
        raise ValueError("32 characters or more; several separated by commas")
    return found


def url(*schemes: str) -> Callable[[str], str]:
    """Return a parser of URLs with one of these schemes."""
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


def ratio(text: str) -> float:
    """Read a number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise ValueError("a number from 0 to 1")
    return number


def trace_url(text: str) -> str:
    """Read the address of a trace's page, with {trace_id} in it."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or "{trace_id}" not in text:
        raise ValueError("an address with {trace_id} in it, such as https://traces.example.org/trace/{trace_id}")
    return text


def is_origin(text: str) -> bool:
    """Say whether a text is an origin as a browser names it (RFC 6454, 6.2)."""
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not parts.path and "*" not in parts.netloc


NO_FILE, STDERR = "none", "stderr"


def file_or_word(text: str) -> str:
    """Read the path of a file, or a word that stands in place of one, in any case."""
    return text.lower() if text.lower() in (NO_FILE, STDERR) else text


_SAMPLES = ("django-insecure-", "changeme", "change-me", "change_me", "your-secret", "your_secret", "example", "sample")
# A key of 50 random characters has fewer different ones than this once in very many lifetimes.
_FEWEST_CHARACTERS = 12
# A part of this many characters that occurs three times is no accident: in 128 hexadecimal digits it happens once in
# millions of keys. In a much longer key it might be, so no more digits are checked.
_PIECE, _LOOKED_AT = 5, 128
_YEAR = 365 * 24 * 3600

# Checks of Django's that speak of what is not decided here, and why.
_NEVER_OURS = [
    "security.W005",  # HSTS for the other hosts of the domain: only its owner can promise that.
    "security.W008",  # Redirecting to https: the key was sent in the clear by then. The proxy has no port for that.
    "security.W021",  # The browsers' preload list: the same.
]
# Without TLS: HSTS, and cookies that are sent over TLS only.
_WITHOUT_TLS = ["security.W004", "security.W012", "security.W016"]


def secret_key(text: str) -> str:
    """Return a secret key, refusing weak ones.

    Raises:
        ValueError: when it is short, a sample, or not random.
    """
    if len(text) < 50:
        raise ValueError("50 characters or more")
    if any(sample in text.lower() for sample in _SAMPLES) or not _looks_random(text):
        raise ValueError("50 random characters or more, not a sample")
    return text


def _looks_random(text: str) -> bool:
    """Say whether a key could be random: it has many different characters, no repetition, and is no sequence."""
    text = text[:_LOOKED_AT]
    pieces = Counter(text[place : place + _PIECE] for place in range(len(text) - _PIECE + 1))
    if len(set(text)) < _FEWEST_CHARACTERS or max(pieces.values()) > 2:
        return False
    counted = sum(abs(ord(after) - ord(before)) <= 1 for before, after in pairwise(text))
    return counted < len(text) / 2


def trusted(text: str) -> client_ip.Proxies:
    """Return the trusted proxies.

    Raises:
        ValueError: when one is no address and no network.
    """
    try:
        return client_ip.parse_proxies(names(text))
    except ValueError:
        raise ValueError("addresses and networks such as 10.0.0.0/8, separated by commas") from None


def of_tls(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return Django's settings that depend on whether a proxy terminates TLS.

    Raises:
        ValueError: when it does, and its addresses are not set: then it is unknown which requests came over TLS.
    """
    # Headers about that from other senders than the trusted proxies are dropped before they are read.
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


def logging(target: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the handlers that `logging` needs by name, and the logger of the audit log.

    `target` is a file, "stderr", or "" for nowhere. Each line is written at once and appended, so that several
    processes can share the file; one that is moved away (logrotate) is created again.

    Raises:
        OSError: when the file cannot be written.
    """
    if not target:
        return {}, {"handlers": [], "level": "CRITICAL", "propagate": False}
    if target == STDERR:
        handler: dict[str, Any] = {"class": "logging.StreamHandler", "formatter": "bare"}
    else:
        # It holds personal data: no other user may read it.
        Path(target).touch(mode=0o600)
        kind = "logging.handlers.WatchedFileHandler"
        handler = {"class": kind, "formatter": "bare", "filename": str(Path(target).resolve()), "encoding": "utf-8"}
    return {"audit": handler}, {"handlers": ["audit"], "level": "INFO", "propagate": False}


def of_tracing(values: Mapping[str, Any]) -> TraceSettings:
    """Return the tracing settings. An endpoint turns traces on, unless an exporter is named."""
    is_on = not values["OTEL_SDK_DISABLED"]
    endpoints = values["OTEL_EXPORTER_OTLP_ENDPOINT"] or values["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
    exporter = values["OTEL_TRACES_EXPORTER"] or ("otlp" if endpoints else "none")
    return TraceSettings(
        exports_traces=is_on and exporter == "otlp",
        exports_metrics=is_on and values["OTEL_METRICS_EXPORTER"] == "otlp",
        endpoint=values["OTEL_EXPORTER_OTLP_ENDPOINT"],
        traces_endpoint=values["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"],
        metrics_endpoint=values["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"],
        sampler=values["OTEL_TRACES_SAMPLER"],
        ratio=values["OTEL_TRACES_SAMPLER_ARG"],
        metrics_seconds=values["OTEL_METRIC_EXPORT_INTERVAL"] / 1000,
    )
