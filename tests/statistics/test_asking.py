"""`GET /stats`: its queries, its refusals, and the streams that a caller sees."""

from types import SimpleNamespace
from urllib.parse import quote

import pytest

from streams import connections
from synapse.redis import keyspace
from synapse.statistics import query
from synapse.statistics.query import MOST_POINTS, parse_span
from synapse.statistics.sampler import Sampler
from tests.statistics.conftest import START
from tests.tables import for_each

NOW = START + 3600


@pytest.fixture
def sampled(define, redis, monkeypatch):
    """Two streams with a minute of history that ends now, by the clock of the query."""
    for name in ("orders", "payments"):
        define(name)
        redis.xgroup_create(name, "billing", "$", mkstream=True)
    clock = [float(NOW - 60)]
    monkeypatch.setattr(query, "time", SimpleNamespace(time=lambda: clock[0]))
    sampler = Sampler(connections.executor, lambda: ["orders", "payments"], clock=lambda: clock[0])
    while clock[0] < NOW:
        redis.hincrby(keyspace.stats("orders"), "published", 2)
        assert sampler.step()
        clock[0] += 5


def test_the_series_of_a_stream_are_shown_with_those_of_its_groups(ask, sampled):
    answer = ask("GET", "/stats?stream=orders&from=-30s&step=5")

    assert answer.status == 200, answer.body
    found = {(each["name"], each.get("group")): each for each in answer.json["series"]}
    assert {each["stream"] for each in answer.json["series"]} == {"orders"}
    assert found["published", None] == {
        "name": "published",
        "stream": "orders",
        "kind": "counter",
        "unit": "events",
        "values": [2] * 6,
    }
    assert found["lag_events", "billing"]["exact"] is True
    assert found["lag_seconds", "billing"]["values"] == [0.0] * 6
    assert (answer.json["from"], answer.json["to"], answer.json["step"]) == (NOW - 30, NOW, 5)


def test_all_streams_show_their_own_series_and_those_that_are_named(ask, sampled):
    own = ask("GET", "/stats?from=-30s&step=10").json["series"]
    named = ask("GET", "/stats?from=-30s&step=10&series=in_flight&series=published").json["series"]

    assert {each["stream"] for each in own} == {"orders", "payments"}
    assert not any("group" in each for each in own)
    assert {(each["name"], each["stream"]) for each in named} == {
        (name, stream) for name in ("in_flight", "published") for stream in ("orders", "payments")
    }
    assert next(each for each in named if each["name"] == "published")["values"] == [4] * 3


def test_a_key_sees_its_own_stream_and_no_other(ask, sampled, key_of, settings):
    settings.AUTH = "required"
    headers = {"x-api-key": key_of("billing", subscribes=["orders"], scopes=["metrics:read"])}

    everything = ask("GET", "/stats?from=-30s", headers=headers)
    other = ask("GET", "/stats?stream=payments", headers=headers)

    assert {each["stream"] for each in everything.json["series"]} == {"orders"}
    assert other.status == 403


def test_a_refusal_does_not_tell_a_key_which_other_streams_there_are(ask, sampled, key_of, settings):
    settings.AUTH = "required"
    headers = {"x-api-key": key_of("billing", subscribes=["orders"], scopes=["metrics:read"])}

    def told(path, name):
        answer = ask("GET", f"{path}?stream={name}", headers=headers)
        return answer.status, answer.json["detail"].replace(name, "NAME")

    for path in ("/stats", "/stats/live"):
        assert told(path, "payments") == told(path, "nothing")
    unknown_group = ask("GET", "/stats?stream=orders&group=payments", headers=headers)
    assert (unknown_group.status, unknown_group.json["series"]) == (200, [])


def test_a_key_without_the_scope_sees_nothing(ask, sampled, key_of, settings):
    settings.AUTH = "required"
    answer = ask("GET", "/stats?stream=orders", headers={"x-api-key": key_of("billing", subscribes=["orders"])})

    assert (answer.status, answer.json["missing"]) == (403, "metrics:read")


@for_each(
    "question, told",
    [
        ("from=-10y", "from"),
        ("from=-4000d", "-30d"),
        ("from=1970-01-01", "-30d"),
        ("from=-1m&to=-2m", "not before"),
        ("from=-20d&step=60", "900"),
        ("step=7s", "multiple"),
        ("step=0", "multiple"),
        ("step=3605", "longer"),
        ("from=-20d&step=21d", "longer"),
        ("step=999999999d", "longer"),
        ("stream=orders&from=-30d&step=15m&to=now&x=1", "“x”"),
        ("group=billing", "stream"),
        ("series=<b>nothing</b>", "no series"),
        ("from=99999999999999999999", "“from”"),
    ],
)
def test_a_question_that_cannot_be_answered_says_what_can_be_asked(ask, sampled, question, told):
    answer = ask("GET", f"/stats?{quote(question, safe='=&')}")

    assert answer.status == 400
    assert told in answer.json["detail"]


def test_a_stream_that_is_not_defined_is_not_found(ask, sampled):
    assert ask("GET", "/stats?stream=%3Cscript%3E").status == 404


@pytest.mark.parametrize("hours", [0.01, 1, 1.5, 23, 24, 100, 720])
@pytest.mark.parametrize("usual", [60, 720])
def test_without_a_step_a_range_has_about_as_many_values_as_usual(hours, usual):
    span = parse_span({"from": f"-{int(hours * 3600)}s"}, now=NOW + 7, usual=usual)

    assert span.points <= usual
    assert span.resolution.kept + 5 >= hours * 3600
    assert span.begins <= NOW + 7 - hours * 3600 + 2 * span.step
    assert span.begins + span.points * span.step <= NOW + 7


def test_a_series_has_no_more_values_than_the_bound():
    assert parse_span({"from": "-30d", "step": "15m"}, now=NOW, usual=60).points == 2880 <= MOST_POINTS


def test_of_many_streams_a_longer_step_is_usual_and_one_with_too_many_values_is_refused(ask, sampled, monkeypatch):
    monkeypatch.setattr(query, "MOST_VALUES", 1_000)

    usual = ask("GET", "/stats")
    fine = ask("GET", "/stats?from=-30m&step=5")
    of_one_series = ask("GET", "/stats?from=-30m&step=5&series=published")

    assert (usual.status, usual.json["step"], usual.json["to"] - usual.json["from"]) == (200, 300, 3600)
    assert fine.status == 400
    assert all(told in fine.json["detail"] for told in ("14400 values", "1000 are answered", "fewer series"))
    assert of_one_series.status == 200


def test_redis_that_is_down_is_told(define, own_valkey, client):
    define("orders")
    own_valkey.kill()

    assert client.get("/stats?stream=orders").status_code == 503
