"""Metrics: JSON for people and programs, Prometheus' format for Prometheus."""

import re
import time
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from streams import background_tasks
from streams.api.operations import Inference
from streams.snapshot import holder
from synapse.metrics import METRICS, MOST_LAG, wanted_format
from synapse.redis import SyncExecutor
from tests.inspect.traffic import little_read
from tests.tables import for_each

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;"
    "q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
AXIOS = "application/json, text/plain, */*"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture(autouse=True)
def orders(define):
    return define("orders", {"order-placed": {"required": ["n"]}})


@pytest.fixture
def ask(event_loop_client):
    """The front door hands this route to Django, so one way is both."""
    return event_loop_client


@pytest.fixture
def inference_events(define):
    return define("inference-events", {"inference-complete": None})


def figures(ask):
    """Return the JSON form."""
    answer = ask("GET", "/metrics")
    assert answer.status == 200
    return answer.json


def samples(ask):
    """Return the samples of the text form, by name and labels."""
    text = ask("GET", "/metrics", headers={"accept": "text/plain; version=0.0.4"}).body.decode()
    return {
        (
            sample.name,
            *(sample.labels[label] for label in ("stream", "group", "reason") if label in sample.labels),
        ): sample.value
        for family in parse_text(text)
        for sample in family.samples
    }


def infer(redis, **fields):
    redis.xadd("inference-events", {"event": "inference-complete", **fields})


@for_each(
    "accept",
    [
        *("", "*/*", "application/json", AXIOS, BROWSER, "text/html", "text/plainly;version=1"),
        *("application/json, text/plain; charset=utf-8", "nonsense;;=,,"),
        *("text/plain;version=0.0.4;q=0.1, application/json", "text/plain;q=0", "application/openmetrics-text;q=0"),
        *("application/openmetrics-text;version=1.0.0;q=0.4, application/json;q=0.9", "*/*, text/plain;q=0.9"),
    ],
)
def test_json_is_for_programs_and_people(accept):
    assert wanted_format(accept) is None


@for_each(
    "accept",
    [
        *(PROMETHEUS_2, PROMETHEUS_3, "text/plain", "text/plain;version=0.0.4", "Text/Plain; Version=0.0.4"),
        *("text/plain; charset=utf-8; version=0.0.4", "application/openmetrics-text", "text/plain, */*;q=0.1"),
        *("text/plain, application/json;q=0.5", "application/json, text/plain;version=0.0.4", "text/*"),
        "application/openmetrics-text;version=9.9.9",
    ],
)
def test_prometheus_format_is_for_clients_that_accept_it(accept):
    assert wanted_format(accept) is not None


def test_the_json_form_has_the_statistics_of_every_stream(ask, define, redis):
    define("parcels")
    redis.xadd("parcels", {"n": 1}, id="5-0")

    found = figures(ask)

    assert found["total_streams"] == 2
    assert found["streams"]["parcels"] == {
        "name": "parcels",
        "length": 1,
        "groups": 0,
        "first_entry": ["5-0", {"n": "1"}],
        "last_entry": ["5-0", {"n": "1"}],
        "counters": {"published": 0, "refused": 0, "warned": 0, "unregistered": 0, "duplicates": 0},
        "refused_by_reason": {},
    }


def test_inferences_of_the_last_hour_are_summed_up(ask, redis, inference_events):
    old = int((time.time() - 3700) * 1000)
    redis.xadd("inference-events", {"event": "inference-complete", "latency_ms": "9000"}, id=f"{old}-0")
    infer(redis, latency_ms="40.5", tokens_used="100")
    ask("POST", "/events/inference-events", '{"event_type":"inference-complete","latency_ms":50,"tokens_used":7}')
    redis.xadd("inference-events", {"event": "inference-error", "latency_ms": "9000"})
    redis.xadd("inference-events", {"created": "2024-01-01"})

    assert figures(ask)["inference_metrics"] == {
        "total_inferences": 2,
        "avg_latency_ms": 45.25,
        "total_tokens": 107,
        "time_window_minutes": 60,
        "sampled": True,
    }


def test_without_inferences_the_sums_are_zero(ask):
    assert figures(ask)["inference_metrics"]["total_inferences"] == 0
    assert figures(ask)["inference_metrics"]["avg_latency_ms"] == 0


