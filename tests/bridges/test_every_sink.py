"""Requirements on every sink. A new one of the registry is tested once tests/bridges/sinks.py sees what arrives."""

import pytest

from bridges.sinks import registry
from synapse.catalog.bridge_definitions import PULL
from synapse.errors.delivery import BadConfig, NotBegun
from tests.bridges.cast import always
from tests.bridges.sinks import CONFIGS, REFUSES, delivery, open_one
from tests.chaos.profile import FULL
from tests.tables import for_each

ORDER = {"event_type": "order-placed", "n": 1, "synapse_version": 1, "synapse_added": ""}
STRANGE = {
    "no type": {"n": 1},
    "broken bytes": {b"\xff\xfe": b"\x80\x81", "event_type": b"order\xff"},
    "NUL": {"event_type": "a\x00b", "te\x00xt": "x\x00", "deep": '{"a\\u0000": ["\\u0000"]}', "source": "s\x00"},
    "a type that is no name": {"event_type": "x" * 5000, "source": "y" * 5000, "timestamp": "yesterday"},
    "wrong types for its contract": {"event_type": "order-placed", "n": "many", "paid": "perhaps"},
    "thousands of fields": {f"field {n}": n for n in range(5000)},
    "nested as deep as can be": {"payload": "[" * 1000 + "]" * 1000, "list": "[" * 250 + "]" * 250},
    "numbers beyond all bounds": {"a": "1e400", "b": "-" + "9" * 400, "c": "1e308", "timestamp": "9" * 40},
    "half a character": {"text": '{"a": "\\ud800"}', "event_type": '"\\ud800"'},
    "nothing at all": {"": ""},
    "terminal codes": {"event_type": "\x1b]0;title\x07", "n": "\u202e\x9b2J"},
}


@pytest.fixture(params=[name for name in registry.sink_names() if name != PULL])
def opened(request, tmp_path, monkeypatch, handlers, webhooks, redis, db):
    opened = open_one(request.param, tmp_path, monkeypatch)
    yield opened
    opened.close()


def test_every_sink_takes_events_in_their_order_and_reports_on_each(opened):
    ids = [f"17-{n}" for n in range(120 if FULL else 30)]

    assert opened.sink.deliver([delivery({**ORDER, "from": id_}, id_) for id_ in ids], always) == [None] * len(ids)

    assert opened.arrived() == ids


def test_every_sink_takes_an_entry_of_another_program_or_refuses_it_permanently(opened):
    # As long as a batch is: each sees that its neighbours do not suffer.
    batch = [delivery({**fields, "from": f"17-{n}"}, f"17-{n}") for n, fields in enumerate(STRANGE.values())]

    outcomes = dict(zip(STRANGE, opened.sink.deliver(batch, always), strict=True))

    refused = {name for name, outcome in outcomes.items() if outcome is not None}
    assert refused == REFUSES.get(opened.name, set())
    assert all(outcomes[name].permanent for name in refused)
    taken = [one.id for name, one in zip(STRANGE, batch, strict=True) if name not in refused]
    assert opened.arrived() == taken


def test_every_sink_takes_an_event_again_whose_acknowledgement_was_lost(opened):
    opened.sink.deliver([delivery(ORDER, "17-0")], always)

    assert opened.sink.deliver([delivery(ORDER, "17-0", attempt=2), delivery(ORDER, "17-1")], always) == [None, None]


def test_every_sink_leaves_events_alone_that_it_may_not_begin(opened):
    outcomes = opened.sink.deliver([delivery(ORDER), delivery(ORDER, "17-1")], lambda: False)

    assert [type(outcome) for outcome in outcomes] == [NotBegun, NotBegun]
    assert opened.arrived() == []


def test_every_sink_is_present_until_closed_and_can_be_closed_twice(opened):
    assert opened.sink.is_gone() is False
    opened.sink.close()
    opened.sink.close()


@for_each("name", registry.sink_names())
def test_an_unknown_setting_of_a_sink_is_refused_by_its_name(name, handlers, webhooks, db):
    with pytest.raises(BadConfig) as caught:
        registry.config_of(name, {**CONFIGS.get(name, {}), "colour": "red"})

    assert caught.value.errors == {"colour": caught.value.errors["colour"]}
    assert caught.value.errors["colour"].startswith("there is no such setting")


def test_an_unknown_sink_is_refused_with_the_known_ones():
    with pytest.raises(BadConfig, match="sink: there is no sink “mailer”; known here: console, database, handler"):
        registry.find_sink("mailer")
