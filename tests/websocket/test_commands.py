"""The commands of a connection, and the events that it sends, as a client sees them."""

import socket

import orjson
import pytest

from streams.access import key_issuance
from streams.live import socket_session
from streams.live.socket_session import RateLimiter
from streams.models import Grant, Key, Stream
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM
from synapse.live import watcher
from synapse.server.websocket import connection
from synapse.server.websocket.connection import MAX_WAITING_MESSAGES
from tests.chaos.profile import FULL
from tests.websocket.client import connected
from tests.websocket.frames import BINARY, TEXT, close, frame, head, text


@pytest.fixture
def client(server):
    with connected(server.port) as client:
        yield client


def numbers(client, count):
    """Wait for so many events, and return the stream and the number of each."""
    found = [client.hear() for _ in range(count)]
    assert [each["op"] for each in found] == ["event"] * count, found
    return [(each["stream"], each["event"]["n"]) for each in found]


def break_between_two_events(server, client, *, stream):
    """Follow a stream, break the connection behind its first event, publish a second, and return the position."""
    client.ask(op="subscribe", stream=stream)
    server.publish(1)
    position = client.hear()["position"]
    client.socket.close()
    server.publish(2)
    return position


class TestFollowing:
    def test_an_event_has_the_members_of_a_live_tail_its_stream_and_a_position(self, server, client):
        answer = client.ask(op="subscribe", stream="orders")
        assert (answer["op"], answer["stream"]) == ("subscribed", "orders")

        (id_,) = server.publish(1)

        event = client.hear()
        assert (event["op"], event["stream"], event["id"]) == ("event", "orders", id_)
        assert event["event"] == {"event_type": "order-placed", "n": 1}
        assert event["position"].startswith("v1~")

    def test_many_streams_come_over_one_connection_each_with_its_own_selection(self, server, client):
        server.publish(1, 2)
        server.publish(3, stream="parcels")
        assert client.ask(op="subscribe", stream="orders", after="0", filter="event.n > 1")["op"] == "subscribed"
        assert numbers(client, 1) == [("orders", 2)]
        client.ask(op="subscribe", stream="parcels", event_type=["order-lost"])

        server.publish(4, stream="parcels")
        server.publish(5, stream="parcels", event_type="order-lost")

        assert numbers(client, 1) == [("parcels", 5)]

    def test_all_streams_are_followed_with_one_command(self, server, client):
        answer = client.ask(op="subscribe", stream="*")
        assert answer["streams"] == ["orders", "parcels", "taken"]
        assert client.ask(op="subscribe", stream="*")["problem"]["status"] == 400

        server.publish(1)
        server.publish(2, stream="parcels")

        assert sorted(numbers(client, 2)) == [("orders", 1), ("parcels", 2)]
        assert client.ask(op="unsubscribe", stream="orders")["problem"]["parameter"] == "stream"
        assert client.ask(op="unsubscribe", stream="*")["op"] == "unsubscribed"

    def test_a_named_stream_that_is_left_is_followed_on_with_all_streams_and_the_answer_says_so(self, server, client):
        client.ask(op="subscribe", stream="orders", event_type=["order-lost"])
        client.ask(op="subscribe", stream="*", event_type=["order-placed"])
        server.publish(1, event_type="order-lost")
        position = client.hear()["position"]

        answer = client.ask(op="unsubscribe", stream="orders")

        assert (answer["op"], answer["followed_with"]) == ("unsubscribed", "*")
        assert sorted(answer["position"].split("~")) == sorted(position.split("~"))
        server.publish(2)
        server.publish(3, event_type="order-lost")
        server.publish(4)
        assert numbers(client, 2) == [("orders", 2), ("orders", 4)]
        refused = client.ask(op="subscribe", stream="orders")
        assert refused["problem"]["detail"] == "“orders” is followed already. Unsubscribe from “*” first."
        assert "followed_with" not in client.ask(op="unsubscribe", stream="*")
        answer = client.ask(op="subscribe", stream="orders")
        assert answer["op"] == "subscribed"
        assert "followed_with" not in client.ask(op="unsubscribe", stream="orders")

    def test_since_and_after_say_where_a_stream_begins(self, server, client):
        first, _, _ = server.publish(1, 2, 3)
        client.ask(op="subscribe", stream="orders", after=first)
        assert numbers(client, 2) == [("orders", 2), ("orders", 3)]
        client.ask(op="unsubscribe", stream="orders")

        client.ask(op="subscribe", stream="orders", since=0)

        assert numbers(client, 3) == [("orders", 1), ("orders", 2), ("orders", 3)]

    def test_a_stream_that_was_left_sends_nothing_more(self, server, client):
        client.ask(op="subscribe", stream="orders")
        assert client.ask(op="unsubscribe", stream="orders")["op"] == "unsubscribed"

        server.publish(1)

        assert client.ask(op="ping") == {"op": "pong"}
        assert client.ask(op="unsubscribe", stream="orders")["problem"]["parameter"] == "stream"

    def test_a_position_resumes_all_streams_without_loss_or_repetition(self, server, client):
        client.ask(op="subscribe", stream="orders")
        client.ask(op="subscribe", stream="parcels")
        server.publish(1, 2)
        server.publish(3, stream="parcels")
        found = [client.hear() for _ in range(3)]
        client.socket.close()
        server.publish(4)
        server.publish(5, stream="parcels")

        with connected(server.port) as again:
            assert again.ask(op="resume", position=found[1]["position"])["op"] == "resumed"
            rest = []
            for stream in ("orders", "parcels"):
                again.say(op="subscribe", stream=stream)
            while len(rest) < 3:
                message = again.hear()
                rest += [message["event"]["n"]] if message["op"] == "event" else []

        seen = [each["event"]["n"] for each in found[:2]]
        assert sorted(seen + rest) == [1, 2, 3, 4, 5]

    def test_a_second_position_is_refused_and_the_first_one_resumes(self, server, client):
        position = break_between_two_events(server, client, stream="orders")

        with connected(server.port) as again:
            again.ask(op="resume", position=position)
            second = again.ask(op="resume", position=position)
            again.say(op="subscribe", stream="orders")
            came = [again.hear(), again.hear()]

        assert second["op"] == "problem"
        assert [each["event"]["n"] for each in came if each["op"] == "event"] == [2]

    def test_a_connection_that_breaks_before_all_streams_are_followed_again_loses_none(self, server, client):
        for stream in ("orders", "parcels"):
            client.ask(op="subscribe", stream=stream)
        server.publish(1)
        position = client.hear()["position"]
        client.socket.close()
        server.publish(2)
        server.publish(3, stream="parcels")
        with connected(server.port) as between:
            assert between.ask(op="resume", position=position)["position"] == position
            between.say(op="subscribe", stream="orders", id=1)
            came = [between.hear(), between.hear()]
            position = next(each["position"] for each in came if each["op"] == "event")

        with connected(server.port) as again:
            again.ask(op="resume", position=position)
            again.say(op="subscribe", stream="parcels", id=1)
            came = [again.hear(), again.hear()]

        assert [each["event"]["n"] for each in came if each["op"] == "event"] == [3]

    @pytest.mark.parametrize("first", ["orders", "*"])
    def test_a_stream_that_is_left_and_followed_again_does_not_go_back_to_where_it_was_resumed(
        self, server, client, first
    ):
        client.ask(op="subscribe", stream=first)
        server.publish(1)
        position = client.hear()["position"]
        client.ask(op="unsubscribe", stream=first)
        server.publish(2)
        client.ask(op="resume", position=position)
        client.say(op="subscribe", stream=first, id=1)
        assert sorted(client.hear()["op"] for _ in range(2)) == ["event", "subscribed"]

        client.ask(op="unsubscribe", stream=first)
        client.ask(op="subscribe", stream="orders")
        server.publish(3)

        assert numbers(client, 1) == [("orders", 3)]

    def test_a_resumed_position_of_all_streams_goes_on_in_all(self, server, client):
        position = break_between_two_events(server, client, stream="*")

        with connected(server.port) as again:
            again.ask(op="resume", position=position)
            again.say(op="subscribe", stream="*")
            found = [again.hear(), again.hear()]

        assert [each["event"]["n"] for each in found if each["op"] == "event"] == [2]

    def test_all_streams_are_followed_beside_a_key_of_another_type(self, server, client, redis):
        redis.set("taken", "by another program")

        assert client.ask(op="subscribe", stream="taken")["problem"]["status"] == 409
        assert client.ask(op="subscribe", stream="*")["op"] == "subscribed"

        server.publish(1)
        assert numbers(client, 1) == [("orders", 1)]

    def test_all_streams_are_followed_where_only_the_named_ones_can_be_read(self, server, client, redis):
        redis.set("taken", "by another program")
        for stream in ("orders", "parcels"):
            client.ask(op="subscribe", stream=stream)

        answer = client.ask(op="subscribe", stream="*")

        assert (answer["op"], answer["streams"]) == ("subscribed", ["taken"])
        redis.delete("taken")
        server.publish(1, stream="taken")
        assert numbers(client, 1) == [("taken", 1)]

    def test_a_stream_created_again_is_told_with_its_name(self, server, client, redis):
        client.ask(op="subscribe", stream="orders")
        server.publish(1)
        numbers(client, 1)

        redis.delete("orders")
        redis.xadd("orders", {"event": "order-placed", "n": 7}, id="1-1")

        gap = client.hear()
        assert (gap["op"], gap["stream"], gap["reason"]) == ("gap", "orders", "restarted")
        assert client.hear()["id"] == "1-1"

    def test_a_silent_connection_gets_heartbeats_with_its_position(self, server, settings):
        settings.LIVE_HEARTBEAT = 0.1
        with connected(server.port) as client:
            client.ask(op="subscribe", stream="orders")
            heartbeat = client.hear()

        assert heartbeat["op"] == "heartbeat"
        assert heartbeat["position"].startswith("v1~")


