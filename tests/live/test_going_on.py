"""A live connection outlasts failures of Redis and changes of the stream."""

import asyncio
import signal
import threading
from contextlib import ExitStack

from streams.connections import tails as process_tails
from synapse.live import pages, tail, tail_registry
from synapse.live.pages import Pages
from synapse.wire.ids import LAST, parse
from tests.live.server import watching
from tests.patience import eventually


def xreads(client):
    """The connections of the read loops."""
    return [client_ for client_ in client.client_list() if client_["cmd"] == "xread"]


def place(redis, number, **options):
    redis.xadd("orders", {"event": "order-placed", "n": number}, **options)


def test_redis_may_restart_and_nothing_is_lost(own_server, own_valkey, settings):
    settings.LIVE_HEARTBEAT = 0.1
    own_valkey.options = ("--appendonly", "yes", "--appendfsync", "always")
    own_valkey.kill()
    own_valkey.start()
    with watching(own_server.live()) as watch:
        own_server.publish(1)
        assert watch.numbers(1) == [1]

        own_valkey.kill()
        for _ in range(5):
            assert watch.frame().comment == "heartbeat"
        own_valkey.start()
        with own_valkey.client() as redis:
            place(redis, 2)
        own_server.publish(3)

        assert watch.numbers(2) == [2, 3]


def test_redis_may_go_while_a_watcher_catches_up(own_server, own_valkey, settings, monkeypatch):
    settings.LIVE_HEARTBEAT = 0.1
    monkeypatch.setattr(pages, "_MOST", 1)
    own_valkey.options = ("--appendonly", "yes", "--appendfsync", "always")
    own_valkey.kill()
    own_valkey.start()
    ids = own_server.publish(*range(200))
    read, killed = Pages.next, threading.Event()

    async def read_half_before_the_end_of_redis(self, executor, until=LAST):
        if self.after >= parse(ids[99]):
            await asyncio.to_thread(killed.wait, 60)
        return await read(self, executor, until)

    monkeypatch.setattr(Pages, "next", read_half_before_the_end_of_redis)
    with watching(own_server.live(), last_id="0") as watch:
        numbers = watch.numbers(100)
        own_valkey.kill()
        killed.set()
        for _ in range(5):
            assert watch.frame().comment == "heartbeat"
        own_valkey.start()
        numbers += watch.numbers(100)

    assert numbers == list(range(200))


def test_a_connection_of_the_read_loop_that_is_cut_is_opened_again(server, redis):
    with watching(server.live()) as watch:
        (connection,) = eventually(lambda: len(found := xreads(redis)) == 1 and found)
        redis.client_kill_filter(_id=connection["id"])
        server.publish(1)

        assert watch.numbers(1) == [1]


def test_a_read_loop_that_is_sent_away_comes_back(server, redis):
    with watching(server.live()) as watch:
        (connection,) = eventually(lambda: len(found := xreads(redis)) == 1 and found)
        redis.client_unblock(connection["id"], error=True)
        server.publish(1)

        assert watch.numbers(1) == [1]


def test_a_redis_that_hangs_is_given_up_and_asked_again(own_server, own_valkey, monkeypatch, caplog):
    monkeypatch.setattr(tail, "BLOCK_SECONDS", 0.2)
    monkeypatch.setattr(tail_registry, "PATIENCE_SECONDS", 0.5)
    with watching(own_server.live()) as watch:
        own_valkey.process.send_signal(signal.SIGSTOP)
        eventually(lambda: "the live tail of orders waits: Redis cannot be reached" in caplog.text)
        own_valkey.process.send_signal(signal.SIGCONT)
        with own_valkey.client() as redis:
            place(redis, 1)

        assert watch.numbers(1) == [1]


def test_a_stream_that_is_deleted_and_made_anew_is_followed(server, redis):
    with watching(server.live()) as watch:
        place(redis, 1, id="9999999999999-0")
        assert watch.numbers(1) == [1]

        redis.flushall()
        place(redis, 2)
        notice = watch.next()

        assert (notice.name, notice.data["reason"], notice.id) == ("gap", "restarted", "0-0")
        assert watch.numbers(1) == [2]
        place(redis, 3)
        assert watch.numbers(1) == [3]


def test_a_key_that_becomes_something_else_is_waited_for(server, redis):
    with watching(server.live()) as watch:
        redis.delete("orders")
        redis.set("orders", "by another program")
        eventually(lambda: not xreads(redis))
        redis.delete("orders")
        place(redis, 1)
        found = watch.next()
        while found.name != "message":
            found = watch.next()

        assert found.data["event"]["n"] == 1


def test_many_watchers_share_one_connection_to_redis(server, redis):
    with ExitStack() as stack:
        watches = [stack.enter_context(watching(server.live())) for _ in range(40)]
        watches.append(stack.enter_context(watching(server.live("parcels"))))
        eventually(lambda: len(xreads(redis)) == 2)
        server.publish(1, 2, 3)

        assert all(watch.numbers(3) == [1, 2, 3] for watch in watches[:40])
        assert len(xreads(redis)) == 2


def test_a_read_loop_ends_a_little_after_the_last_has_gone(server, redis, monkeypatch):
    monkeypatch.setattr(process_tails(), "_linger", 0.2)
    with watching(server.live()):
        eventually(lambda: xreads(redis))

    eventually(lambda: not xreads(redis))
    with watching(server.live()) as watch:
        server.publish(1)
        assert watch.numbers(1) == [1]
