"""Webhooks: the requests to a receiver, and the meaning of its answers. The receiver is a real HTTP server."""

import random
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from bridges import secrets as bridges_secrets
from bridges.models import Secret
from bridges.runtime.worker_factory import open_worker
from bridges.sinks.webhook import WebhookConfig, WebhookSink
from streams import connections
from streams.snapshot import holder
from synapse.delivery.shutdown import Stop
from synapse.delivery.webhooks import messages, sender, signature
from synapse.errors.delivery import (
    BadConfig,
    NotBegun,
    SecretElsewhere,
    SinkAway,
    SinkDisabled,
    SinkError,
)
from tests.bridges.cast import DUE, always
from tests.bridges.receiver import Receiver, answer
from tests.bridges.sinks import SECRET, definition, delivery
from tests.cloudevents.cast import CAME, TIME, fields_of
from tests.definitions import define
from tests.patience import eventually
from tests.tables import for_each

pytestmark = pytest.mark.usefixtures("webhooks", "db")
ORDER = {"event_type": "order-placed", "n": 1, "timestamp": "2026-11-01T08:00:00Z", "synapse_version": 1}
EVENT = {"event_type": "order-placed", "n": 1, "timestamp": "2026-11-01T08:00:00Z"}


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def webhook(receiver):
    """Open a sink: `webhook(body="event")`; settings of the sink, or columns of its bridge."""
    sinks = []

    def make(*, timeout=60.0, at_once=1, **config):
        bridge = definition("webhook", handler_timeout_seconds=timeout, concurrency=at_once)
        values = {"url": receiver.url, "secret": "shop", **config}
        sinks.append(WebhookSink.open(WebhookConfig.read(values), bridge, stopping=lambda: False))
        return sinks[-1]

    yield make
    for sink in sinks:
        sink.close()


def orders(count):
    return [delivery(ORDER, f"1766570400123-{n}") for n in range(count)]


def test_a_receiver_gets_the_event_in_an_envelope_that_is_signed(receiver, webhook):
    outcomes = webhook().deliver([delivery(ORDER, "1766570400123-0", attempt=3)], always)

    assert outcomes == [None]
    (request,) = receiver.got
    assert request.line == "POST /events?to=shop HTTP/1.1"
    assert request.json == {"type": "order-placed", "timestamp": "2026-11-01T08:00:00Z", "data": EVENT}
    assert request.is_signed_with(SECRET)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["synapse-attempt"] == "3"
    assert request.headers["synapse-stream"] == "orders"
    assert request.headers["synapse-event-id"] == "1766570400123-0"


def test_a_webhook_with_body_event_receives_the_event_alone(receiver, webhook):
    webhook(body="event").deliver(orders(1), always)

    assert receiver.got[0].json == EVENT
    assert receiver.got[0].is_signed_with(SECRET)


@pytest.mark.parametrize("came", [None, CAME])
def test_a_webhook_with_body_cloudevents_receives_a_signed_cloudevent_at_every_attempt(receiver, webhook, came):
    sink = webhook(body="cloudevents")
    for attempt in (1, 2):
        sink.deliver([delivery(fields_of({"event_type": "order-placed", "n": 1}, came), attempt=attempt)], always)

    first, second = receiver.got
    own = {"id": "orders/1766570400123-0", "source": "cyrex", "time": TIME, "datacontenttype": "application/json"}
    data = {"n": 1} if came else {"event_type": "order-placed", "n": 1}
    assert first.json == {"specversion": "1.0", "type": "order-placed", **(came or own), "data": data}
    assert first.headers["content-type"] == "application/cloudevents+json"
    assert first.headers["synapse-event-id"] == "1766570400123-0"
    assert first.is_signed_with(SECRET)
    assert (second.body, second.headers["synapse-attempt"]) == (first.body, "2")


def test_a_webhook_with_body_cloudevents_binary_receives_the_attributes_as_headers(receiver, webhook):
    webhook(body="cloudevents-binary", headers={"X-Tenant": "7"}).deliver(
        [delivery(fields_of({"event_type": "order-placed", "n": 1}, CAME))], always
    )

    (request,) = receiver.got
    attributes = {name: text for name, text in request.headers.items() if name.startswith("ce-")}
    assert attributes == {
        "ce-specversion": "1.0",
        "ce-type": "order-placed",
        "ce-id": "A-1",
        "ce-source": "/shop",
        "ce-subject": "k%C3%A4se%2042",
        "ce-time": CAME["time"],
        "ce-dataschema": CAME["dataschema"],
        "ce-tenant": "7",
        "ce-retries": "3",
        "ce-isurgent": "true",
    }
    assert request.headers["content-type"] == "application/vnd.order+json"
    assert request.headers["x-tenant"] == "7"
    assert request.json == {"n": 1}
    assert request.is_signed_with(SECRET)