BAD = {
    "no JSON": (b"subscribe", "bad-request"),
    "a list": (b"[]", "bad-request"),
    "equal keys": (b'{"op":"ping","op":"publish"}', "bad-request"),
    "a huge number": (b'{"op":"ping","id":18446744073709551617}', "bad-request"),
    "deep nesting": (b'{"op":"publish","event":' + b'{"a":' * 70 + b"1" + b"}" * 71, "bad-request"),
    "no op": (b"{}", "bad-parameter"),
    "an op that is a list": (b'{"op":["ping"]}', "bad-parameter"),
    "an unknown op": (b'{"op":"delete"}', "bad-parameter"),
    "an id that is an object": (b'{"op":"ping","id":{}}', "bad-parameter"),
    "a long id": (b'{"op":"ping","id":"' + b"x" * 65 + b'"}', "bad-parameter"),
    "an unknown member": (b'{"op":"ping","now":true}', "bad-parameter"),
    "no stream": (b'{"op":"subscribe"}', "bad-parameter"),
    "a stream that is no text": (b'{"op":"subscribe","stream":["orders"]}', "bad-parameter"),
    "an unknown stream": (b'{"op":"subscribe","stream":"nowhere"}', "unknown-stream"),
    "a bad id": (b'{"op":"subscribe","stream":"orders","after":"x"}', "bad-parameter"),
    "an id of all streams": (b'{"op":"subscribe","stream":"*","after":"1-1"}', "bad-parameter"),
    "a bad time": (b'{"op":"subscribe","stream":"orders","since":"soon"}', "bad-parameter"),
    "two beginnings": (b'{"op":"subscribe","stream":"orders","after":"0","since":"1-1"}', "bad-parameter"),
    "a bad filter": (b'{"op":"subscribe","stream":"orders","filter":"event.n >"}', "bad-filter"),
    "a filter that is a number": (b'{"op":"subscribe","stream":"orders","filter":1}', "bad-parameter"),
    "a position that is none": (b'{"op":"resume","position":"1-1"}', "bad-parameter"),
    "a huge position": (b'{"op":"resume","position":"v1' + b"~3f2a9c01de1" * 5000 + b'"}', "bad-parameter"),
    "an event that is a list": (b'{"op":"publish","stream":"orders","event":[]}', "bad-parameter"),
}


