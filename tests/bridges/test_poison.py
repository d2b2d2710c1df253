"""An event that ends its handler's process every time: it has its attempts, no more, and the others never notice."""

import pytest

from bridges.sinks.handler import HandlerConfig, HandlerSink
from streams import connections
from synapse.delivery.retry import Policy
from synapse.redis.commands import dead_letters as dead_letter_commands
from synapse.runtime.backoff import Backoff
from tests.bridges.cast import PLACE, STREAM, places, publish
from tests.bridges.sinks import definition

ATTEMPTS = 3


@pytest.fixture
def sink(handlers, tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_FILE", str(tmp_path / "written-down"))
    config = HandlerConfig.read({"handler": "tests.bridges.shop.moody"})
    sink = HandlerSink.open(config, definition("handler"), stopping=lambda: False)
    yield sink
    sink.close()


def test_poison_is_dead_after_exactly_its_attempts_and_the_others_are_handled_once(redis, bridge, sink, tmp_path):
    before = publish(redis, 20)
    (poison,) = publish(redis, 1, mood="die", times=1000)
    after = publish(redis, 20)
    at_once = Policy(most_attempts=ATTEMPTS, backoff=Backoff(base=0, cap=0))

    bridge(sink, retry=at_once).run_dry()

    (letters,) = connections.executor().execute([dead_letter_commands.letters(*PLACE, count=10)])

    assert [(letter.event_id, letter.count, len(letter.attempts)) for letter in letters] == [
        (poison, ATTEMPTS, ATTEMPTS)
    ]
    written = [line.split()[:2] for line in (tmp_path / "written-down").read_text().splitlines()]
    # What was in hand beside the poison was not begun when its process ended: for that no attempt is charged.
    assert written == [[id_, "1"] for id_ in before + after]
    assert places(redis) == {"done": 40, "dead": 1}
    assert redis.xlen(STREAM) == 41