def test_a_cloudevent_without_data_is_a_request_without_content(receiver, webhook):
    came = {"id": "1", "source": "/s", "_": "n"}
    webhook(body="cloudevents-binary").deliver([delivery(fields_of({"event_type": "ping"}, came))], always)

    (request,) = receiver.got
    assert (request.body, request.headers.get("content-type")) == (b"", None)
    at = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)
    assert request.headers["webhook-signature"] == Webhook(SECRET).sign(request.headers["webhook-id"], at, "")


@pytest.mark.parametrize("body", ["cloudevents", "cloudevents-binary"])
def test_an_event_that_is_nested_too_deep_is_a_cloudevent_too(receiver, webhook, body):
    deep = "[" * 254 + "]" * 254
    webhook(body=body).deliver([delivery({"event_type": "order-placed", "deep": deep})], always)

    data = receiver.got[0].json
    assert (data["data"] if body == "cloudevents" else data) == {"event_type": "order-placed", "deep": deep}


def test_an_event_without_a_time_has_the_one_at_which_it_was_published(receiver, webhook):
    webhook().deliver([delivery({"event_type": "order-placed"}, "1766570400123-0")], always)

    assert receiver.got[0].json["timestamp"] == "2025-12-24T10:00:00.123Z"


def test_the_id_is_the_same_at_every_attempt_and_another_for_another_event_or_bridge(receiver, webhook):
    sink = webhook()
    sink.deliver([*orders(2), delivery(ORDER, "1766570400123-0", attempt=2)], always)

    first, second, again = (request.headers["webhook-id"] for request in receiver.got)
    assert first == again != second
    assert "." not in first
    assert len({signature.message_id("orders", group, "17-0") for group in ("shop", "packing")}) == 2


def test_a_changed_body_is_not_what_was_signed(receiver, webhook):
    webhook().deliver(orders(1), always)
    (request,) = receiver.got

    with pytest.raises(WebhookVerificationError):
        type(request)(request.line, request.headers, request.body + b" ").is_signed_with(SECRET)


@for_each("body", ["", "{}", '{"name":"Jürgen ✓"}', "x" * 10_000])
def test_a_signature_is_the_one_that_the_library_of_the_specification_makes(body):
    secrets = [signature.generate_secret(), signature.generate_secret()]
    at = datetime(2026, 11, 1, 8, tzinfo=UTC)
    signers = [signature.signer_of(secret) for secret in secrets]

    for _ in range(2):
        made = signature.sign(signers, "msg_1", str(int(at.timestamp())), body.encode())
        assert made == " ".join(Webhook(secret).sign("msg_1", at, body) for secret in secrets)


def test_while_a_secret_is_changed_receivers_may_expect_either(receiver, webhook):
    old, new = signature.generate_secret(), signature.generate_secret()
    row = Secret(name="changing")
    bridges_secrets.change_value(row, old, keep_previous=True)
    row.save()
    sink = webhook(secret="changing")
    sink.deliver(orders(1), always)

    bridges_secrets.change_value(row, new, keep_previous=True)
    row.save()
    holder.forget()  # as a change of the catalog does
    sink.deliver(orders(1), always)

    before, after = receiver.got
    assert before.is_signed_with(old)
    with pytest.raises(WebhookVerificationError):
        before.is_signed_with(new)
    assert after.is_signed_with(old)
    assert after.is_signed_with(new)


def test_a_secret_that_is_gone_means_waiting_and_nothing_unsigned(receiver, webhook, settings):
    sink = webhook()
    settings.BRIDGE_SECRETS = {}
    holder.forget()

    with pytest.raises(SinkAway, match="There is no secret “shop”, in the database or as SYNAPSE_SECRET_SHOP"):
        sink.deliver(orders(1), always)

    assert receiver.got == []


