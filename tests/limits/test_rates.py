"""How often a caller may ask: counted in Redis, so that all processes count together."""

import pytest

from synapse.auth.client_ip import parse_proxies
from synapse.errors.streams import TooManyRequests
from synapse.formats.durations import Rate, parse_rate
from synapse.redis.commands.shared_values import take_token
from synapse.server import request_guard

ONE_AN_HOUR, THREE_AN_HOUR = Rate(1, 3600), Rate(3, 3600)
EVENT = '{"event_type": "order-placed"}'
PLACES = [("POST", "/events/orders"), ("GET", "/streams"), ("GET", "/registry/subjects"), ("GET", "/docs")]


@pytest.fixture
def orders(define):
    return define("orders", {"order-placed": None})


@pytest.fixture
def one(key_of):
    return {"x-api-key": key_of("shop", subscribes=["*"])}


@pytest.fixture
def two(key_of):
    return {"x-api-key": key_of("bakery", subscribes=["*"])}


@pytest.mark.parametrize(("method", "path"), PLACES)
def test_an_address_that_asks_more_often_than_it_may_is_refused_on_every_kind_of_route(
    ask, orders, settings, method, path
):
    settings.RATE_PER_ADDRESS = ONE_AN_HOUR
    first = ask(method, path, EVENT if method == "POST" else "")

    second = ask(method, path, EVENT if method == "POST" else "")

    assert first.status in (200, 201)
    assert first.headers["ratelimit"].startswith('"address";r=0;t=')
    assert (second.status, second.json["type"]) == (429, "urn:synapse:problem:too-many-requests")
    assert 3500 < int(second.headers["retry-after"]) <= 3600
    assert second.headers["ratelimit-policy"] == '"address";q=1;w=3600'


def test_every_request_counts_for_any_route_and_any_status(ask, orders, settings):
    settings.RATE_PER_ADDRESS = THREE_AN_HOUR
    answers = [ask("GET", "/nowhere"), ask("POST", "/events/orders", "{"), ask("GET", "/admin/")]

    answers.append(ask("GET", "/streams"))

    assert [answer.status for answer in answers] == [404, 400, 302, 429]
    assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0"]


def test_a_refused_publish_stores_nothing(ask, orders, settings, redis):
    settings.RATE_PER_ADDRESS = ONE_AN_HOUR

    answers = [ask("POST", "/events/orders", EVENT) for _ in range(3)]

    assert [answer.status for answer in answers] == [201, 429, 429]
    assert redis.xlen("orders") == 1


def test_each_address_is_counted_for_itself(ask, settings):
    settings.RATE_PER_ADDRESS = ONE_AN_HOUR
    settings.TRUSTED_PROXIES = parse_proxies(["127.0.0.1"])

    statuses = [ask("GET", "/streams", headers={"x-forwarded-for": f"192.0.2.{n}"}).status for n in (1, 2, 1)]

    assert statuses == [200, 200, 429]


def test_all_addresses_of_one_ipv6_network_are_one_caller(ask, settings):
    settings.RATE_PER_ADDRESS = ONE_AN_HOUR
    settings.TRUSTED_PROXIES = parse_proxies(["127.0.0.1"])

    statuses = [ask("GET", "/streams", headers={"x-forwarded-for": f"2001:db8::{n}:1"}).status for n in (1, 2)]

    assert statuses == [200, 429]


def test_inventing_addresses_does_not_raise_the_rate_limit(ask, settings):
    settings.RATE_PER_ADDRESS = ONE_AN_HOUR

    statuses = [ask("GET", "/streams", headers={"x-forwarded-for": f"192.0.2.{n}"}).status for n in (1, 2)]

    assert statuses == [200, 429]


def test_each_key_has_its_own_rate_and_requests_without_a_key_have_none(ask, settings, one, two):
    settings.RATE_PER_KEY = ONE_AN_HOUR
    statuses = [ask("GET", "/streams", headers=headers).status for headers in (one, two, one, {}, {})]

    assert statuses == [200, 200, 429, 200, 200]


