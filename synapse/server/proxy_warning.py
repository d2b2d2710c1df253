"""Tells the operator, once a process, of a proxy that is not trusted: all its callers would be one address."""

import logging

from synapse.server.config import ServerConfig

logger = logging.getLogger(__name__)

_MEANS = (
    "what it says of who asks is ignored, so all who come through it are one caller: they have one address, one rate "
    "and one share of connections, memory and threads together"
)


class ProxyWarning:
    """Writes one line, however often it is asked to."""

    def __init__(self) -> None:
        self._is_written = False

    def write(self, peer: str) -> None:
        """Warn that forwarding headers came from an address that is no trusted proxy."""
        if not self._is_written:
            self._is_written = True
            logger.warning(
                "A request from %s has forwarding headers (such as X-Forwarded-For), and SYNAPSE_TRUSTED_PROXIES does "
                "not name that address. If it is a proxy, %s. Set it to the addresses of your proxies.",
                peer,
                _MEANS,
            )

    def write_at_start(self, config: ServerConfig) -> None:
        """Warn when the settings speak of a proxy, and none is trusted."""
        origins = [origin for origin in config.csrf_trusted_origins if origin.startswith("https://")]
        if origins and not config.trusted_proxies.networks:
            logger.warning(
                "People come by %s, so a proxy speaks TLS, and SYNAPSE_TRUSTED_PROXIES names none: %s. Set it to the "
                "addresses of your proxies.",
                origins[0],
                _MEANS,
            )


warning = ProxyWarning()