def test_nonsense_in_inference_events_is_left_out_of_the_sums(ask, redis, inference_events):
    for latency in ("nan", "inf", "soon", "true", "1e999", "9" * 400, b"\xff"):
        infer(redis, latency_ms=latency, tokens_used=latency)
    infer(redis, latency_ms="10", tokens_used="-5")

    found = figures(ask)["inference_metrics"]

    assert (found["total_inferences"], found["avg_latency_ms"], found["total_tokens"]) == (8, 10.0, 0)


def test_at_most_the_newest_thousand_inferences_are_looked_at(ask, redis, inference_events):
    with redis.pipeline(transaction=False) as pipe:
        for _ in range(1100):
            pipe.xadd("inference-events", {"event": "inference-complete", "latency_ms": 1})
        pipe.execute()

    assert figures(ask)["inference_metrics"]["total_inferences"] == 1000


def test_the_sums_are_remembered_for_five_seconds(executor: SyncExecutor, redis, inference_events):
    inference = Inference()

    def total(now):
        return executor.run(inference.metrics(holder.current(), now=now))["total_inferences"]

    now = time.time()
    infer(redis)
    assert total(now) == 1
    infer(redis)
    assert total(now + 4.9) == 1
    assert total(now + 5) == 2


@for_each(
    "accept, content_type",
    [
        ("text/plain; version=0.0.4", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0;q=0.1, text/plain;version=0.0.4;q=0.9",
            "text/plain; version=0.0.4; charset=utf-8",
        ),
        (
            "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;q=0.75",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        ("application/openmetrics-text;version=9.9.9", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=2.0.0, text/plain;q=0.1", "text/plain; version=0.0.4; charset=utf-8"),
        ("Application/OpenMetrics-Text", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("text/plain; version=oops", "text/plain; version=0.0.4; charset=utf-8"),
        (PROMETHEUS_2, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"),
        (PROMETHEUS_3, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"),
    ],
)
def test_prometheus_gets_the_version_of_its_format_that_it_asks_for(ask, accept, content_type):
    answer = ask("GET", "/metrics", headers={"accept": accept})

    assert answer.status == 200
    assert answer.headers["content-type"] == content_type
    assert "accept" in answer.headers["vary"].lower()
    parse = parse_openmetrics if "openmetrics" in content_type else parse_text
    names = {sample.name for family in parse(answer.body.decode()) for sample in family.samples}
    assert {"synapse_stream_events", "synapse_events_published_total"} < names


def test_counters_and_lengths_are_those_in_redis(ask, define, redis):
    define("loose", {"known": {"required": ["n"]}}, enforcement="warn")
    begun = int(time.time() * 1000) / 1000
    for body in ('{"event_type":"order-placed","n":1}', '{"event_type":"order-placed"}'):
        ask("POST", "/events/orders", body)
    for body in ('{"event_type":"known"}', '{"event_type":"unheard-of"}'):
        ask("POST", "/events/loose", body)
    background_tasks.flush_counters()

    found = samples(ask)

    assert found["synapse_events_published_total", "orders"] == 1
    assert found["synapse_events_refused_total", "orders", "contract-violated"] == 1
    assert found["synapse_events_refused_total", "orders", "stream-full"] == 0
    assert found["synapse_events_refused_total", "orders", "other"] == 0
    assert found["synapse_events_published_total", "loose"] == 2
    assert found["synapse_events_warned_total", "loose"] == 1
    assert found["synapse_events_unregistered_total", "loose"] == 1
    assert found["synapse_stream_events", "loose"] == 2
    assert begun <= found["synapse_stream_last_event_timestamp_seconds", "loose"] <= time.time()


def test_a_full_stream_shows_its_limit_and_what_it_refuses(ask, define, redis):
    define("orders", hard_length=1, when_full="reject")
    redis.hset("syn:{orders}:stats", "refused", 5)  # from before there were reasons
    for _ in range(3):
        ask("POST", "/events/orders", '{"event_type":"order-placed","n":1}')
    background_tasks.flush_counters()

    found = samples(ask)

    assert (found["synapse_stream_events", "orders"], found["synapse_stream_limit_events", "orders"]) == (1, 1)
    assert found["synapse_events_refused_total", "orders", "stream-full"] == 2
    assert found["synapse_events_refused_total", "orders", "other"] == 5


def test_groups_are_measured(ask, redis):
    now_ms = int(time.time() * 1000)
    for second in (30, 20, 10):
        redis.xadd("orders", {"n": second}, id=f"{now_ms - second * 1000}-0")
    redis.xgroup_create("orders", "billing", "0")
    redis.xreadgroup("billing", "anna", {"orders": ">"}, count=1)

    found = samples(ask)

    assert found["synapse_stream_groups", "orders"] == 1
    assert found["synapse_group_consumers", "orders", "billing"] == 1
    assert found["synapse_group_pending_events", "orders", "billing"] == 1
    assert found["synapse_group_lag_events", "orders", "billing"] == 2
    assert 20 <= found["synapse_group_lag_seconds", "orders", "billing"] <= 20 + time.time() - now_ms / 1000
    assert now_ms / 1000 - 1 <= found["synapse_group_last_poll_timestamp_seconds", "orders", "billing"] <= time.time()


def test_a_group_without_readers_has_no_last_poll(ask, redis):
    redis.xgroup_create("orders", "billing", "0", mkstream=True)

    assert ("synapse_group_last_poll_timestamp_seconds", "orders", "billing") not in samples(ask)


def test_a_key_that_holds_something_else_is_measured_as_unreadable(ask, define, redis):
    define("taken")
    redis.set("taken", "by another program")
    redis.set("syn:{orders}:stats", "nonsense")

    found = samples(ask)

    assert found["synapse_stream_readable", "taken"] == 0
    assert found["synapse_stream_readable", "orders"] == 1
    assert ("synapse_stream_last_event_timestamp_seconds", "orders") not in found
    assert figures(ask)["streams"]["taken"]["error"]


def test_a_long_stream_makes_no_large_answer(ask, redis, inference_events):
    script = "for i = 1, 250000 do redis.call('XADD', KEYS[1], '*', 'event', 'inference-complete', 'n', i) end"
    redis.eval(script, 1, "inference-events")
    redis.xgroup_create("inference-events", "behind", "0")

    for form in (figures, samples):
        with little_read(redis):
            found = form(ask)

    assert found["synapse_stream_events", "inference-events"] == 250_000
    assert found["synapse_group_lag_events", "inference-events", "behind"] == MOST_LAG


def test_the_outcomes_of_a_groups_events_are_exported(ask, redis, inference_events):
    redis.xadd("inference-events", {"event": "inference-complete"})
    redis.xgroup_create("inference-events", "shop", "0")
    own = "syn:{inference-events}:%s:shop"
    counted = {"done": 7, "retried": 3, "dead": 2, "reaped": 1, "expired": 4, "parked": 5, "lost_trimmed": 6}
    redis.hset(own % "cnt", mapping={**counted, "groups_recreated": 1, "made_by": "a run"})
    begun = time.time()
    redis.zadd(own % "due", {"1-1": (begun - 60) * 1000, "1-2": (begun + 3600) * 1000})
    redis.xadd(own % "dlq", {"id": "1-0"})

    found = samples(ask)

    def of(name):
        return found[f"synapse_group_{name}", "inference-events", "shop"]

    assert [of(f"{name}_total") for name in ("delivered", "retried", "dead", "reaped", "lease_expiries", "lost")] == [
        *(7, 3, 2, 1, 4, 6)
    ]
    assert [of(name) for name in ("waiting_events", "parked_events", "dead_letters", "recreated_total")] == [2, 5, 1, 1]
    assert 59 < of("overdue_seconds") <= 60 + time.time() - begun


def test_somebody_elses_keys_in_place_of_a_groups_count_nothing(ask, redis, inference_events):
    redis.xgroup_create("inference-events", "shop", "0", mkstream=True)
    for kind in ("cnt", "due", "dlq"):
        redis.set(f"syn:{{inference-events}}:{kind}:shop", "text")

    found = samples(ask)

    assert found["synapse_group_delivered_total", "inference-events", "shop"] == 0
    assert found["synapse_group_waiting_events", "inference-events", "shop"] == 0


def test_every_metric_is_documented_as_it_is():
    reference = Path(__file__, "../../../docs/reference/metrics.md").resolve().read_text(encoding="utf-8")

    rows = dict(re.findall(r"^\| `(synapse_\w+)` \| (.+) \|$", reference, re.MULTILINE))
    assert rows == {
        metric.name: f"{metric.kind} | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.meaning}"
        for metric in METRICS
    }


def test_labels_never_hold_what_publishers_make_up(ask):
    labels = {label for metric in METRICS for label in metric.labels}

    assert labels <= {"stream", "group", "reason", "class", "resource", "rule", "state"}
