"""The rights of live sessions are checked again, each session's by itself."""

import asyncio
from types import SimpleNamespace

from django.db import OperationalError

from streams.live import session_revalidation


def test_a_check_that_fails_leaves_the_other_sessions_theirs(caplog, monkeypatch):
    # A catalog that is another one at each look.
    monkeypatch.setattr(session_revalidation, "holder", SimpleNamespace(current=object))
    guard, checked, anybody = session_revalidation.Guard(), asyncio.Event(), SimpleNamespace(person=None)

    def fail():
        raise RuntimeError("a bug")

    async def run():
        with guard.calling(fail, anybody), guard.calling(checked.set, anybody):
            await asyncio.wait_for(checked.wait(), 20)
            checked.clear()
            await asyncio.wait_for(checked.wait(), 20)

    asyncio.run(run())

    assert "checking the rights of one live session failed" in caplog.text


def test_rights_that_cannot_be_asked_for_are_logged_once_while_that_lasts(caplog, monkeypatch):
    guard, answers = session_revalidation.Guard(), iter([OperationalError("away")] * 2 + [{}, OperationalError("away")])

    def rights_of(people):
        if isinstance(answer := next(answers), Exception):
            raise answer
        return answer

    async def run():
        with guard.calling(lambda: None, SimpleNamespace(person="ada")):
            for _ in range(4):
                await guard._renew_rights()

    monkeypatch.setattr(session_revalidation, "holder", SimpleNamespace(current=object))
    monkeypatch.setattr(session_revalidation, "_rights_of", rights_of)
    asyncio.run(run())

    assert caplog.text.count("the rights of watching people cannot be checked: OperationalError") == 2
