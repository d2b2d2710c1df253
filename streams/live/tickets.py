"""Tickets for live routes: a browser's EventSource cannot set headers, so its credential is part of the address.

Addresses end up in logs and histories. So a ticket is valid once, for 30 seconds, for one stream or one other live
route; Redis keeps only its digest.
"""

import asyncio
import hashlib
import hmac
import secrets
from typing import Any

import orjson

from core.database import checked_connections
from streams import connections
from streams.access import has_only_session, identification, identify
from streams.access.identification import principal_of_key
from streams.snapshot import holder
from synapse.auth.api_key import API_KEY, AUTHORIZATION
from synapse.auth.principal import Principal
from synapse.http.exchange import Request
from synapse.problems import Unauthenticated
from synapse.redis import Conversation, answer, ask
from synapse.redis.commands import shared_values

PARAMETER = "ticket"
SECONDS = 30
# In place of a stream's name: the names of the other routes for which tickets are issued. No stream can have such a
# name.
STATISTICS, GATEWAY = "/stats", "/live"
_BYTES = 32


def issue_ticket(stream: str, by: Principal) -> Conversation[dict[str, Any]]:
    """Issue a ticket with which a caller may watch a stream. Return the body of the answer."""
    ticket = secrets.token_urlsafe(_BYTES)
    value = {
        "stream": stream,
        "kind": by.kind,
        "name": by.name,
        "key": by.key,
        "session": _seal_session(by.session.encode(), ticket).hex(),
    }
    (reply,) = yield from ask([shared_values.keep_ticket(_digest_of(ticket), orjson.dumps(value), seconds=SECONDS)])
    answer(reply, stream)
    return {"ticket": ticket, "expires_in": SECONDS} | ({} if stream in (STATISTICS, GATEWAY) else {"stream": stream})


async def identify_watcher(request: Request) -> Principal:
    """Return the caller of a live request, of one stream or of statistics; raises as `identify_caller`."""
    return await identify_caller(request, request.params.get("stream", STATISTICS))


async def identify_watcher_of_many(request: Request) -> Principal:
    """Return the caller of a request to watch many streams; raises as `identify_caller`."""
    return await identify_caller(request, GATEWAY)


async def identify_caller(request: Request, stream: str) -> Principal:
    """Return the caller of a live request: by a key, a session of the admin, or a ticket for the stream.

    Raises:
        Unauthenticated: when none of them is valid.
        RedisUnavailable: when Redis cannot be used to check the ticket.
    """
    shows_key = request.headers.get(AUTHORIZATION) or request.headers.get(API_KEY)
    ticket = request.query.get(PARAMETER)
    if ticket is None or shows_key:
        return await identify_person_or_key(request)
    address = request.principal.address
    if (person := await _person_of_session(request)) is not None:
        return person
    (reply,) = await connections.async_executor().run(ask([shared_values.take_ticket(_digest_of(ticket))]))
    value = orjson.loads(answer(reply, stream, absent=None) or b"{}")
    if value.get("stream") != stream:
        raise _bad_ticket()
    return await _restore_caller(value, ticket, address)


async def identify_person_or_key(request: Request) -> Principal:
    """Return the caller of a request on the event loop: by a session of the admin, or a key.

    Raises:
        Unauthenticated: when neither is valid.
    """
    person = await _person_of_session(request)
    return identify(request.headers, address=request.principal.address) if person is None else person


async def _person_of_session(request: Request) -> Principal | None:
    if not has_only_session(request.headers):
        return None
    return await asyncio.to_thread(identification.person_of_session, request.headers, request.principal.address)


async def _restore_caller(value: dict[str, Any], ticket: str, address: str) -> Principal:
    """Return the caller to whom a ticket was issued, with their current rights."""
    match value["kind"]:
        case "service":
            key = holder.current().keys_by_id.get(value["key"])
            if key is None:
                raise _bad_ticket()
            return principal_of_key(key, address=address)
        case "person":
            session = _seal_session(bytes.fromhex(value["session"]), ticket).decode()
            person = await asyncio.to_thread(_recheck_person, value["name"], session, address)
            if person is None:
                raise _bad_ticket()
            return person
    return identify({}, address=address)


@checked_connections()
def _recheck_person(name: str, session: str, address: str) -> Principal | None:
    return identification.recheck_person(name, session, address)


def _bad_ticket() -> Unauthenticated:
    return Unauthenticated(
        f"The ticket is not good: it is good once, for {SECONDS} seconds, for one stream, for many, or for "
        "statistics. Get a new one with POST /streams/STREAM/live-ticket, POST /live-ticket or POST /stats/live-ticket."
    )


def _seal_session(session: bytes, ticket: str) -> bytes:
    """Encrypt or decrypt a session key for Redis, where only the holder of the ticket can read it.

    It is combined (XOR) with a one-time key derived from the ticket's 256 random bits. A session key longer than that
    gives an empty result: such people are checked by their name.
    """
    key = hmac.digest(ticket.encode(), b"session of a live ticket", "sha256")
    if len(session) > len(key):
        return b""
    return bytes(one ^ other for one, other in zip(session, key, strict=False))


def _digest_of(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