def test_headers_of_the_users_own_go_along_and_secret_ones_too(receiver, webhook, settings):
    settings.BRIDGE_SECRETS = {**settings.BRIDGE_SECRETS, "SYNAPSE_SECRET_SHOP_TOKEN": "Bearer abc"}

    webhook(headers={"X-Tenant": "7"}, secret_headers={"Authorization": "shop.token"}).deliver(orders(1), always)

    assert receiver.got[0].headers["x-tenant"] == "7"
    assert receiver.got[0].headers["authorization"] == "Bearer abc"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_takes_the_event(receiver, webhook, status):
    receiver.always(answer(status, body=b"" if status == 204 else b"thank you"))

    assert webhook().deliver(orders(3), always) == [None] * 3
    assert receiver.connections == 1


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 429, 500, 503])
def test_any_failure_leaves_the_event_to_be_sent_again(receiver, webhook, status):
    receiver.always(answer(status, body=b"no\x1b[2J thanks"))

    (outcome,) = webhook().deliver(orders(1), always)

    assert not outcome.permanent
    assert f"The receiver answered: {status} after " in str(outcome)
    assert str(outcome).endswith(", “no\\u001b[2J thanks”")


def test_failures_that_the_user_lists_are_for_good(receiver, webhook):
    receiver.answers = lambda number: answer([400, 422, 500][number])

    outcomes = webhook(permanent_statuses=[400, 422]).deliver(orders(3), always)

    assert [outcome.permanent for outcome in outcomes] == [True, True, False]


def test_a_receiver_that_is_gone_disables_the_bridge_and_gets_nothing_more(receiver, webhook):
    receiver.always(answer(410))

    outcomes = webhook().deliver(orders(3), always)

    assert [type(outcome) for outcome in outcomes] == [SinkDisabled, NotBegun, NotBegun]
    assert str(outcomes[0]).startswith("The receiver wants no more events: The receiver answered: 410 after ")
    assert len(receiver.got) == 1


def test_a_redirect_is_a_failure_and_is_not_followed(receiver, webhook):
    receiver.always(answer(302, location=f"{receiver.url}/secret", content_type="text/plain"))

    (outcome,) = webhook().deliver(orders(1), always)

    assert "redirected, which is not followed: 302" in str(outcome)
    assert len(receiver.got) == 1


NOW = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)


@for_each(
    "header, seconds",
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        ("1000000000", messages.LONGEST_WAIT),
        ("9" * 5000, messages.LONGEST_WAIT),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        ("Sun, 01 Nov 2099 08:00:00 GMT", messages.LONGEST_WAIT),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), None),
        ("0", None),
        ("-5", None),
        ("1e9", None),
        ("soon", None),
        ("", None),
        ("²", None),
        ("Sun, 99 Nov 99999 08:00:00 GMT", None),
    ],
)
def test_how_long_a_receiver_asks_to_wait(header, seconds):
    assert messages.retry_after(header, NOW.timestamp()) == seconds


def test_a_receiver_that_asks_to_wait_is_heard(receiver, webhook):
    receiver.always(answer(429, retry_after="7"))

    (outcome,) = webhook().deliver(orders(1), always)

    assert outcome.retry_after == 7.0


def test_as_many_requests_are_under_way_as_may_be_and_no_more(receiver, webhook):
    together = threading.Barrier(8, timeout=60)

    def answers(_):
        together.wait()
        return answer(204)

    receiver.answers = answers

    assert webhook(concurrency=8).deliver(orders(32), always) == [None] * 32
    assert receiver.most_at_once == 8


def test_the_bridge_says_how_many_at_once_where_the_sink_does_not(receiver, webhook):
    together = threading.Barrier(3, timeout=60)

    def answers(_):
        together.wait()
        return answer(204)

    receiver.answers = answers

    assert webhook(at_once=3).deliver(orders(6), always) == [None] * 6


def test_a_connection_that_the_receiver_closed_between_two_batches_is_not_used_again(receiver, webhook):
    sink = webhook()
    for _ in range(20):
        assert sink.deliver(orders(1), always) == [None]
        receiver.hang_up()

    assert len(receiver.got) == 20


def nothing(connection):
    return False


def half_a_status_line(connection):
    connection.sendall(b"HTTP/1.1 20")
    return False


def kept_for(*answers):
    """Return what answers requests one after the other, each on a connection that is said to be kept."""
    return lambda number: answers[number]


def test_a_request_unanswered_on_a_kept_connection_is_sent_again_at_once_on_a_new_one(receiver, webhook):
    sink = webhook()
    receiver.answers = kept_for(answer(204), nothing, answer(204), answer(204), nothing, answer(204))

    outcomes = [sink.deliver([each], always) for each in orders(4)]

    assert outcomes == [[None]] * 4
    first, again = receiver.got[1:3]
    assert first.body == again.body
    names = ("webhook-id", "webhook-signature", "synapse-attempt", "content-type")
    assert [first.headers[name] for name in names] == [again.headers[name] for name in names]
    assert receiver.connections == 4


