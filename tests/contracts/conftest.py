"""How much time comparing schemas has, where what it finds is of interest and not how long it took."""

import time
from types import SimpleNamespace

import pytest

from contracts.compatibility import budget, checking


@pytest.fixture(autouse=True)
def own_time(monkeypatch):
    """Let a comparison have its time on the processor: what else the machine does takes nothing of it."""
    for module in (budget, checking):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=time.thread_time))
