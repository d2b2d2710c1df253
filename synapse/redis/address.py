"""The address of the Redis server in a URL: one server, the primary that Sentinels name, or a cluster."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Literal
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

Kind = Literal["server", "sentinel", "cluster"]
NodeAddress = tuple[str, int]

FORMS = (
    "a URL that begins with redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://, redis+cluster://"
    " or rediss+cluster://"
)
_KINDS: Mapping[str, Kind] = {"": "server", "sentinel": "sentinel", "cluster": "cluster"}
_PORTS: Mapping[Kind, int] = {"server": 6379, "sentinel": 26379, "cluster": 6379}
# The query parameters that redis-py accepts. Any other would fail only at the first connection.
_OF_ALL = ("db", "client_name")
_OF_TLS = (
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_password",
    "ssl_cert_reqs",
    "ssl_check_hostname",
    "ssl_ciphers",
)
_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")
_OF_SENTINEL = ("sentinel_username", "sentinel_password")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The address in a URL.

    `places` are the hosts and ports in it, none for a unix socket. `service` is the Sentinels' name of the primary, and
    `logins` are the user and password for the Sentinels themselves. `is_verified` is true when TLS checks that the
    certificate is for the host in the URL.
    """

    kind: Kind
    is_tls: bool
    is_verified: bool = True
    places: tuple[NodeAddress, ...]
    service: str = ""
    logins: Mapping[str, str] = field(default_factory=dict)
    _before: str
    _behind: str

    def url_of(self, place: NodeAddress) -> str:
        """Return the URL of one server, with the user, password, database and TLS parameters that all of them share."""
        return f"{self._before}{_format_node(place)}{self._behind}"

    @property
    def is_local(self) -> bool:
        """Whether the connection stays on this machine."""
        return all(is_loopback(host) for host, _ in self.places)

    def __str__(self) -> str:
        """Return the address for display, without user and password."""
        if not self.places:
            return urlsplit(self._before).path
        places = ",".join(map(_format_node, self.places))
        match self.kind:
            case "sentinel":
                return f"{self.service} as the Sentinels at {places} say"
            case "cluster":
                return f"{places} (a cluster)"
        return places


@lru_cache(maxsize=16)
def parse_url(url: str) -> Address:
    """Parse a URL.

    Raises:
        ValueError: when the URL is invalid; the message describes the expected form.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # an incomplete IPv6 address
        raise ValueError(FORMS) from None
    scheme, _, kind = parts.scheme.partition("+")
    if kind not in _KINDS or scheme not in ("redis", "rediss", "unix") or (scheme == "unix" and kind):
        raise ValueError(FORMS)
    is_tls = scheme == "rediss"
    asked = _parse_parameters(parts.query, kind=_KINDS[kind], is_tls=is_tls)
    login, _, hosts = parts.netloc.rpartition("@")
    before = f"{scheme}://{login}@" if login else f"{scheme}://"
    if scheme == "unix":
        url = f"{before}{hosts}{parts.path}"
        return Address(kind="server", is_tls=False, places=(), _before=url, _behind=_query_string(asked))
    places = tuple(_parse_node(host, _PORTS[_KINDS[kind]]) for host in hosts.split(","))
    service, database = _parse_path(parts.path, _KINDS[kind])
    if kind == "cluster" and int(asked.get("db", database)):
        raise ValueError("no database other than 0: a cluster has only that one")
    if len(places) > 1 and "" in hosts.split(","):
        raise ValueError("a host before and after each comma")
    if len(places) > 1 and not kind:
        raise ValueError("one host, or redis+sentinel:// or redis+cluster://, which take several")
    return Address(
        kind=_KINDS[kind],
        is_tls=is_tls,
        is_verified=asked.get("ssl_cert_reqs", "required") == "required"
        and asked.get("ssl_check_hostname", "true") in _YES,
        places=places,
        service=service,
        # Parameters for the Sentinels alone: removed before the rest becomes the query again.
        logins=MappingProxyType({name[9:]: asked.pop(name) for name in _OF_SENTINEL if name in asked}),
        _before=before,
        _behind=f"/{database}{_query_string(asked)}",
    )


def _parse_parameters(query: str, *, kind: Kind, is_tls: bool) -> dict[str, str]:
    known = (*_OF_ALL, *(_OF_TLS if is_tls else ()), *(_OF_SENTINEL if kind == "sentinel" else ()))
    asked = {name: texts[-1] for name, texts in parse_qs(query, keep_blank_values=True).items()}
    for name, text in asked.items():
        if name in _OF_TLS and not is_tls:
            raise ValueError(f"rediss:// where there is “{name}”")
        if name not in known:
            raise ValueError(f"none but {', '.join(known)} behind the question mark")
        if not text:
            raise ValueError(f"a value for “{name}”")
    _check_choice(asked, "ssl_cert_reqs", ("none", "optional", "required"))
    _check_choice(asked, "ssl_check_hostname", (*_YES, *_NO))
    if "db" in asked and not (asked["db"].isascii() and asked["db"].isdigit()):
        raise ValueError("a number as “db”")
    return asked


def _check_choice(asked: Mapping[str, str], name: str, choices: tuple[str, ...]) -> None:
    if name in asked and asked[name] not in choices:
        raise ValueError(f"{', '.join(choices)} as “{name}”")


def _parse_node(text: str, default: int) -> NodeAddress:
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port
    except ValueError:  # the port is not a number, or the IPv6 address is incomplete
        raise ValueError(f"{FORMS}, with valid hosts and ports") from None
    if port == 0 or parts.path:
        raise ValueError(f"{FORMS}, with valid hosts and ports")
    return unquote(parts.hostname or "localhost"), port or default


def _parse_path(path: str, kind: Kind) -> tuple[str, str]:
    """Parse the path to the name of the service and the number of the database."""
    names = [unquote(name) for name in path.split("/") if name]
    service = ""
    if kind == "sentinel":
        if not names:
            raise ValueError("redis+sentinel://HOST:PORT,HOST:PORT/SERVICE, with the Sentinels' name of the primary")
        service = names.pop(0)
    database = names.pop(0) if names else "0"
    if names or not (database.isascii() and database.isdigit()):
        raise ValueError("the number of a database at the end, or nothing")
    return service, database


def _query_string(asked: Mapping[str, str]) -> str:
    return f"?{urlencode(asked, quote_via=quote)}" if asked else ""


def _format_node(place: NodeAddress) -> str:
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Say whether a server that listens on `host` can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
