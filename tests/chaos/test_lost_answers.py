"""Any request, and any answer, may be lost, come late, or never come: no event is lost, and none is in two places."""

import pytest

from synapse.redis import Server, SyncExecutor
from synapse.redis.commands.publishing import publish_once
from synapse.redis.errors import RedisUnavailable
from tests.bridges.cast import STREAM
from tests.chaos.acts import ACTS, does_it_again, in_every_place
from tests.chaos.scene import ASKED, Handler, asked
from tests.proxy import Fault, proxy_to
from tests.valkey import PASSWORD

KINDS = ("drop request", "drop reply", "delay", "half-open")
TIMEOUT = 0.2


@pytest.fixture
def proxy(valkey_of_session):
    with proxy_to(valkey_of_session.port) as proxy:
        yield proxy


@pytest.fixture
def through(proxy):
    """An executor whose every word goes through the proxy."""
    server = Server(locate=lambda: f"redis://:{PASSWORD}@127.0.0.1:{proxy.port}/0", timeout=TIMEOUT)
    executor = SyncExecutor(server)
    yield executor
    executor.close()


@pytest.mark.product("kind")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", [what for what in ASKED if what != "leave"])
def test_the_worker_asks_again_and_finds_everything_where_it_should_be(scene, proxy, through, what, kind):
    proxy.fault = Fault(kind, lambda words: asked(words) == what, seconds=2 * TIMEOUT)
    worker = scene.worker(through, Handler(scene.folder))

    scene.run_dry(worker, through)

    assert proxy.fault.happened
    scene.check_the_end()


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_that_leaves_and_is_not_heard_leaves_nothing_behind_that_matters(scene, proxy, through, kind):
    proxy.fault = Fault(kind, lambda words: asked(words) == "leave", seconds=2 * TIMEOUT)

    scene.run_dry(scene.worker(through, Handler(scene.folder)), through)

    scene.check_the_end()


@pytest.mark.product("kind")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("act", ACTS)
def test_an_act_on_a_group_whose_reply_was_lost_can_be_repeated(scene, executor, proxy, through, act, kind):
    in_every_place(scene, executor)
    proxy.fault = Fault(kind, lambda words: asked(words) == ACTS[act].script, seconds=2 * TIMEOUT)

    with pytest.raises(RedisUnavailable):
        ACTS[act].do(through)

    does_it_again(scene, executor, ACTS[act])


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_is_stored_once_though_its_publisher_had_to_ask_again(redis, proxy, through, kind):
    proxy.fault = Fault(kind, lambda words: words[0] == b"EVALSHA", seconds=2 * TIMEOUT)
    command = publish_once(STREAM, [b"n", b"1"], who="shop", key="k", fingerprint="f", window_ms=60_000)
    redis.script_load(command.otherwise.words[1])

    with pytest.raises(RedisUnavailable):
        through.execute([command])
    (once,) = through.execute([command])

    assert once.outcome == ("stored" if kind == "drop request" else "repeated")
    assert [id_.decode() for id_, _ in redis.xrange(STREAM)] == [once.id]
