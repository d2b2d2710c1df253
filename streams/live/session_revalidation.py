"""Revalidation of live sessions: revoking a key, or disabling a person's account, ends its open connections too."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from django.db import Error as DatabaseProblem

from core.database import checked_connections
from streams.access import identification
from streams.access.identification import current_rights
from streams.snapshot import holder
from synapse.auth.principal import EVERY_TYPE, Principal, Rights, sees
from synapse.catalog.stream_definitions import Snapshot
from synapse.problems import Unauthenticated
from synapse.runtime.repeated_failures import RepeatedFailures

# Intervals in seconds: to look whether the catalog changed, and to check all sessions even without a change, because
# keys expire.
_LOOK_EVERY, _ASK_EVERY = 0.25, 1.0
# Seconds: the interval at which the sessions and permissions of watching people are read from the database, and the
# time after which people have to reconnect in any case.
PEOPLE_EVERY, _PERSON_SECONDS = 2.0, 300.0

# A person's name and session key ("" when their ticket names no session).
Person = tuple[str, str]

logger = logging.getLogger(__name__)


class ViewerPermission:
    """The permission of one caller to watch streams. `is_good` updates `rights` from the current catalog."""

    def __init__(self, principal: Principal, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._principal = principal
        self._clock = clock
        self._until = clock() + _PERSON_SECONDS if principal.kind == "person" else float("inf")
        self._is_gone = False
        self.rights: Rights = principal.rights

    @property
    def person(self) -> Person | None:
        """The name and session of a watching person, None for other callers."""
        return (self._principal.name, self._principal.session) if self._principal.kind == "person" else None

    def renew_rights(self, rights: Rights | None) -> None:
        """Apply the person's current rights. None means that they logged out, or may no longer log in."""
        self._is_gone = rights is None
        if rights is not None:
            self._principal = replace(self._principal, rights=rights)

    @property
    def is_good(self) -> bool:
        """Whether the caller may still watch."""
        try:
            self.rights = current_rights(self._principal)
        except Unauthenticated:
            return False
        return not self._is_gone and self._clock() < self._until and self._may_watch()

    def _may_watch(self) -> bool:
        return True

    def may_see(self, stream: str) -> Callable[[str], bool] | None:
        """Return a function that says whether the caller may see an event type of a stream; None when all may be
        seen.
        """
        if self.rights.may("read", stream, EVERY_TYPE):
            return None
        return lambda event_type: sees(self.rights, stream, event_type)


class Guard:
    """Calls every session's check on the event loop, soon after a change of the catalog and once a second, and reads
    the current rights of people from the database.
    """

    def __init__(self) -> None:
        self._checks: dict[Callable[[], None], ViewerPermission] = {}
        self._task: asyncio.Task[None] | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._failures = RepeatedFailures()

    @contextmanager
    def calling(self, check: Callable[[], None], pass_: ViewerPermission) -> Iterator[None]:
        """Call `check` repeatedly during the block. `pass_` is the session's permission; a person's rights in it are
        renewed first.
        """
        self._checks[check] = pass_
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run_checks(), name="guard of the live tails")
        try:
            yield
        finally:
            del self._checks[check]

    async def _run_checks(self) -> None:
        seen: Snapshot | None = None
        asked, renewed = 0.0, time.monotonic()
        while self._checks:
            current, now = holder.current(), time.monotonic()
            if now - renewed >= PEOPLE_EVERY and (self._renewal is None or self._renewal.done()):
                renewed = now
                # Runs in a task of its own, so that a slow database does not delay the checks of keys.
                self._renewal = asyncio.create_task(self._renew_rights(), name="rights of watching people")
            if current is not seen or now - asked >= _ASK_EVERY:
                seen, asked = current, now
                for check in list(self._checks):
                    _run_check(check)
            await asyncio.sleep(_LOOK_EVERY)

    async def _renew_rights(self) -> None:
        those = {person for pass_ in self._checks.values() if (person := pass_.person)}
        if not those:
            return
        try:
            found = await asyncio.to_thread(_rights_of, those)
        except DatabaseProblem as problem:
            # People continue to watch with their last known rights, until they have to reconnect.
            if self._failures.is_new(name := type(problem).__name__):
                logger.warning("the rights of watching people cannot be checked: %s", name)
            return
        self._failures.end()
        for check, pass_ in list(self._checks.items()):
            if (person := pass_.person) in found:
                pass_.renew_rights(found[person])
                _run_check(check)


def _run_check(check: Callable[[], None]) -> None:
    """Run the check of one session. A failure is logged and does not affect other sessions."""
    try:
        check()
    except Exception:  # not hidden: it is logged
        logger.exception("checking the rights of one live session failed")


@checked_connections()
def _rights_of(those: set[Person]) -> Mapping[Person | None, Rights | None]:
    people = identification.recheck_people(those)
    return {person: None if principal is None else principal.rights for person, principal in people.items()}


guard = Guard()
