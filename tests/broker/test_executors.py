"""Both executors mean the same: one suite that each must pass."""

import asyncio
import os
import signal
import threading

import pytest

from synapse.redis import (
    AsyncExecutor,
    ReplyError,
    Server,
    SyncExecutor,
)
from synapse.redis.command import Job, Script, load_script
from synapse.redis.commands import streams as stream_commands
from synapse.redis.errors import RedisUnreachable, ReplyLost
from synapse.shares import AllInUse, CallerId
from tests.patience import eventually
from tests.ports import free_port
from tests.proxy import proxy_to
from tests.valkey import PASSWORD


class Waiting:
    """The asynchronous executor, used like the other one."""

    def __init__(self, server):
        self._executor = AsyncExecutor(server)
        self._runner = asyncio.Runner()

    def execute(self, words):
        return self._runner.run(self._execute(words))

    async def _execute(self, words):
        return await self._executor.execute(words)

    def run(self, conversation):
        return self._runner.run(self._executor.run(conversation))

    def close(self):
        self._runner.run(self._close())
        self._runner.close()

    async def _close(self):
        self._executor.close()


@pytest.fixture(params=[SyncExecutor, Waiting], ids=["in a thread", "on the event loop"])
def connect(request):
    """Make an executor for a server: `connect(url)`."""
    made = []

    def make(url, timeout=60.0, locate=None):
        made.append(request.param(Server(locate=locate or (lambda: url), timeout=timeout)))
        return made[-1]

    yield make
    for executor in made:
        executor.close()


@pytest.fixture
def either(connect, redis, valkey_of_session):
    return connect(valkey_of_session.url)


def test_replies_come_back_in_order_and_parsed(either):
    first, second, length = either.execute(
        [stream_commands.xadd("s", [b"n", b"1"]), stream_commands.xadd("s", [b"n", b"2"]), stream_commands.xlen("s")]
    )

    assert length == 2
    ((one, two),) = [either.execute([stream_commands.xrange("s", "-", "+", 10)])[0]]
    assert [(one.id, one.parts), (two.id, two.parts)] == [(first, [b"n", b"1"]), (second, [b"n", b"2"])]


def test_a_command_that_fails_harms_no_other(either, redis):
    redis.set("s", "not a stream")

    refused, stored = either.execute([stream_commands.xadd("s", [b"n", b"1"]), stream_commands.xadd("t", [b"n", b"1"])])

    assert isinstance(refused, ReplyError)
    assert refused.code == "WRONGTYPE"
    assert redis.xlen("t") == 1
    assert stored


def test_an_error_inside_a_transaction_is_an_error(either, redis):
    redis.set("s", "not a stream")
    append = stream_commands.xadd("s", [b"n", b"1"])

    *_, (refused,) = either.execute([stream_commands.multi(), append, stream_commands.execute([append])])

    assert isinstance(refused, ReplyError)
    assert refused.code == "WRONGTYPE"


def test_asking_nothing_is_answered_at_once(either):
    assert either.execute([]) == []


def test_a_script_that_the_server_forgot_is_sent_again_and_runs_once(either, redis):
    script = load_script("publish_together")
    append = script.call(["s"], [100, 0, "", 2, b"n", b"1"])
    either.execute([append])
    redis.script_flush()

    ((done, *ids),) = either.execute([append])

    assert (done, len(ids)) == (b"OK", 1)
    assert redis.xlen("s") == 2


def test_a_script_that_fails_says_so(either):
    broken = Script("return redis.call('XADD')", "0" * 40)

    (reply,) = either.execute([broken.call([], [])])

    assert isinstance(reply, ReplyError)


def test_a_conversation_asks_in_steps(either):
    def twice():
        (first,) = yield [stream_commands.xadd("s", [b"n", b"1"])]
        (found,) = yield [stream_commands.xrange("s", first, first, 1)]
        return found[0].parts

    assert either.run(twice()) == [b"n", b"1"]


