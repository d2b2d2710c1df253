"""Free TCP ports of this machine."""

import errno
import socket


def is_free(host: str, port: int) -> bool:
    """Say whether a server can listen on `host:port` without colliding with another one.

    Raises:
        OSError: when this machine has no such address, or the port is for privileged users only.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with socket.socket(family) as listener:
        # A port that was in use until a moment ago (TIME_WAIT) counts as free, as it does for the server.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    # macOS lets a program bind 127.0.0.1 beside a server on all addresses, and diverts its callers.
    return not _someone_answers(family, address)


def any_free(host: str) -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server((host, 0)) as listener:
        return int(listener.getsockname()[1])


def local_host_for(host: str) -> str:
    """Return the host name at which this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound


def _someone_answers(family: int, address: tuple[object, ...]) -> bool:
    host, *rest = address
    with socket.socket(family) as caller:
        caller.settimeout(1)
        return caller.connect_ex((local_host_for(str(host)), *rest)) == 0
