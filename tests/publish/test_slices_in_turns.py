"""Slices of a batch that are read as they are needed: others go first when that took long, before it is checked."""

from synapse.auth.principal import SYSTEM
from synapse.catalog.stream_definitions import Snapshot, StreamDefinition
from synapse.http.exchange import Request
from synapse.publishing import pipeline
from synapse.publishing.body import Body, Slice
from synapse.runtime.turn_queue import TURN


def test_others_go_first_between_reading_a_long_slice_and_checking_it(monkeypatch):
    now = 0.0
    order = []
    check = pipeline.validation.check

    def work(name):
        nonlocal now
        now += TURN * 1.1
        order.append(name)

    def slices():
        for name in ("a", "b"):
            work(f"read {name}")
            yield Slice([{"event_type": name}])

    def slow_check(stream, value, **options):
        work(f"check {value['event_type']}")
        return check(stream, value, **options)

    monkeypatch.setattr(pipeline.time, "monotonic", lambda: now)
    monkeypatch.setattr(pipeline.validation, "check", slow_check)
    catalog = Snapshot(version=1, streams={"s": StreamDefinition(name="s", unknown_event_types="accept")})
    request = Request(method="POST", path="", params={"stream": "s"}, principal=SYSTEM)

    conversation = pipeline.validate_events(request, catalog, body=Body(slices(), batch=True))
    while next(conversation, None) is not None:
        order.append("others")

    assert order[:7] == ["others", "read a", "others", "check a", "others", "read b", "others"]
