"""Those who watch are asked again whether they may: a key that is revoked ends its connections, too."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.principal import Principal
from core.problems import Unauthenticated
from core.rights import EVERY_TYPE, Rights, sees
from streams.access.standing import rights_now
from streams.definitions import Snapshot
from streams.snapshot import holder

# How often the catalog is looked at, and how often all are asked although it did not change: keys expire, too. Seconds.
_LOOK_EVERY, _ASK_EVERY = 0.25, 1.0
# A person's rights are known when they come. So that they are asked for again, they come back now and then.
_PERSON_SECONDS = 300.0


class Pass:
    """What lets one caller watch a stream. `rights` are those of the current catalog."""

    def __init__(self, principal: Principal, stream: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._principal = principal
        self._stream = stream
        self._clock = clock
        self._until = clock() + _PERSON_SECONDS if principal.kind == "person" else float("inf")
        self.rights: Rights = principal.rights

    @property
    def is_good(self) -> bool:
        """Whether the caller may still watch."""
        try:
            self.rights = rights_now(self._principal)
        except Unauthenticated:
            return False
        return self._clock() < self._until and self.rights.may("read", self._stream)

    @property
    def may_see(self) -> Callable[[str], bool] | None:
        """What says of which event types the caller may have events; None when of all."""
        if self.rights.may("read", self._stream, EVERY_TYPE):
            return None
        return lambda event_type: sees(self.rights, self._stream, event_type)


class Guard:
    """Calls everybody's check, on the event loop, soon after the catalog changed and once a second."""

    def __init__(self) -> None:
        self._checks: set[Callable[[], None]] = set()
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def calling(self, check: Callable[[], None]) -> Iterator[None]:
        """Call `check` for as long as the block lasts."""
        self._checks.add(check)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="guard of the live tails")
        try:
            yield
        finally:
            self._checks.discard(check)

    async def _run(self) -> None:
        seen: Snapshot | None = None
        asked = 0.0
        while self._checks:
            current, now = holder.current(), time.monotonic()
            if current is not seen or now - asked >= _ASK_EVERY:
                seen, asked = current, now
                for check in list(self._checks):
                    check()
            await asyncio.sleep(_LOOK_EVERY)


guard = Guard()
