"""Files that commands are given: opened and written, and what may go wrong, said in one line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from django.core.management.base import CommandError

# Of what a command was given, nothing could be used: not the same as an answer that is no.
UNUSABLE = 2


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """Open a file for reading, the standard input for “-”.

    Raises:
        CommandError: when it cannot be opened or read.
    """
    try:
        if name == "-":
            yield sys.stdin.buffer
        else:
            with Path(name).open("rb") as file:
                yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise CommandError(f"{_called(name)} cannot be read: {_reason(error)}.", returncode=UNUSABLE) from None


def write(name: str, text: str) -> None:
    """Write a file, in place of one that is there.

    Raises:
        CommandError: when it cannot be written.
    """
    try:
        Path(name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{name} cannot be written: {_reason(error)}.", returncode=UNUSABLE) from None


def _called(name: str) -> str:
    return "The standard input" if name == "-" else name


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
