"""`GET /stats/live`: each sample over one connection, of the streams that the caller may see."""

import httpx
import pytest

from streams.access import key_issuance
from streams.live import statistics
from streams.models import Key, Stream
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM
from synapse.redis import keyspace
from tests.access.conftest import bearer
from tests.live.server import running_server, watching
from tests.patience import eventually
from tests.proxy import Fault, proxy_to
from tests.statistics.conftest import Scene
from tests.tables import for_each
from tests.valkey import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(statistics, "LOOK_EVERY", 0.01)


@pytest.fixture
def scene(redis, define):
    for name in ("orders", "payments"):
        define(name)
        redis.xgroup_create(name, "billing", "$", mkstream=True)
    scene = Scene(redis, streams=["orders", "payments"])
    scene.sample(2)
    return scene


@pytest.fixture
def server(scene):
    holder.refresh()
    with running_server() as running:
        yield running


def live(server, query=""):
    return f"{server.url}/stats/live{query}"


def test_changes_of_all_streams_are_sent_over_one_connection(server, scene):
    with watching(live(server)) as watch:
        scene.publish(3)
        scene.count("refused:stream-full", 2)
        scene.redis.xreadgroup("billing", "one", {"orders": ">"}, count=1)
        scene.redis.hset("syn:{payments}:cnt:billing", "retried", 2)
        at = scene.now
        scene.sample()
        told = watch.next()

    assert (told.name, told.id) == ("sample", str(at))
    assert {name: told.data[name] for name in ("at", "step", "follows")} == {"at": at, "step": 5, "follows": True}
    assert told.data["streams"]["payments"] == {"groups": {"billing": {"retried": 2, "failed": 2, "attempts": 2}}}
    orders = told.data["streams"]["orders"]
    assert (orders["published"], orders["length"], orders["refused"]) == (3, 3, {"stream-full": 2})
    assert orders["groups"]["billing"].pop("lag_seconds") > 0
    assert orders["groups"] == {"billing": {"in_flight": 1, "lag_events": 2}}


def test_the_live_values_are_those_that_history_answers(server, scene):
    with watching(live(server)) as watch:
        found = []
        for count in (3, 1, 4):
            scene.publish(count)
            scene.sample()
            found.append(watch.next().data["streams"]["orders"])

    assert [each["published"] for each in found] == scene.row("published", steps=3) == [3, 1, 4]
    assert [each["length"] for each in found] == scene.row("length", steps=3)


def test_growth_is_not_told_after_a_gap(server, scene):
    with watching(live(server)) as watch:
        scene.now += 20
        scene.publish(3)
        scene.sample()
        told = watch.next().data

    assert told["follows"] is False
    assert "published" not in told["streams"]["orders"]
    assert told["streams"]["orders"]["length"] == 3


def test_only_the_streams_and_series_that_are_asked_for_are_told(server, scene):
    with watching(live(server), stream="orders", series=["published", "lag_events"]) as watch:
        scene.publish(2)
        scene.publish(2, stream="payments")
        scene.sample()
        told = watch.next().data["streams"]

    assert told == {"orders": {"published": 2, "groups": {"billing": {"lag_events": 2}}}}


def test_a_key_is_told_of_its_own_stream_and_of_no_other(server, scene, key_of, settings):
    settings.AUTH = "required"
    key = bearer(key_of("billing", subscribes=["orders"], scopes=["metrics:read"]))
    holder.refresh()

    with watching(live(server), headers=key) as watch:
        scene.publish(2)
        scene.publish(2, stream="payments")
        scene.sample()
        told = watch.next().data["streams"]

    assert set(told) == {"orders"}
    assert httpx.get(live(server, "?stream=payments"), headers=key).status_code == 403


def test_a_key_that_is_revoked_ends_its_connection(server, scene, key_of, settings):
    settings.AUTH = "required"
    key = bearer(key_of("billing", subscribes=["orders"], scopes=["metrics:read"]))
    holder.refresh()

    with watching(live(server), headers=key) as watch:
        key_issuance.revoke("billing", Key.objects.get().key_id, by=SYSTEM)
        holder.refresh()

        assert [frame.name for frame in watch.rest()][-1:] == ["bye"]


def test_a_ticket_opens_one_connection_and_none_of_another_kind(server, scene, key_of, settings):
    settings.AUTH = "required"
    key = bearer(key_of("billing", subscribes=["orders"], scopes=["metrics:read"]))
    holder.refresh()
    of_stats, of_stream = (
        httpx.post(f"{server.url}{path}/live-ticket", headers=key).json()["ticket"]
        for path in ("/stats", "/streams/orders")
    )

    with watching(live(server), ticket=of_stats) as watch:
        scene.publish(2)
        scene.sample()
        assert set(watch.next().data["streams"]) == {"orders"}

    assert httpx.get(live(server, f"?ticket={of_stats}")).status_code == 401
    assert httpx.get(live(server, f"?ticket={of_stream}")).status_code == 401