def test_an_answer_names_the_rates_of_address_and_key(ask, settings, one):
    settings.RATE_PER_ADDRESS, settings.RATE_PER_KEY = THREE_AN_HOUR, ONE_AN_HOUR

    told = ask("GET", "/streams", headers=one).headers

    assert told["ratelimit-policy"] == '"address";q=3;w=3600, "key";q=1;w=3600'


@pytest.mark.parametrize("path", ["/health", "/healthz", "/readyz"])
def test_health_checks_are_not_rate_limited(ask, settings, path):
    settings.RATE_PER_ADDRESS = ONE_AN_HOUR

    assert [ask("GET", path).status for _ in range(3)] == [200, 200, 200]


def test_without_a_rate_redis_is_not_asked(ask, redis):
    before = redis.info("stats")["total_commands_processed"]

    assert "ratelimit" not in ask("GET", "/registry/subjects").headers

    # The question before, and this one.
    assert redis.info("stats")["total_commands_processed"] - before == 1


def test_requests_are_not_refused_while_redis_cannot_count_them(ask, settings, own_valkey):
    settings.RATE_PER_ADDRESS = ONE_AN_HOUR
    own_valkey.kill()

    assert [ask("GET", "/registry/subjects").status for _ in range(2)] == [200, 200]


def test_a_full_redis_causes_no_refusals(executor, redis):
    redis.config_set("maxmemory", 1)
    try:
        found = [executor.run(request_guard.take_request("address", "192.0.2.1", ONE_AN_HOUR)) for _ in range(2)]
    finally:
        redis.config_set("maxmemory", 0)

    assert len(found) == 2


def test_tokens_come_back_one_by_one(executor, redis):
    taken = [executor.execute([take_token("address", "one", count=10, seconds=36_000)])[0] for _ in range(11)]

    assert [one.allowed for one in taken] == [True] * 10 + [False]
    assert 0 < taken[-1].again <= 3600
    assert 9 * 3600 <= taken[-1].full <= 36_000


def test_a_bucket_expires_when_it_is_full_again(executor, redis):
    executor.execute([take_token("address", "one", count=10, seconds=36_000)])

    (key,) = redis.keys("syn:rate:*")
    assert 0 < redis.ttl(key) <= 3600


def test_a_clock_that_was_set_back_delays_a_caller_no_longer_than_an_empty_bucket(executor, redis):
    executor.execute([take_token("address", "one", count=10, seconds=36_000)])
    (key,) = redis.keys("syn:rate:*")
    redis.set(key, 4_000_000_000_000_000)  # the year 2096

    (taken,) = executor.execute([take_token("address", "one", count=10, seconds=36_000)])

    assert not taken.allowed
    assert taken.full <= 36_000


def test_a_refusal_says_when_to_come_back(executor, redis):
    executor.run(request_guard.take_request("key", "one", ONE_AN_HOUR))

    with pytest.raises(TooManyRequests, match="This key may send 1 requests in 3600 s") as refusal:
        executor.run(request_guard.take_request("key", "one", ONE_AN_HOUR))

    assert 3500 < int(refusal.value.headers["Retry-After"]) <= 3600


@pytest.mark.parametrize(
    ("text", "rate"), [("100/s", Rate(100, 1)), ("6000/m", Rate(6000, 60)), ("1/h", Rate(1, 3600))]
)
def test_a_rate_is_written_as_it_is_read(text, rate):
    assert parse_rate(text) == rate
    assert str(rate) == text


@pytest.mark.parametrize("text", ["", "100", "0/s", "-1/s", "1.5/s", "1/d", "1/s ", "9999999999/s"])
def test_an_invalid_rate_is_refused(text):
    with pytest.raises(ValueError, match="a rate such as"):
        parse_rate(text)
