"""Hostile callers, each a coroutine that continues until its time is over and counts its answers.

Run as `python -m benchmarks.attacks.attackers NAME`: the order comes as JSON on the standard input, the counts of
answers go as JSON to the standard output.
"""

import asyncio
import json
import os
import resource
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import uvloop
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from benchmarks.events import JSON, STREAM, compact

# The attackers' address, which differs from the bystander's: all of 127.0.0.0/8 is this machine (RFC 5735, 3).
ADDRESS = "127.0.0.66"
OTHER_STREAM, RULES = "platform-events", "rules"
MEBIBYTE = 1024 * 1024
_PATIENCE = ClientTimeout(total=30)


@dataclass(slots=True, kw_only=True)
class Attack:
    """One running attack.

    Attributes:
        url: Where the server is.
        key: A good key of a service that may read `STREAM`, and publish to `OTHER_STREAM` and `RULES`.
        person: The name of a person who may log in, and `password`.
        answers: The number of answers with each status, or kind of error.
    """

    url: str
    key: str
    person: str
    password: str
    session: ClientSession
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def place(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 80

    async def ask(self, method: str, path: str, body: bytes = b"", *, keyed: bool = False, kind: str = JSON) -> bytes:
        """Send one request and count the answer; return its body."""
        headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {self.key}"} if keyed else {})
        try:
            async with self.session.request(method, self.url + path, data=body, headers=headers) as answer:
                text = await answer.read()
                self.answers[str(answer.status)] += 1
                return text
        except (ClientError, OSError, TimeoutError) as error:
            self.answers[type(error).__name__] += 1
            await asyncio.sleep(0.05)
            return b""


async def post_costly_schemas(attack: Attack) -> None:
    """Back-test schemas of 45 KB that are as costly to check as possible, with a key that may only read."""
    leaf = {"enum": [f"{number:04}" + "x" * 40 for number in range(800)]}
    schema = {
        "$defs": {
            "a": {"allOf": [leaf, {"additionalProperties": {"$ref": "#/$defs/a"}}], "items": {"$ref": "#/$defs/a"}}
        },
        "$ref": "#/$defs/a",
    }
    tree = {"type": "object", "properties": {f"p{number}": {"anyOf": [{"$ref": "#"}] * 8} for number in range(40)}}
    bodies = [compact(each) for each in (schema, tree)]
    await _together(
        8,
        lambda number: attack.ask(
            "POST",
            f"/streams/{STREAM}/event-types/inference-complete/backtest",
            bodies[number % len(bodies)],
            keyed=True,
        ),
    )


async def publish_refused_trees(attack: Attack) -> None:
    """Publish expression trees of nine levels with an error in the deepest, with one key."""
    tree: object = "an error"
    for _ in range(9):
        tree = {"op": "plus", "left": tree, "right": 1}
    body = compact({"event_type": "rule-changed", "rule": tree})
    await _together(8, lambda _: attack.ask("POST", f"/events/{RULES}", body, keyed=True))


async def publish_costly_events(attack: Attack) -> None:
    """Publish events on eight connections that are as costly to check as is accepted, good ones and bad ones."""
    shapes = [
        {
            "kind": f"kind-{number % 60}",
            f"value_{number % 60}": f"v{number % 60}-{number}",
            "at": "2026-01-01T00:00:00Z",
        }
        for number in range(200)
    ]
    bodies = [
        compact({"event_type": "shapes-drawn", "shapes": shapes}),
        compact({"event_type": "shapes-drawn", "shapes": [*shapes[:-1], {**shapes[-1], "at": "yesterday"}]}),
        compact({"event_type": "grid-measured", "cells": [[67.5]] * 490}),
        compact({"event_type": "grid-measured", "cells": [[66.5]] * 489 + [[-1.5]]}),
    ]
    await _together(8, lambda number: attack.ask("POST", f"/events/{RULES}", bodies[number % len(bodies)], keyed=True))


async def log_in_with_invented_names(attack: Attack) -> None:
    """Log in sixty times at once, with a new name each time."""
    names = count()
    await _together(60, lambda _: _log_in(attack, f"guess-{next(names)}", "x" * 64))


async def download_generated_code(attack: Attack) -> None:
    """Download a contract as Python 24 times at once, with one session."""
    await _log_in(attack, attack.person, attack.password)
    await _together(
        24, lambda number: attack.ask("GET", f"/admin/contracts/contract/{number % 16 + 1}/versions/1/python/")
    )


async def hold_bodies(attack: Attack) -> None:
    """Send all but one byte of 8 MiB on 64 connections without a key, and keep each open as long as the server
    allows.
    """
    paths = (f"/events/{STREAM}", "/registry/subjects/any/versions", "/admin/login/", "/v1/read")
    body = b" " * (8 * MEBIBYTE - 1)

    async def once(number: int) -> None:
        head = (
            f"POST {paths[number % len(paths)]} HTTP/1.1\r\nhost: localhost\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body) + 1}\r\n\r\n"
        )
        await _raw(attack, head.encode() + body)

    await _together(64, once)


async def hold_connections(attack: Attack) -> None:
    """Open 4,000 connections without sending requests, and reopen those that are closed."""

    async def once(_: int) -> None:
        await _raw(attack, b"")

    await _together(4000, once)


async def hold_live_seats(attack: Attack) -> None:
    """Watch a stream 1,000 times with one key."""
    head = f"GET /streams/{STREAM}/live HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {attack.key}\r\n\r\n"

    async def once(_: int) -> None:
        await _raw(attack, head.encode())

    await _together(1000, once)


async def make_groups(attack: Attack) -> None:
    """Pull with a new group's name each time, with one key."""
    names = count()

    async def once(_: int) -> None:
        order = {
            "stream": STREAM,
            "consumer_group": f"g{os.getpid()}-{next(names)}",
            "consumer_name": "c",
            "block_ms": 0,
        }
        await attack.ask("POST", "/v1/read", compact(order), keyed=True)

    await _together(16, once)


async def post_batches_of_nothing(attack: Attack) -> None:
    """Publish 24 batches of 8 MiB at once that contain only empty objects, with a key and without."""
    body = b"[" + b"{}," * (8 * MEBIBYTE // 3 - 2) + b"{}]"
    await _together(24, lambda number: attack.ask("POST", f"/events/{OTHER_STREAM}", body, keyed=number % 2 == 0))


async def post_full_batches(attack: Attack) -> None:
    """Publish eight batches at once, each with as many valid events as a batch may have, with one key."""
    event = compact({"event_type": "user-action", "user_id": "user_42", "action": "login", "note": "x" * 600})
    body = b"[" + b",".join([event] * 9_000) + b"]"
    await _together(8, lambda _: attack.ask("POST", f"/events/{OTHER_STREAM}", body, keyed=True))


async def read_with_filters(attack: Attack) -> None:
    """Search the stream on 64 connections for a value that it does not hold, with one key."""
    path = f"/streams/{STREAM}/messages?count=1000&event_type=nothing-like-it"
    await _together(64, lambda _: attack.ask("GET", path, keyed=True))


ATTACKS: dict[str, Callable[[Attack], Coroutine[Any, Any, None]]] = {
    "costly schemas": post_costly_schemas,
    "refused trees": publish_refused_trees,
    "costly events": publish_costly_events,
    "log-ins": log_in_with_invented_names,
    "code downloads": download_generated_code,
    "held bodies": hold_bodies,
    "batches of nothing": post_batches_of_nothing,
    "full batches": post_full_batches,
    "idle connections": hold_connections,
    "live seats": hold_live_seats,
    "new groups": make_groups,
    "filtered reads": read_with_filters,
}


async def _together(callers: int, once: Callable[[int], Awaitable[object]]) -> None:
    """Let a number of callers repeat an action concurrently, until they are cancelled."""

    async def repeat(number: int) -> None:
        while True:
            await once(number)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for number in range(callers):
            group.create_task(repeat(number))


async def _log_in(attack: Attack, name: str, password: str) -> None:
    """Log in as a browser does: get the form with its token, and send it."""
    try:
        async with attack.session.get(f"{attack.url}/admin/login/") as page:
            await page.read()
            token = page.cookies["csrftoken"].value if "csrftoken" in page.cookies else "t" * 32
        form = {"csrfmiddlewaretoken": token, "username": name, "password": password, "next": "/admin/"}
        head = {"Cookie": f"csrftoken={token}", "Referer": f"{attack.url}/admin/login/"}
        async with attack.session.post(
            f"{attack.url}/admin/login/", data=form, headers=head, allow_redirects=False
        ) as answer:
            await answer.read()
            attack.answers[str(answer.status)] += 1
    except (ClientError, OSError, TimeoutError) as error:
        attack.answers[type(error).__name__] += 1
        await asyncio.sleep(0.05)


async def _raw(attack: Attack, request: bytes) -> None:
    """Open a connection, send bytes, and hold it until the server closes it."""
    try:
        reader, writer = await asyncio.open_connection(*attack.place, local_addr=(ADDRESS, 0))
    except OSError as error:
        attack.answers[type(error).__name__] += 1
        await asyncio.sleep(0.5)
        return
    attack.answers["opened"] += 1
    try:
        writer.write(request)
        said = await reader.read(12)
        attack.answers[said[9:12].decode(errors="replace") or "closed"] += 1
        while await reader.read(65536):
            pass
    except OSError as error:
        attack.answers[type(error).__name__] += 1
    finally:
        writer.close()
    await asyncio.sleep(0.05)


async def run(name: str, order: dict[str, Any]) -> dict[str, int]:
    """Attack for `seconds`; return the number of each kind of answer."""
    connector = TCPConnector(limit=0, local_addr=(ADDRESS, 0))
    async with ClientSession(connector=connector, timeout=_PATIENCE) as session:
        attack = Attack(
            url=order["url"],
            key=order["hostile_key"],
            person=order["person"],
            password=order["password"],
            session=session,
        )
        try:
            async with asyncio.timeout(order["seconds"]):
                await ATTACKS[name](attack)
        except TimeoutError:
            pass
        return dict(attack.answers)


if __name__ == "__main__":
    os.nice(19)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
    json.dump(uvloop.run(run(sys.argv[1], json.load(sys.stdin))), sys.stdout)
