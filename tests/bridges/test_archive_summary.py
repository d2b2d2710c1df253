"""The summary of archived inference events, added up by the database."""

from datetime import timedelta

import pytest
from django.utils import timezone

from bridges import inference_summary
from bridges.inference_summary import Row
from bridges.models import ArchivedEvent, Bridge
from streams.models import Stream

pytestmark = pytest.mark.django_db


@pytest.fixture
def keep():
    """Keep inference events: `keep({"model_name": "a", "latency_ms": 5}, ago=60)`; `ago` in seconds."""
    stream = Stream.objects.create(name="inference-events")
    bridges = {}
    number = iter(range(1_000_000))

    def keep(*events, ago=60, type_="inference-complete", bridge="archive", ids=None):
        row = bridges.setdefault(bridge, None) or Bridge.objects.create(
            name=bridge, stream=stream, group=bridge, sink="database"
        )
        bridges[bridge] = row
        moment = timezone.now() - timedelta(seconds=ago)
        ids = ids or [f"17-{next(number)}" for _ in events]
        ArchivedEvent.objects.bulk_create(
            ArchivedEvent(
                bridge=row,
                stream="inference-events",
                entry_id=id_,
                event_type=type_,
                event=event,
                occurred_at=moment,
                published_at=moment,
            )
            for id_, event in zip(ids, events, strict=True)
        )
        return ids

    return keep


def last_hour():
    return inference_summary.since(timezone.now() - timedelta(hours=1))


def inference(latency, model="classifier"):
    return {"model_name": model, "latency_ms": latency}


def test_count_mean_and_95th_percentile_of_each_model_and_of_all(keep):
    keep(*(inference(n) for n in range(1, 101)))
    keep(inference(1000, "writer"), inference(2000, "writer"))
    keep({"model_name": "writer", "error": "out of memory"}, type_="inference-error")

    found = last_hour()

    assert found.models == [
        Row(model="classifier", complete=100, errors=0, mean_ms=50.5, p95_ms=95.0),
        Row(model="writer", complete=2, errors=1, mean_ms=1500.0, p95_ms=2000.0),
    ]
    assert (found.total.complete, found.total.errors, found.total.p95_ms) == (102, 1, 97.0)
    assert found.total.mean_ms == pytest.approx((5050 + 3000) / 102)
    assert found.cut is False


@pytest.mark.parametrize(("count", "p95"), [(1, 1), (2, 2), (19, 19), (20, 19), (21, 20), (100, 95)])
def test_the_percentile_is_the_smallest_that_95_of_100_do_not_exceed(keep, count, p95):
    keep(*(inference(n) for n in range(count, 0, -1)))

    assert last_hour().total.p95_ms == p95


def test_only_the_time_that_is_asked_for_counts_and_only_inferences(keep):
    keep(inference(5), ago=3500)
    keep(inference(500), ago=3700)
    keep({"model_name": "classifier"}, type_="model-loaded")

    assert last_hour().total == Row(model="", complete=1, errors=0, mean_ms=5.0, p95_ms=5.0)
    assert inference_summary.since(timezone.now() - timedelta(days=1)).total.complete == 2


def test_latencies_that_are_no_numbers_and_models_that_are_no_names_count_as_missing(keep):
    keep(inference("45"), inference(None), inference([1]), inference(True), inference(1.5), {"latency_ms": 2})
    keep(inference(3, model=7), inference(4, model=None), inference(5, model={"a": 1}))

    found = last_hour()

    assert {row.model: (row.complete, row.mean_ms) for row in found.models} == {
        "classifier": (5, 1.5),
        "": (4, 3.5),
    }


def test_an_event_that_two_bridges_keep_counts_once(keep):
    ids = keep(inference(5), inference(7))
    keep(inference(5), inference(7), bridge="another", ids=ids)

    assert last_hour().total.complete == 2


def test_the_newest_of_many_are_looked_at(keep, monkeypatch):
    monkeypatch.setattr(inference_summary, "MOST_EVENTS", 10)
    keep(*(inference(1) for _ in range(10)), ago=10)
    keep(*(inference(1000) for _ in range(10)), ago=20)

    found = last_hour()

    assert (found.total.complete, found.total.mean_ms, found.cut) == (10, 1.0, True)


def test_an_empty_archive_has_an_empty_summary():
    assert last_hour() == inference_summary.Summary(
        total=Row(model="", complete=0, errors=0, mean_ms=None, p95_ms=None), models=[], cut=False
    )


def test_a_summary_that_did_not_look_at_all_events_says_so(keep, monkeypatch):
    monkeypatch.setattr(inference_summary, "MOST_EVENTS", 4)
    ids = keep(inference(1), inference(2))
    assert last_hour().cut is False

    keep(inference(1), inference(2), bridge="another", ids=ids)

    assert last_hour().total.complete == 2
    assert last_hour().cut is True