def test_a_burst_to_a_receiver_that_closes_behind_each_answer_costs_no_attempt(receiver, webhook):
    def close_behind_answer(connection):
        answer(204)(connection)
        return False

    sink = webhook()
    receiver.always(close_behind_answer)

    assert sink.deliver(orders(40), always) == [None] * 40
    assert len({request.headers["webhook-id"] for request in receiver.got}) == 40


@pytest.mark.parametrize(
    ("answers", "requests"),
    [
        pytest.param([nothing], 1, id="a new connection that ends"),
        pytest.param([answer(204), nothing, nothing], 3, id="the second try that ends, too"),
        pytest.param([answer(204), half_a_status_line], 2, id="a connection that ends within an answer"),
        pytest.param([answer(204), answer(500)], 2, id="an answer that says no"),
        pytest.param([answer(204), nothing, answer(500)], 3, id="a second try that is answered no"),
    ],
)
def test_any_other_failure_counts_as_one(receiver, webhook, answers, requests):
    sink = webhook()
    receiver.answers = kept_for(*answers)

    outcomes = [sink.deliver([each], always)[0] for each in orders(2 if len(answers) > 1 else 1)]

    assert isinstance(outcomes[-1], SinkError)
    assert len(receiver.got) == requests


def endless(connection):
    connection.sendall(b"HTTP/1.1 500 Word\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")


def slow(connection):
    for byte in b"HTTP/1.1 200 OK\r\n":
        connection.sendall(bytes([byte]))
        threading.Event().wait(0.1)
    return False


def silent(connection):
    connection.recv(1)
    return False


def many_headers(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for n in range(10_000):
        connection.sendall(b"x-%d: " % n + b"y" * 1000 + b"\r\n")
    return False


def long_header(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
    for _ in range(10_000):
        connection.sendall(b"y" * 1000)
    return False


def nonsense(connection):
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    return False


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (endless, "The receiver answered: 500 after "),
        (slow, "did not answer within 0.5 s"),
        (silent, "did not answer within 0.5 s"),
        (many_headers, "is not HTTP, or more than is read"),
        (long_header, "is not HTTP, or more than is read"),
        (nonsense, "is not HTTP, or more than is read"),
        (nothing, "closed the connection without an answer"),
    ],
)
def test_whatever_a_receiver_does_ends_soon_and_says_what_it_was(receiver, webhook, behaviour, words):
    receiver.always(behaviour)
    sink = webhook(timeout=0.5 if "within" in words else 60.0)

    (outcome,) = sink.deliver(orders(1), always)

    assert words in str(outcome)
    receiver.always(answer(204))
    eventually(lambda: sink.deliver(orders(1), always) == [None])


def test_no_more_of_an_answer_is_kept_than_its_beginning(receiver, webhook):
    receiver.always(endless)

    (outcome,) = webhook().deliver(orders(1), always)

    assert str(outcome).endswith("xxx…”")
    assert len(str(outcome)) < messages.KEPT_BYTES


