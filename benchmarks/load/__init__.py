"""Sending requests as fast as they are answered: with wrk when it is installed, else with a small program of ours."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import own, wrk
from benchmarks.load.values import Request, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """A load generator. `note` is a remark for readers of its values."""

    name: str
    send: Callable[[Request, int, int], Result]
    note: str = ""


def generator(folder: Path) -> Generator:
    """Return the best available generator. It keeps its files in `folder`."""
    binary = shutil.which("wrk")
    if binary is None:
        return Generator(
            name="benchmarks.load.asyncio_client",
            send=own.send,
            note="wrk is not installed (Debian package wrk): the load came from a Python program, which is slower "
            "than Synapse and hides part of its speed",
        )
    return Generator(
        name=wrk.version(binary),
        send=lambda request, connections, seconds: wrk.send(binary, folder, request, connections, seconds),
    )
