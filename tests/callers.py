"""Callers with rights that a test chooses, without a key."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from streams.access import identification
from synapse.auth.principal import Principal, Rights


@contextmanager
def callers_with(rights: Rights) -> Iterator[None]:
    """Give everybody these rights, on either way, for as long as the block lasts."""
    real = identification.identify

    def identify(*arguments: Any, **options: Any) -> Principal:
        return replace(real(*arguments, **options), rights=rights)

    with (
        patch("streams.access.identify", identify),
        patch("streams.access.authentication.identify", identify),
        patch("streams.live.tickets.identify", identify),
    ):
        yield