def test_a_command_that_cannot_be_used_is_answered_with_a_problem_and_the_connection_stays(client):
    found = {}
    for which, (sent, _) in BAD.items():
        client.socket.sendall(text(sent))
        answer = client.hear()
        assert answer["op"] == "problem", (which, answer)
        found[which] = answer["problem"]["type"].removeprefix("urn:synapse:problem:")

    assert found == {which: expected for which, (_, expected) in BAD.items()}
    assert client.ask(op="ping") == {"op": "pong"}


def test_subscriptions_are_refused_beyond_a_hundred_however_many_are_asked_for(server, monkeypatch):
    names = [f"stream-{number}" for number in range(98)]
    Stream.objects.bulk_create([Stream(name=name) for name in names])
    holder.forget()
    holder.refresh()
    monkeypatch.setattr(socket_session, "COMMANDS_PER_SECOND", 1_000_000)
    with connected(server.port) as client:
        for stream in (*names, "orders", "parcels"):
            assert client.ask(op="subscribe", stream=stream)["op"] == "subscribed"

        for _ in range(20 if FULL else 2):
            for _ in range(500):
                client.say(op="subscribe", stream="taken")
            answers = [client.hear() for _ in range(500)]
            assert {answer["problem"]["status"] for answer in answers} == {400}

        assert "at most 100" in answers[0]["problem"]["detail"]
        server.publish(1)
        assert numbers(client, 1) == [("orders", 1)]


