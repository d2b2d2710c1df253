"""The summaries of archived events that streams declare, added up by the database."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from bridges import archive_summary
from bridges.archive_summary import EventTotals
from bridges.models import ArchivedEvent, Bridge
from streams.models import Stream
from synapse.catalog.summaries import BadSummary, Summary, parse_summaries
from tests.tables import for_each

pytestmark = pytest.mark.django_db
STREAM = "inference-events"
INFERENCES = Summary(
    title="Inferences",
    completed=("inference-complete",),
    failed=("inference-error",),
    by="model_name",
    measure="latency_ms",
)


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


def last_hour(summary=INFERENCES):
    return archive_summary.totals_since(STREAM, summary, timezone.now() - timedelta(hours=1))


def inference(latency, model="classifier"):
    return {"model_name": model, "latency_ms": latency}


def test_count_mean_and_95th_percentile_of_each_model_and_of_all(keep):
    keep(*(inference(n) for n in range(1, 101)))
    keep(inference(1000, "writer"), inference(2000, "writer"))
    keep({"model_name": "writer", "error": "out of memory"}, type_="inference-error")

    found = last_hour()

    assert found.rows == [
        EventTotals(name="classifier", completed=100, failed=0, mean=50.5, p95=95.0),
        EventTotals(name="writer", completed=2, failed=1, mean=1500.0, p95=2000.0),
    ]
    assert (found.total.completed, found.total.failed, found.total.p95) == (102, 1, 97.0)
    assert found.total.mean == pytest.approx((5050 + 3000) / 102)
    assert found.cut is False


@pytest.mark.parametrize(("count", "p95"), [(1, 1), (2, 2), (19, 19), (20, 19), (21, 20), (100, 95)])
def test_the_percentile_is_the_smallest_that_95_of_100_do_not_exceed(keep, count, p95):
    keep(*(inference(n) for n in range(count, 0, -1)))

    assert last_hour().total.p95 == p95


def test_a_summary_counts_only_inferences_within_the_requested_time(keep):
    keep(inference(5), ago=3500)
    keep(inference(500), ago=3700)
    keep({"model_name": "classifier"}, type_="model-loaded")

    assert last_hour().total == EventTotals(name="", completed=1, failed=0, mean=5.0, p95=5.0)
    assert archive_summary.totals_since(STREAM, INFERENCES, timezone.now() - timedelta(days=1)).total.completed == 2


def test_latencies_that_are_no_numbers_and_models_that_are_no_names_count_as_missing(keep):
    keep(inference("45"), inference(None), inference([1]), inference(True), inference(1.5), {"latency_ms": 2})
    keep(inference(3, model=7), inference(4, model=None), inference(5, model={"a": 1}))

    found = last_hour()

    assert {row.name: (row.completed, row.mean) for row in found.rows} == {
        "classifier": (5, 1.5),
        "": (4, 3.5),
    }


def test_an_event_that_two_bridges_keep_counts_once(keep):
    ids = keep(inference(5), inference(7))
    keep(inference(5), inference(7), bridge="another", ids=ids)

    assert last_hour().total.completed == 2


def test_a_summary_is_made_of_the_newest_events_when_there_are_too_many(keep, monkeypatch):
    monkeypatch.setattr(archive_summary, "MOST_EVENTS", 10)
    keep(*(inference(1) for _ in range(10)), ago=10)
    keep(*(inference(1000) for _ in range(10)), ago=20)

    found = last_hour()

    assert (found.total.completed, found.total.mean, found.cut) == (10, 1.0, True)


def test_an_empty_archive_has_an_empty_summary():
    assert last_hour() == archive_summary.Totals(
        total=EventTotals(name="", completed=0, failed=0, mean=None, p95=None), rows=[], cut=False
    )


def test_a_summary_of_a_part_of_the_events_is_marked_as_cut(keep, monkeypatch):
    monkeypatch.setattr(archive_summary, "MOST_EVENTS", 4)
    ids = keep(inference(1), inference(2))
    assert last_hour().cut is False

    keep(inference(1), inference(2), bridge="another", ids=ids)

    assert last_hour().total.completed == 2
    assert last_hour().cut is True


def test_a_summary_of_other_types_and_properties_counts_those(keep):
    keep({"dataset": "a", "n-items": 3}, {"dataset": "a", "n-items": 5}, type_="dataset-ready")
    trainings = Summary(title="Data", completed=("dataset-ready", "other"), by="dataset", measure="n-items")

    assert last_hour(trainings).rows == [EventTotals(name="a", completed=2, failed=0, mean=4.0, p95=5.0)]
    assert last_hour(Summary(title="Data", completed=("dataset-ready",))) == archive_summary.Totals(
        total=EventTotals(name="", completed=2, failed=0, mean=None, p95=None), rows=[], cut=False
    )


@for_each(
    "values, said",
    [
        ("inferences", "A list of summaries"),
        ([{"title": "A", "completed": ["a"]}] * 6, "At most 5"),
        (["a"], "must be a mapping"),
        ([{"completed": ["a"]}], "“title” is missing"),
        ([{"title": "A"}], "“completed” is missing"),
        ([{"title": "A", "completed": "a"}], "“completed” must be a list"),
        ([{"title": "A", "completed": ["a b"]}], "“completed” must be a list"),
        ([{"title": "A", "completed": ["a"], "by": "x') --"}], "“by” must be the name"),
        ([{"title": "A", "completed": ["a"], "measure": 7}], "“measure” must be the name"),
        ([{"title": "A", "completed": ["a"], "mesure": "x"}], "did you mean “measure”?"),
        ([{"title": "A\u202e", "completed": ["a"]}], "“title” must be text"),
    ],
)
def test_an_invalid_definition_of_a_summary_is_refused_with_the_reason(values, said):
    with pytest.raises(BadSummary, match=re.escape(said)):
        parse_summaries(values)
