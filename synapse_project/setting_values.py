"""Parsers for the texts of settings. Each raises ValueError with the expected form.

The module also derives Django's settings for security (secret key, proxies, TLS) and for the audit log's file.
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
    """Parse true or false, in any of the usual words."""
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in known:
        raise ValueError("true or false")
    return known[text.lower()]


def integer_between(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of whole numbers between these limits, both inclusive."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def text_where(
    is_good: Callable[[str], object], expected: str, convert: Callable[[str], str] = str
) -> Callable[[str], str]:
    """Return a parser of texts that pass a test after conversion."""

    def parse(text: str) -> str:
        found = convert(text)
        if not is_good(found):
            raise ValueError(expected)
        return found

    return parse


def text_matching(pattern: str, expected: str) -> Callable[[str], str]:
    """Return a parser of texts that match a regular expression."""
    return text_where(re.compile(pattern).fullmatch, expected)


def one_of(*words: str, convert: Callable[[str], str] = str) -> Callable[[str], str]:
    """Return a parser of texts that are one of these words after conversion."""
    expected = " or ".join(words) if len(words) < 3 else f"one of {', '.join(words)}"
    return text_where(words.__contains__, expected, convert)


def list_of(parse: Callable[[str], str]) -> Callable[[str], list[str]]:
    """Return a parser of comma-separated lists, each part of which `parse` reads."""
    return lambda text: [parse(part) for part in names(text)]


def redis_url(text: str) -> str:
    """Parse the URL of a Redis, and check that the files named in it can be read."""
    address.parse_url(text)
    parts = urlsplit(text)
    for name, paths in parse_qs(parts.query).items():
        if name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
            try:
                Path(paths[-1]).read_bytes()
            except OSError as error:
                raise ValueError(f"a file that can be read as “{name}” ({error.strerror})") from None
    # urlsplit lowers the scheme: REDIS:// is accepted as redis://.
    return parts.scheme + text[len(parts.scheme) :]


def redis_port(text: str) -> int:
    """Parse a port, or the port of a `tcp://` URL."""
    # Kubernetes sets REDIS_PORT=tcp://10.0.0.1:6379 in every pod if there is a Service named `redis`.
    return integer_between(1, 65535)(text.rpartition(":")[2] if text.startswith("tcp://") else text)


def milliseconds(text: str) -> float:
    """Parse milliseconds. Return seconds."""
    return integer_between(1, 600_000)(text) / 1000


def names(text: str) -> list[str]:
    """Parse a comma-separated list."""
    return [part.strip() for part in text.split(",") if part.strip()]


def passphrases(text: str) -> list[str]:
    """Parse the passphrases that encrypt secrets, the newest first."""
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
        except ValueError:  # the port is not a number, or an IPv6 address is cut off
            is_good = False
        if not is_good:
            raise ValueError(wanted)
        # urlsplit lowers the scheme, as the rest of the program expects it: POSTGRES:// is accepted as postgres://.
        return parts.scheme + text[len(parts.scheme) :]

    return parse


def ratio(text: str) -> float:
    """Parse a number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise ValueError("a number from 0 to 1")
    return number


def trace_url(text: str) -> str:
    """Parse the URL of a trace's page, which contains {trace_id}."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or "{trace_id}" not in text:
        raise ValueError("an address with {trace_id} in it, such as https://traces.example.org/trace/{trace_id}")
    return text


def is_origin(text: str) -> bool:
    """Say whether a text is an origin in the form that browsers send (RFC 6454, 6.2)."""
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not parts.path and "*" not in parts.netloc


NO_FILE, STDERR = "none", "stderr"


def file_or_word(text: str) -> str:
    """Parse the path of a file, or a special word in its place, in any case."""
    return text.lower() if text.lower() in (NO_FILE, STDERR) else text


_SAMPLES = ("django-insecure-", "changeme", "change-me", "change_me", "your-secret", "your_secret", "example", "sample")
# Practically no key of 50 random characters has fewer different characters than this.
_FEWEST_CHARACTERS = 12
# If a part of _PIECE characters occurs three times, the key is not random: among 128 random hexadecimal digits, that
# happens once in millions of keys. In much longer keys it would be likely, so only _LOOKED_AT characters are checked.
_PIECE, _LOOKED_AT = 5, 128
_YEAR = 365 * 24 * 3600

# Django's checks of settings that Synapse does not decide, with the reasons.
_NEVER_OURS = [
    "security.W005",  # HSTS for subdomains: only the domain's owner can promise that.
    "security.W008",  # Redirects to https: by then, the key was sent unencrypted.
    "security.W021",  # The browsers' preload list: only the domain's owner can request that.
]
# Without TLS, HSTS and TLS-only cookies do not apply.
_WITHOUT_TLS = ["security.W004", "security.W012", "security.W016"]


def secret_key(text: str) -> str:
    """Parse a secret key. Refuse weak ones.

    Raises:
        ValueError: when the key is short, a sample, or not random.
    """
    if len(text) < 50:
        raise ValueError("50 characters or more")
    if any(sample in text.lower() for sample in _SAMPLES) or not _looks_random(text):
        raise ValueError("50 random characters or more, not a sample")
    return text


def _looks_random(text: str) -> bool:
    """Say whether a key could be random: it has many different characters, no repetitions, and is not a sequence."""
    text = text[:_LOOKED_AT]
    pieces = Counter(text[place : place + _PIECE] for place in range(len(text) - _PIECE + 1))
    if len(set(text)) < _FEWEST_CHARACTERS or max(pieces.values()) > 2:
        return False
    counted = sum(abs(ord(after) - ord(before)) <= 1 for before, after in pairwise(text))
    return counted < len(text) / 2


def trusted_proxies(text: str) -> client_ip.Proxies:
    """Parse the trusted proxies.

    Raises:
        ValueError: when an item is neither an address nor a network.
    """
    try:
        return client_ip.parse_proxies(names(text))
    except ValueError:
        raise ValueError("addresses and networks such as 10.0.0.0/8, separated by commas") from None


def tls_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return Django's settings that depend on whether a proxy terminates TLS.

    Raises:
        ValueError: when it does and no trusted proxy is set, because then it is unknown which requests came over TLS.
    """
    # The header is trusted here because it is removed from requests that do not come from trusted proxies.
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


def audit_logging(target: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the logging handlers by name, and the configuration of the audit log's logger, for Django's LOGGING.

    `target` is a file, "stderr", or "" for no log. Each line is appended with one write, so that several processes can
    share the file. If the file is moved away (logrotate), it is created again.

    Raises:
        OSError: when the file cannot be written.
    """
    if not target:
        return {}, {"handlers": [], "level": "CRITICAL", "propagate": False}
    if target == STDERR:
        handler: dict[str, Any] = {"class": "logging.StreamHandler", "formatter": "bare"}
    else:
        # The file holds PII, so no other user may read it.
        Path(target).touch(mode=0o600)
        kind = "logging.handlers.WatchedFileHandler"
        handler = {"class": kind, "formatter": "bare", "filename": str(Path(target).resolve()), "encoding": "utf-8"}
    return {"audit": handler}, {"handlers": ["audit"], "level": "INFO", "propagate": False}


def tracing_settings(values: Mapping[str, Any]) -> TraceSettings:
    """Return the tracing settings. Without a named exporter, traces are exported if an endpoint is set."""
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