class TestPublishing:
    def test_an_event_is_stored_and_answered_as_over_http(self, client, redis):
        event = {"event_type": "order-placed", "n": 1.50}

        answer = client.ask(op="publish", stream="orders", event=event)

        ((id_, _),) = redis.xrange("orders")
        assert (answer["op"], answer["status"]) == ("published", 201)
        assert answer["body"]["id"] == id_.decode()
        assert answer["body"]["contract_version"] == 1

    def test_an_event_that_was_published_before_the_client_closed_is_stored(self, client, redis):
        for number in range(3):
            client.say(op="publish", stream="parcels", event={"event_type": "p", "n": number})
        client.socket.sendall(close(1000))

        assert client.end()[0] == 1000
        assert redis.xlen("parcels") == 3

    def test_a_repeated_key_stores_nothing_twice(self, client, redis):
        said = {"op": "publish", "stream": "orders", "event": {"event_type": "order-lost"}, "idempotency_key": "k"}

        first, second = client.ask(**said), client.ask(**said)

        assert redis.xlen("orders") == 1
        assert (first["status"], second["status"]) == (201, 200)
        assert (first["body"]["id"], second["replayed"]) == (second["body"]["id"], True)

    def test_a_refusal_is_the_problem_document_of_http(self, client, ask, redis):
        event = {"event_type": "order-placed"}

        answer = client.ask(op="publish", stream="orders", event=event)

        assert answer["problem"] == ask("POST", "/events/orders", orjson.dumps(event)).json
        assert redis.xlen("orders") == 0

    def test_a_number_keeps_its_digits(self, client, redis):
        client.socket.sendall(
            text(b'{"op":"publish","stream":"parcels","event":{"event_type":"p","n":1.10000000000000000001}}')
        )
        assert client.hear()["status"] == 201
        ((_, fields),) = redis.xrange("parcels")
        assert fields[b"n"] == b"1.10000000000000000001"


class TestRights:
    @pytest.fixture
    def helox(self, key_of, settings):
        settings.AUTH = "required"
        key = key_of("helox", publishes=["orders"], subscribes=["orders", "parcels"])
        holder.refresh()
        return {"Authorization": f"Bearer {key}"}

    def test_streams_of_others_are_neither_read_nor_written(self, server, helox):
        with connected(server.port, **helox) as client:
            assert client.ask(op="subscribe", stream="taken")["problem"]["status"] == 403
            answer = client.ask(op="publish", stream="parcels", event={"event_type": "x"})
            assert answer["problem"]["detail"] == "service:helox may not publish to parcels."
            assert client.ask(op="subscribe", stream="*")["streams"] == ["orders", "parcels"]

    def test_a_revoked_key_ends_the_connection(self, server, helox):
        with connected(server.port, **helox) as client:
            client.ask(op="subscribe", stream="orders")
            key_issuance.revoke("helox", Key.objects.get().key_id, by=SYSTEM)
            holder.refresh()

            bye = client.hear()
            assert (bye["op"], "show again who you are" in bye["reason"]) == ("bye", True)
            assert client.end()[0] == 1008

    def test_a_revoked_key_ends_a_connection_that_follows_nothing(self, server, helox):
        with connected(server.port, **helox) as client:
            client.ask(op="ping")
            key_issuance.revoke("helox", Key.objects.get().key_id, by=SYSTEM)
            holder.refresh()

            assert client.end()[0] == 1008

    def test_a_stream_that_may_not_be_read_any_more_is_left_and_told(self, server, helox):
        with connected(server.port, **helox) as client:
            client.ask(op="subscribe", stream="orders")
            client.ask(op="subscribe", stream="parcels")
            Grant.objects.filter(action="subscribe", stream="parcels").delete()
            holder.refresh()

            left = client.hear()
            assert (left["op"], left["stream"]) == ("unsubscribed", "parcels")
            client.say(op="publish", stream="orders", event={"event_type": "order-lost"})
            # Either may come first.
            assert sorted(client.hear()["op"] for _ in range(2)) == ["event", "published"]