def test_a_connection_outlives_redis(own_valkey, define, settings):
    define("orders")
    holder.refresh()
    settings.LIVE_HEARTBEAT = 0.02
    with own_valkey.client() as client, running_server() as server, watching(live(server)) as watch:
        own_valkey.kill()
        while watch.frame().comment != "heartbeat":
            pass
        own_valkey.start()
        scene = Scene(client)
        scene.publish(3)
        scene.sample()

        assert watch.next().data["streams"]["orders"]["length"] == 3


@pytest.mark.parametrize("kind", ["drop reply", "delay", "half-open"])
def test_a_connection_outlives_a_reply_of_redis_that_is_lost_late_or_never_comes(
    valkey_of_session, redis, define, settings, kind
):
    define("orders")
    holder.refresh()
    settings.REDIS_TIMEOUT = 0.2
    with proxy_to(valkey_of_session.port) as proxy:
        settings.REDIS_URL = f"redis://:{PASSWORD}@127.0.0.1:{proxy.port}/0"
        with running_server() as server, watching(live(server)) as watch:
            fault = Fault(kind, lambda words: words[1:] == [keyspace.LATEST_SAMPLE.encode()], seconds=0.4)
            proxy.fault = fault
            eventually(lambda: fault.happened)
            scene = Scene(redis)
            scene.publish(3)
            scene.sample()

            assert watch.next().data["streams"]["orders"]["length"] == 3


def test_a_redis_that_lost_everything_is_a_gap_and_then_told_again(server, scene):
    with watching(live(server)) as watch:
        scene.publish(3)
        scene.sample()
        watch.next()
        scene.redis.flushall()
        scene.publish(1)
        scene.sample()
        lost = watch.next().data
        scene.publish(2)
        scene.sample()
        after = watch.next().data

    assert (lost["follows"], lost["streams"]["orders"]["length"]) == (False, 1)
    assert "published" not in lost["streams"]["orders"]
    assert (after["follows"], after["streams"]["orders"]["published"]) == (True, 2)


@pytest.mark.parametrize("jump", [-7200, -60, 86_400])
def test_a_clock_that_jumps_is_a_gap_and_then_told_again(server, scene, jump):
    with watching(live(server)) as watch:
        scene.now += jump
        scene.publish(3)
        scene.sample()
        jumped = watch.next()
        scene.publish(2)
        scene.sample()
        after = watch.next()

    assert (jumped.data["follows"], after.data["follows"]) == (False, True)
    assert (int(after.id), after.data["streams"]["orders"]["published"]) == (int(jumped.id) + 5, 2)


def test_a_stream_that_is_deleted_while_it_is_watched_is_told_of_no_more(server, scene):
    with watching(live(server)) as watch, watching(live(server), stream="orders") as of_one:
        Stream.objects.get(name="orders").delete()
        holder.refresh()
        scene.publish(2)
        scene.publish(2, stream="payments")
        scene.sample()
        told, told_of_one = watch.next().data["streams"], of_one.next().data["streams"]

    assert set(told) == {"payments"}
    assert told_of_one == {}
    assert httpx.get(live(server, "?stream=orders")).status_code == 404


def test_names_cannot_end_a_frame_or_begin_another(server, scene):
    name = "<script>alert(1)</script>\n\nevent: bye\ndata: {}\r"
    scene.redis.xgroup_create("orders", name, "0")
    scene.count(f"refused:{name}")
    told = []
    with watching(live(server)) as watch:
        for _ in range(2):
            scene.publish(1)
            scene.count(f"refused:{name}")
            scene.sample()
            told.append(watch.next())

    assert [frame.name for frame in told] == ["sample", "sample"]
    assert told[1].data["streams"]["orders"]["refused"] == {name: 1}
    assert told[1].data["streams"]["orders"]["groups"][name]["lag_events"] == 2


def test_the_server_that_stops_says_so(server, scene):
    with watching(live(server)) as watch:
        server.server.should_exit = True

        assert watch.rest()[-1].data == {"reason": "the server stops"}


@for_each("query", ["?series=nothing", "?stream=%3Cb%3E", "?since=1"])
def test_a_question_that_cannot_be_answered_is_refused(server, query):
    assert httpx.get(live(server, query)).status_code in (400, 404)
