"""A ledger in files that survive every kill. Each fact is one line, written with one call.

Each writer opens its file for appending, so the system appends whole lines one after the other. A written line survives
the death of its writer, but not a failure of the machine.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_ACKNOWLEDGED, _HANDLED = "acknowledged", "handled"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The fact that a publisher was told the entry id of its stored event. `again`: it had to send the event more than
    once.
    """

    name: str
    id: str
    again: bool


@dataclass(frozen=True, slots=True)
class Handled:
    """The fact that a worker began an attempt at an event, or that the attempt succeeded."""

    what: Literal["began", "done"]
    name: str
    key: str
    id: str


class Ledger:
    """The ledger's files in the folder of a run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def acknowledge(self, facts: list[Acknowledged]) -> None:
        """Append acknowledgements that a publisher received."""
        file = os.open(self._file(_ACKNOWLEDGED), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, "".join(f"{fact.name} {fact.id} {fact.again:d}\n" for fact in facts).encode())
        finally:
            os.close(file)

    def open_handling(self) -> "HandlingLedger":
        """Open the workers' file for writing."""
        return HandlingLedger(self._file(_HANDLED))

    def acknowledged(self) -> Iterator[Acknowledged]:
        """Yield every acknowledgement, in the order in which publishers got them."""
        for name, id_, again in _rows(self._file(_ACKNOWLEDGED)):
            yield Acknowledged(name, id_, again == "1")

    def handled(self) -> Iterator[Handled]:
        """Yield every beginning and end of an attempt, in the order in which workers wrote them."""
        for what, name, key, id_ in _rows(self._file(_HANDLED)):
            yield Handled("began" if what == "began" else "done", name, key, id_)

    def _file(self, name: str) -> Path:
        return self._folder / name


class HandlingLedger:
    """The workers' file, opened for appending."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, fact: Handled) -> None:
        """Append one line about an attempt."""
        os.write(self._file, f"{fact.what} {fact.name} {fact.key} {fact.id}\n".encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _rows(path: Path) -> Iterator[list[str]]:
    if path.exists():
        with path.open(encoding="ascii") as lines:
            for line in lines:
                yield line.split()