class TestEnds:
    def test_a_server_that_stops_says_bye_with_a_position_to_resume_from(self, server, monkeypatch):
        # These clients confirm nothing.
        monkeypatch.setattr(connection, "MAX_CLOSE_SECONDS", 0.2)
        with connected(server.port) as client, connected(server.port) as idle:
            client.ask(op="subscribe", stream="orders")
            idle.ask(op="ping")
            server.publish(1)
            assert numbers(client, 1) == [("orders", 1)]
            server.stop()

            bye = client.hear()
            assert (bye["op"], bye["reason"]) == ("bye", "the server stops")
            assert bye["position"].startswith("v1~")
            assert client.end() == (1012, "the server stops")
            assert idle.end()[0] == 1012

    def test_a_client_that_leaves_leaves_nothing(self, server):
        from streams.connections import tails
        from tests.patience import eventually

        with connected(server.port) as client:
            client.ask(op="subscribe", stream="orders")
            assert tails().shares.used == 1
        eventually(lambda: tails().shares.used == 0)
        assert server.watching() == 0

    def test_a_breach_is_answered_with_its_code_on_a_real_socket(self, server):
        breaches = {
            frame(BINARY, b"{}"): 1003,
            text(b"\xff"): 1007,
            frame(TEXT, b"{}", masked=False): 1002,
            head(TEXT, 1 << 40) + b"x" * 1_000_000: 1009,
        }
        for sent, code in breaches.items():
            with connected(server.port) as client:
                client.socket.sendall(sent)

                assert client.end()[0] == code

    def test_a_client_that_reads_too_slowly_is_dropped_with_a_position_to_resume_from(self, server, redis, monkeypatch):
        monkeypatch.setattr(watcher, "MOST_WAITING_BYTES", 1024 * 1024)
        with connected(server.port) as slow, connected(server.port) as quick:
            slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            for client in (slow, quick):
                client.ask(op="subscribe", stream="orders")
            for number in range(120):
                redis.xadd("orders", {"event": "order-placed", "n": number, "text": "x" * 50_000})
                assert numbers(quick, 1) == [("orders", number)]

            came = [slow.hear()]
            while came[-1]["op"] == "event":
                came.append(slow.hear())
            assert (came[-1]["op"], came[-1]["reason"]) == ("dropped", "slow")
            assert slow.end() == (1013, "too slow")

        with connected(server.port) as again:
            again.ask(op="resume", position=came[-1]["position"])
            again.say(op="subscribe", stream="orders")
            following = next(each for each in iter(again.hear, None) if each["op"] == "event")
        assert following["event"]["n"] == len(came) - 1


def test_a_client_that_sends_without_reading_is_paused_and_then_answered_in_order(server, monkeypatch):
    monkeypatch.setattr(socket_session, "COMMANDS_PER_SECOND", 1_000_000)
    with connected(server.port) as client:
        for number in range(MAX_WAITING_MESSAGES * 20):
            client.say(op="ping", id=number)

        assert [client.hear()["id"] for _ in range(MAX_WAITING_MESSAGES * 20)] == list(range(MAX_WAITING_MESSAGES * 20))


def test_commands_beyond_the_rate_are_spread_over_time():
    now = [100.0]
    pace = RateLimiter(2, 3, clock=lambda: now[0])

    assert [pace.next_delay() for _ in range(5)] == [0, 0, 0, 0.5, 1.0]
    now[0] += 60
    assert [pace.next_delay() for _ in range(4)] == [0, 0, 0, 0.5]
