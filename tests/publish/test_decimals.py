"""Decimals that no double holds arrive digit for digit, wherever an event goes."""

import pytest

from bridges.archive import row_of
from bridges.models import ArchivedEvent
from streams.snapshot import holder
from synapse.delivery.webhooks.messages import Messages
from tests.bridges.sinks import delivery

TEXTS = ["0.1234567890123456789", "12345678901234567.89", "9007199254740993.0", "1e-400"]

pytestmark = pytest.mark.django_db


def placed(text):
    return f'{{"event_type":"order-placed","n":{text}}}'


@pytest.fixture(params=["flat", "dual"])
def orders(request, define):
    return define("orders", {"order-placed": {"properties": {"n": {"type": "number"}}}}, layout=request.param)


@pytest.mark.parametrize("text", TEXTS)
def test_decimals_are_stored_and_shown_as_they_were_sent(ask, redis, orders, text):
    body = f'{{"event_type": "order-placed", "n": {text}, "deep": [{{"m": {text}}}]}}'

    stored = ask("POST", "/events/orders", body)

    assert stored.status == 201, stored.body
    ((_, fields),) = redis.xrange("orders")
    assert (fields[b"n"].decode(), fields[b"deep"].decode()) == (text, f'[{{"m":{text}}}]')
    event = body.replace(" ", "")
    assert fields.get(b"payload", event.encode()).decode() == event
    assert event in ask("GET", "/streams/orders/messages").body.decode()
    assert event in ask("GET", f"/streams/orders/messages/{stored.json['id']}").body.decode()


def test_events_of_one_form_keep_the_digits_of_their_decimals(ask, redis, define):
    define("orders", {"order-placed": None})
    for last in range(5):
        assert ask("POST", "/events/orders", placed(f"0.123456789012345678{last}")).status == 201

    assert [fields[b"n"] for _, fields in redis.xrange("orders")] == [b"0.123456789012345678%d" % n for n in range(5)]


def test_a_batch_keeps_the_digits_of_decimals(ask, redis, orders):
    events = ",".join(placed(f"0.12345678901234567{n}") for n in range(1000, 3000))

    assert ask("POST", "/events/orders", f"[{events}]").status in (200, 201)

    assert [fields[b"n"][-4:] for _, fields in redis.xrange("orders")] == [b"%d" % n for n in range(1000, 3000)]


def test_requests_that_differ_in_the_last_digit_alone_are_two(ask, redis, orders):
    headers = {"idempotency-key": "k-1"}
    one, other = (placed(f"0.123456789012345678{n}") for n in (1, 2))

    statuses = [ask("POST", "/events/orders", body, headers).status for body in (one, one, other)]

    assert statuses == [201, 200, 422]
    assert redis.xlen("orders") == 1


def test_a_decimal_that_is_spelled_otherwise_is_the_same(ask, redis, orders):
    headers = {"idempotency-key": "k-1"}

    statuses = [ask("POST", "/events/orders", placed(text), headers).status for text in ("1.1", "1.10", "110e-2")]

    assert statuses == [201, 200, 200]


def test_a_contract_names_the_place_that_is_too_large_by_a_digit(ask, define):
    define("orders", {"order-placed": {"properties": {"n": {"maximum": 1}}}})

    answer = ask("POST", "/events/orders", placed("1.00000000000000000001"))

    assert answer.status == 422
    assert answer.json["violations"][0]["message"] == "“n” must be 1 or less, but is 1.00000000000000000001."


def test_the_archive_and_a_webhook_keep_the_digits_of_decimals():
    deep = f'{{"m": {TEXTS[2]}, "big": 18446744073709551616}}'
    one = delivery({"event_type": "order-placed", "n": TEXTS[0], "deep": deep})

    row = row_of(one, bridge=None)
    row.save()

    kept = ArchivedEvent.objects.get().event
    assert (kept["n"].text, kept["deep"]["m"].text, kept["deep"]["big"].text) == (TEXTS[0], TEXTS[2], str(2**64))
    _, body = Messages(form="event", group="g", signers=[], catalog=holder.current).encode_event(one)
    assert body == b'{"event_type":"order-placed","n":%b,"deep":{"m":%b,"big":18446744073709551616}}' % (
        TEXTS[0].encode(),
        TEXTS[2].encode(),
    )