@pytest.mark.parametrize("url", ["redis://{}", "redis+cluster://{}", "redis+sentinel://{}/primary"])
def test_a_server_that_is_not_there_is_down(connect, url):
    executor = connect(url.format(f"127.0.0.1:{free_port()}"))

    with pytest.raises(RedisUnreachable):
        executor.execute([stream_commands.ping()])


def test_a_wrong_password_is_said_to_be_one(connect, valkey_of_session):
    executor = connect(f"redis://:wrong@127.0.0.1:{valkey_of_session.port}")

    with pytest.raises(RedisUnreachable, match=r"(?i)password"):
        executor.execute([stream_commands.ping()])


def test_a_conversation_hears_that_the_server_is_down(connect):
    executor = connect(f"redis://127.0.0.1:{free_port()}")

    def careful():
        try:
            yield [stream_commands.ping()]
        except RedisUnreachable:
            return "heard"

    assert executor.run(careful()) == "heard"


def test_an_answer_that_is_lost_leaves_the_outcome_unknown_and_nothing_is_sent_twice(connect, redis, valkey_of_session):
    with proxy_to(valkey_of_session.port) as proxy:
        executor = connect(f"redis://:{PASSWORD}@127.0.0.1:{proxy.port}")
        executor.execute([stream_commands.ping()])
        proxy.drop_replies = True

        with pytest.raises(ReplyLost):
            executor.execute([stream_commands.xadd("s", [b"n", b"1"])])

    assert redis.xlen("s") == 1
    assert proxy.dropped == 1


def test_a_frozen_server_is_given_up_on_after_the_timeout(connect, own_valkey):
    executor = connect(own_valkey.url, timeout=0.2)
    executor.execute([stream_commands.ping()])
    os.kill(own_valkey.process.pid, signal.SIGSTOP)

    with pytest.raises(ReplyLost):
        executor.execute([stream_commands.xadd("s", [b"n", b"1"])])

    os.kill(own_valkey.process.pid, signal.SIGCONT)


def test_a_server_that_takes_no_writes_any_more_is_looked_for_anew(connect, own_valkey):
    looked = []

    def locate():
        looked.append(1)
        return own_valkey.url

    executor = connect(own_valkey.url, locate=locate)
    looked.clear()
    own_valkey.client().replicaof("127.0.0.1", free_port())

    for _ in range(2):
        (refused,) = executor.execute([stream_commands.xadd("s", [b"n", b"1"])])
        assert refused.code in ("READONLY", "MASTERDOWN")

    assert len(looked) == 2


def test_a_server_that_came_back_is_used_again(connect, own_valkey):
    executor = connect(own_valkey.url)
    executor.execute([stream_commands.ping()])
    own_valkey.kill()
    with pytest.raises((RedisUnreachable, ReplyLost)):
        executor.execute([stream_commands.ping()])
    with pytest.raises(RedisUnreachable):
        executor.execute([stream_commands.ping()])
    own_valkey.start()

    assert eventually(lambda: executor.execute([stream_commands.ping()]), despite=RedisUnreachable) == ["PONG"]


def test_a_job_is_done_off_the_event_loop_and_its_result_is_sent_to_the_conversation(either):
    def conversation():
        (found,) = yield Job(CallerId("service", "a"), lambda: [threading.get_ident()])
        (length,) = yield [stream_commands.xlen("s")]
        return found, length

    thread, length = either.run(conversation())

    assert length == 0
    assert (thread == threading.get_ident()) is isinstance(either, SyncExecutor)


def test_a_problem_of_a_job_is_thrown_into_the_conversation(either):
    def fail():
        raise AllInUse("All are in use.")

    def conversation():
        try:
            yield Job(CallerId("service", "a"), fail)
        except AllInUse:
            return (yield [stream_commands.xlen("s")])

    assert either.run(conversation()) == [0]
