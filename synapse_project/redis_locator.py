"""Find the address of Redis: `REDIS_URL` if set, else the address that the embedded server recorded.

A URL that could not work is refused at the start.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from django.conf import settings

from synapse.errors.streams import BrokerDown
from synapse.redis import address, embedded

_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def checked(text: str) -> str:
    """Return the URL as the rest of the program writes it.

    Raises:
        ValueError: when it cannot be used, or names a file that cannot be read.
    """
    address.read(text)
    parts = urlsplit(text)
    for name, path in _files(parts.query).items():
        try:
            Path(path).read_bytes()
        except OSError as error:
            raise ValueError(f"a file that can be read as “{name}” ({error.strerror})") from None
    # urlsplit has read REDIS:// as redis.
    return parts.scheme + text[len(parts.scheme) :]


def _files(query: str) -> Mapping[str, str]:
    return {name: texts[-1] for name, texts in parse_qs(query).items() if name in _FILES}


def redis_url() -> str:
    """Return the URL of the server (`settings.REDIS_LOCATOR` names this function).

    Raises:
        BrokerDown: when none is configured and the embedded one was never started here.
    """
    if settings.REDIS_URL:
        return str(settings.REDIS_URL)
    endpoint = embedded.recorded_endpoint(settings.EMBEDDED_REDIS_DIR)
    if endpoint is None:
        raise BrokerDown("No Redis is configured and the embedded one was never started: run `make run` first.")
    return endpoint.url