def test_a_success_whose_body_never_ends_is_a_success(receiver, webhook, monkeypatch):
    monkeypatch.setattr(sender, "REST_SECONDS", 0.1)

    def begins(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nthank")
        return connection.recv(1) != b""

    receiver.always(begins)

    assert webhook().deliver(orders(1), always) == [None]


def test_a_compressed_answer_is_not_unfolded(receiver, webhook):
    bomb = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + b"\xff" * 100
    receiver.always(answer(500, body=bomb, content_encoding="gzip"))

    (outcome,) = webhook().deliver(orders(1), always)

    assert "answered: 500" in str(outcome)
    assert receiver.got[0].headers["accept-encoding"] == "identity"


def test_a_receiver_that_is_not_there_is_a_failure(receiver, webhook):
    sink = webhook(url="http://127.0.0.1:1/")

    (outcome,) = sink.deliver(orders(1), always)

    assert str(outcome) == "No connection to 127.0.0.1:1: Connection refused"


def test_no_proxy_of_the_environment_is_used(receiver, webhook, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert webhook().deliver(orders(1), always) == [None]


@for_each(
    "field, value, words",
    [
        ("secret", "nobody", "There is no secret “nobody”"),
        ("secret", SECRET, "must be the name of a secret, and is a secret itself"),
        ("headers", {"authorization": "Bearer abc"}, "must not hold Authorization: it belongs to secret_headers"),
        ("body", "xml", "must be envelope or event or cloudevents or cloudevents-binary"),
        ("concurrency", 0, "must be from 1 to 256"),
        ("concurrency", 257, "must be from 1 to 256"),
        ("concurrency", True, "must be a whole number or nothing, but is true"),
        ("permanent_statuses", [410], "which disables the bridge"),
        ("permanent_statuses", [200], "from 300 to 599"),
        ("permanent_statuses", ["400"], "must hold nothing but a whole number, but holds the text “400”"),
        ("permanent_statuses", 400, "must be a list, but is the number 400"),
        ("headers", {"Host": "example.com"}, "'Host' is no header that can be set"),
        ("headers", {"content-length": "5"}, "is no header that can be set"),
        ("headers", {"Webhook-Id": "5"}, "is no header that can be set"),
        ("headers", {"X-A": "b\r\nX-C: d"}, "must be 1 to 2000 characters of printable ASCII"),
        ("headers", {"X A": "b"}, "is no header that can be set"),
        ("headers", {"X-A": None}, "must hold nothing but text, but holds nothing"),
        ("secret_headers", {"Authorization": "nobody"}, "There is no secret “nobody”"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_their_names(field, value, words):
    values = {"url": "https://example.com/", "secret": "shop", field: value}

    with pytest.raises(BadConfig) as caught:
        WebhookConfig.read(values)

    assert list(caught.value.errors) == [field]
    assert words in caught.value.errors[field]


@pytest.mark.parametrize("text", ["secret", "whsec_", "whsec_c2hvcnQ=", "whsec_" + "A" * 100, "whsec_äöü"])
def test_a_secret_that_cannot_sign_is_refused(settings, text):
    settings.BRIDGE_SECRETS = {"SYNAPSE_SECRET_SHOP": text}

    with pytest.raises(BadConfig, match="secret: the secret of this name does not sign: whsec_ and 24 to 64 bytes"):
        WebhookConfig.read({"url": "https://example.com/", "secret": "shop"})


def test_a_command_beside_an_installation_takes_its_secrets_for_granted_and_cannot_use_them(settings):
    settings.BRIDGE_SECRETS, settings.SECRETS_ELSEWHERE = {}, {"SYNAPSE_SECRET_SHOP"}
    values = {"url": "https://example.com/", "secret": "shop", "secret_headers": {"Authorization": "shop"}}

    config = WebhookConfig.read(values)

    with pytest.raises(SecretElsewhere, match="set SYNAPSE_SECRET_SHOP here too"):
        bridges_secrets.values_of(config.secret)
    with pytest.raises(BadConfig, match="There is no secret “other”"):
        WebhookConfig.read({**values, "secret": "other"})


def test_a_worker_brings_every_event_and_says_what_a_receiver_answered(redis, bridge, receiver, webhook):
    ids = [redis.xadd("orders", ORDER).decode() for _ in range(50)]
    receiver.answers = lambda number: answer(500 if number == 3 else 204)

    consumer = bridge(webhook(), lease_ms=60_000).run_dry()

    assert {request.headers["synapse-event-id"] for request in receiver.got} == set(ids)
    assert all(request.is_signed_with(SECRET) for request in receiver.got)
    assert redis.zcard(DUE) == 1
    assert "The receiver answered: 500 after " in consumer.said[-1]


def test_a_worker_takes_as_many_events_at_once_as_the_sink_may_send_at_once(redis, receiver):
    define("orders")
    for _ in range(32):
        redis.xadd("orders", ORDER)
    config = {"url": receiver.url, "secret": "shop", "concurrency": 32}
    worker = open_worker(definition("webhook", config=config), say=lambda _: None, stop=Stop(), block_ms=0)

    worker.step()
    worker.leave(connections.executor())

    assert worker.progress.delivered == 32


def test_a_receiver_that_fails_half_the_time_gets_every_event_in_the_end(redis, bridge, receiver, webhook):
    ids = [redis.xadd("orders", ORDER).decode() for _ in range(200)]
    taken = set()
    chance = random.Random(1)

    def answers(number):
        if chance.random() < 0.5:
            return answer(503)
        taken.add(receiver.got[number].headers["synapse-event-id"])
        return answer(204)

    receiver.answers = answers

    bridge(webhook(), lease_ms=0).run_dry()

    assert taken == set(ids)
    attempts = [int(request.headers["synapse-attempt"]) for request in receiver.got]
    assert max(attempts) > 2
    assert redis.xpending("orders", "warehouse")["pending"] == 0
