"""Creation of a reader from the arguments of `subscribe`."""

import os
import re
import secrets
import socket

from deepiri_modelkit.names import check_name
from deepiri_modelkit.streaming.connection import Server
from deepiri_modelkit.streaming.subscription.group import GroupReader
from deepiri_modelkit.streaming.subscription.link import Link
from deepiri_modelkit.streaming.subscription.plain import PlainReader
from deepiri_modelkit.streaming.subscription.reader import Reader

_START = re.compile(r"\$|[0-9]{1,20}(?:-[0-9]{1,20})?")


def open_reader(
    server: Server,
    *,
    stream: str,
    group: str | None,
    consumer: str | None,
    start: str,
    count: int,
    block_ms: int,
    claim_idle_ms: int | None,
) -> Reader:
    """Create the reader of a stream, with or without a group. Nothing is sent yet.

    Raises:
        InvalidName: when the name of the group or the consumer is not valid.
        ValueError: when another argument is not valid.
    """
    if consumer is not None and group is None:
        raise ValueError("A consumer_name means nothing without a consumer_group.")
    if _START.fullmatch(start) is None:
        raise ValueError(f"start is an entry id, “0” or “$”, not {start!r}.")
    if count < 1 or block_ms < 1 or (claim_idle_ms is not None and claim_idle_ms < 1):
        raise ValueError("count, block_ms and claim_idle_ms are at least 1.")
    if group is None:
        link = Link(server, block_ms=block_ms, title=f"modelkit:{stream}")
        return PlainReader(link, stream=stream, start=start, count=count, block_ms=block_ms)
    group = check_name("consumer group", group)
    name = _make_consumer_name() if consumer is None else check_name("consumer", consumer)
    return GroupReader(
        Link(server, block_ms=block_ms, title=f"modelkit:{stream}:{group}:{name}"),
        stream=stream,
        group=group,
        consumer=name,
        start=start,
        count=count,
        block_ms=block_ms,
        claim_idle_ms=claim_idle_ms,
        # A generated name is unique.
        look_for_twin=consumer is not None,
    )


def _make_consumer_name() -> str:
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:60] or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(4)}"
