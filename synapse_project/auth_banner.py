"""Who gets in, as `up` says it: where that is everybody, loudly."""

import ipaddress

OPEN = "open"
_CLOSED = "A key is needed for all but the admin:  manage.py issue_key SERVICE  prints one (docs/access.md)."


def is_open(auth: str) -> bool:
    """Say whether everybody gets in."""
    return auth == OPEN


def said(auth: str, host: str) -> str:
    """Return who gets in where the web server listens on `host`, in words."""
    if not is_open(auth):
        return _CLOSED
    lines = [
        f"OPEN: {_who(host)} may publish, read and change everything, without a key.",
        "To close it:  make run SYNAPSE_AUTH=required  and a key for each service:  manage.py issue_key SERVICE",
    ]
    return "\n".join(f"  !!  {line}" for line in lines)


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _who(host: str) -> str:
    if is_loopback(host):
        return "every program on this machine"
    return f"whoever reaches this machine over the network (HOST is {host})"
