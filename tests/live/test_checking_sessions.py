"""The rights of live sessions are checked again, each session's by itself."""

import asyncio
from types import SimpleNamespace

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
