"""Many callers on one event loop share one connection; each gets its own replies."""

import asyncio
import random

import pytest

from synapse.redis import AsyncExecutor, ReplyError, Server
from synapse.redis.commands import streams as stream_commands
from synapse.redis.errors import QueueFull, RedisUnreachable, ReplyLost
from tests.patience import eventually


@pytest.fixture
def server(redis, valkey_of_session):
    return Server(locate=lambda: valkey_of_session.url, timeout=60)


def test_replies_reach_their_callers_with_mixed_sizes_and_failures(server, redis):
    redis.set("not-a-stream", "x")
    chance = random.Random(1)

    async def publish(executor, number):
        size = chance.choice([1, 10, 100_000])
        stream = "not-a-stream" if number % 7 == 0 else "s"
        replies = await executor.execute(
            [stream_commands.xadd(stream, [b"n", b"%d" % number, b"x", b"y" * size])] * chance.choice([1, 3])
        )
        return number, replies

    async def work():
        executor = AsyncExecutor(server)
        answers = await asyncio.gather(*(publish(executor, number) for number in range(300)))
        executor.close()
        return answers

    answers = asyncio.run(work())

    stored = {entry_id.decode(): int(fields[b"n"]) for entry_id, fields in redis.xrange("s")}
    for number, replies in answers:
        if number % 7 == 0:
            assert all(isinstance(reply, ReplyError) for reply in replies)
        else:
            assert [stored.pop(reply) for reply in replies] == [number] * len(replies)
    assert not stored


def test_a_caller_that_cannot_take_its_reply_leaves_the_others_theirs(server, redis, caplog):
    def ask():
        yield [stream_commands.ping()]
        return "asked"

    def cannot(_):
        raise RuntimeError("a fault")

    async def work():
        executor = AsyncExecutor(server)
        await executor.execute([stream_commands.ping()])
        executor.begin(ask(), cannot, cannot)
        found = await executor.execute([stream_commands.xlen("s")])
        executor.close()
        return found

    assert asyncio.run(work()) == [0]
    assert "a fault" in caplog.text


def test_a_caller_that_goes_away_leaves_the_others_their_replies(server, redis):
    async def work():
        executor = AsyncExecutor(server)
        await executor.execute([stream_commands.ping()])
        gone = asyncio.create_task(executor.execute([stream_commands.xadd("s", [b"n", b"1"])]))
        stays = asyncio.create_task(executor.execute([stream_commands.xlen("s")]))
        await asyncio.sleep(0)
        gone.cancel()
        reply = await stays
        executor.close()
        return reply

    assert asyncio.run(work()) == [1]


def test_callers_are_refused_at_once_when_too_much_is_waiting(server):
    async def work():
        executor = AsyncExecutor(server, max_pending=10)
        await executor.execute([stream_commands.ping()])
        waiting = [asyncio.create_task(executor.execute([stream_commands.ping()] * 5)) for _ in range(3)]
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        executor.close()
        return answers

    first, second, third = asyncio.run(work())

    assert first == second == ["PONG"] * 5
    assert isinstance(third, QueueFull)


def test_callers_that_come_together_share_one_attempt_to_connect(server):
    opened = []

    class Counted(Server):
        async def open(self):
            opened.append(1)
            return await super().open()

    async def work():
        executor = AsyncExecutor(Counted(locate=server.locate, timeout=60))
        await asyncio.gather(*(executor.execute([stream_commands.ping()]) for _ in range(20)))
        executor.close()

    asyncio.run(work())

    assert len(opened) == 1


def test_a_connection_that_waits_for_the_answer_to_its_password_is_closed_with_the_executor():
    async def work():
        begun, ended = asyncio.Event(), asyncio.Event()

        async def be_silent(reader, writer):
            await reader.read(1)
            begun.set()
            await reader.read()
            ended.set()
            writer.close()

        async with await asyncio.start_server(be_silent, "127.0.0.1", 0) as listener:
            port = listener.sockets[0].getsockname()[1]
            executor = AsyncExecutor(Server(locate=lambda: f"redis://:x@127.0.0.1:{port}/0", timeout=60))
            asked = asyncio.create_task(executor.execute([stream_commands.ping()]))
            await begun.wait()
            executor.close()
            async with asyncio.timeout(60):
                await ended.wait()
        with pytest.raises(asyncio.CancelledError):
            await asked

    asyncio.run(work())


def test_a_connection_that_has_just_been_opened_is_closed_with_the_executor(server, redis):
    class ClosedMeanwhile(Server):
        async def open(self):
            opened = await super().open()
            asyncio.get_running_loop().call_soon(executor.close)
            return opened

    executor = AsyncExecutor(ClosedMeanwhile(locate=server.locate, timeout=60))
    others = {client["id"] for client in redis.client_list()}

    async def work():
        with pytest.raises((RedisUnreachable, ReplyLost)):
            await executor.execute([stream_commands.ping()])

    asyncio.run(work())

    eventually(lambda: others.issuperset(client["id"] for client in redis.client_list()))


def test_a_command_that_cannot_be_sent_shifts_nobodys_replies(server):
    async def work():
        executor = AsyncExecutor(server)
        await executor.execute([stream_commands.ping()])
        calls = [[stream_commands.ping(), stream_commands.xlen("\ud800")], [stream_commands.xlen("s")]]
        answers = await asyncio.gather(*map(executor.execute, calls), return_exceptions=True)
        executor.close()
        return answers

    bad, good = asyncio.run(work())

    assert isinstance(bad, UnicodeEncodeError)
    assert good == [0]


def test_a_busy_event_loop_does_not_look_like_a_slow_server(valkey_of_session, redis):
    quick = Server(locate=lambda: valkey_of_session.url, timeout=0.1)

    async def work():
        executor = AsyncExecutor(quick)
        await executor.execute([stream_commands.ping()])
        waiting = asyncio.create_task(executor.execute([stream_commands.xadd("s", [b"n", b"1"])]))
        await asyncio.sleep(0)
        until = asyncio.get_running_loop().time() + 0.3
        while asyncio.get_running_loop().time() < until:
            pass  # another request that keeps the loop, before this one was written
        answer = await waiting
        executor.close()
        return answer

    assert len(asyncio.run(work())) == 1
