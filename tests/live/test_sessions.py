"""What waits for a connection while the rights of its caller change, with no stream in Redis."""

import asyncio
from contextlib import aclosing
from types import SimpleNamespace

import pytest

from streams.live import followed_streams, gateway
from streams.live.gateway import GatewaySession
from synapse.auth.principal import EVERY_TYPE, Principal
from synapse.filters import compile_filter
from synapse.live import Frame
from synapse.live.positions import encode_position
from synapse.live.query import TailQuery
from synapse.live.watcher import WakeUps
from synapse.wire.ids import EntryId


class Reading:
    """The right to read some event types of every stream."""

    def __init__(self, *types):
        self.types = types

    def may(self, action, stream, event_type=None):
        return event_type is None or EVERY_TYPE in self.types or event_type in self.types

    def has(self, scope):
        return False


def frame(number, event_type):
    id_ = EntryId(number, 0)
    part = encode_position("orders", id_)
    return Frame(stream="orders", id=id_, part=part, event_type=event_type, body=b'"event":{}}')


@pytest.fixture
def session(monkeypatch):
    """A session that follows a stream, all whose stored events were read."""
    loops = SimpleNamespace(
        wake_ups=WakeUps(), stopping=False, join=lambda stream: SimpleNamespace(stream=stream), leave=lambda _: None
    )
    for module in (gateway, followed_streams):
        monkeypatch.setattr(module, "tails", lambda: loops)
    monkeypatch.setattr(gateway, "holder", SimpleNamespace(current=lambda: SimpleNamespace(streams={})))

    def session(query, *types):
        caller = Principal(kind="person", name="ada", rights=Reading(*types))
        session = GatewaySession(caller)
        session.followed.add("orders", query, is_named=True)
        session.followed.behind.clear()
        session.positions.set("orders", EntryId(0, 0))
        session._apply_rights()
        return session

    return session


def came(session, count):
    """Return the numbers of the events that come, at least so many."""

    async def next_items():
        async with aclosing(session.items()) as batches:
            items = await anext(batches)
            for item in items:
                session.positions.advance(item)
            found.extend(item.id.ms for item in items)

    found: list[int] = []
    while len(found) < count:
        asyncio.run(next_items())
    return found


@pytest.mark.parametrize("filter_", ["", "event_type != ''"])
@pytest.mark.parametrize("before", [(EVERY_TYPE,), ("placed", "paid")])
def test_an_event_that_waits_is_left_out_when_its_type_may_not_be_read_any_more(session, filter_, before):
    query = TailQuery(filter=compile_filter(filter_) if filter_ else None)
    watching = session(query, *before)
    for number, event_type in enumerate(("placed", "paid", "placed", ""), 1):
        watching.followed.watcher.put(frame(number, event_type))

    watching._permission.renew_rights(Reading("placed"))
    watching._apply_rights()

    assert came(watching, 2) == [1, 3]


def test_an_event_that_waits_comes_when_all_types_may_be_read_again(session):
    watching = session(TailQuery(), EVERY_TYPE)
    watching.followed.watcher.put(frame(1, "paid"))
    for types in (("placed",), (EVERY_TYPE,)):
        watching._permission.renew_rights(Reading(*types))
        watching._apply_rights()

    assert came(watching, 1) == [1]
