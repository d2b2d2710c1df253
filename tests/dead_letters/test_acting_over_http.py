"""Dead letters over HTTP, to be delivered again or thrown away; each action is recorded."""

from itertools import pairwise

import orjson
import pytest

from core.models import AuditEntry
from tests.bridges.cast import STREAM

pytestmark = pytest.mark.django_db


def recorded():
    return [
        (row.actor, row.action, row.after)
        for row in AuditEntry.objects.filter(target__startswith="dead").order_by("id")
    ]


class TestRedriving:
    def test_named_ones_are_delivered_when_the_reason_is_gone(self, api, die, worker):
        _, second = die("no stock", "no stock")
        worker.sink.cured = True
        newest, _ = api.ids()

        status, answer = api.post("/redrive", {"ids": [newest]})
        worker.run_dry()

        assert status == 200
        assert (answer["redriven"], answer["left"], answer["cursor"]) == (1, 1, None)
        assert answer["results"] == [{"id": newest, "result": "redriven"}]
        assert worker.sink.ids == [second]
        assert worker.sink.attempts == [1]
        assert recorded() == [("anonymous", "redrive", {"count": 1, "ids": [newest]})]

    def test_the_same_again_is_gone_and_no_error(self, api, die):
        die("no stock")
        (id_,) = api.ids()
        api.post("/redrive", {"ids": [id_]})

        assert api.post("/redrive", {"ids": [id_]})[1]["results"] == [{"id": id_, "result": "gone"}]
        assert api.post(f"/{id_}/redrive")[1] == {"id": id_, "result": "gone"}
        assert api.post(f"/{id_}/redrive", {"event": {}})[1] == {"id": id_, "result": "gone"}

    def test_redriving_by_a_filter_takes_exactly_the_dead_letters_that_the_list_shows(self, api, die, worker):
        die("no stock", "no stock", "no stock", total=900)
        die("no stock", "no stock", total=2000)
        text = 'event.total > 1000 || (event.n == 0 && error.contains("stock"))'
        listed = [letter["event_id"] for letter in api.get(filter=text)[1]["dead_letters"]]
        meant = api.post("/redrive", {"filter": {"filter": text}, "dry_run": True})[1]
        worker.sink.cured = True

        _, answer = api.post("/redrive", {"filter": {"filter": text}})
        worker.run_dry()

        assert len(listed) == meant["count"] == answer["redriven"] == 3
        assert sorted(worker.sink.ids) == sorted(listed)
        assert answer["left"] == 2
        ((_, _, after),) = recorded()
        assert after["wanted"] == {"filter": 'event.total > 1000 || (event.n == 0 && error.contains("…"))'}

    def test_a_filter_that_cannot_be_parsed_redrives_nothing(self, api, die):
        die("no stock")

        for body in ({"filter": {"filter": "event.total = 3"}}, {"filter": {"filter": "total > 3"}}):
            status, problem = api.post("/redrive", body)
            assert (status, problem["type"]) == (400, "urn:synapse:problem:bad-filter")
        assert (len(api.ids()), recorded()) == (1, [])

    def test_all_of_an_error_go_in_parts(self, api, die, worker):
        die(*(f"order {n} timed out" for n in range(5)), "refused")
        fingerprint = api.get(groups="fingerprint")[1]["groups"][0]["fingerprint"]
        worker.sink.cured = True

        moved, cursor = [], ""
        while cursor is not None:
            _, answer = api.post("/redrive", {"filter": {"fingerprint": fingerprint}, "count": 2, "cursor": cursor})
            moved.append(answer["redriven"])
            cursor = answer["cursor"]
        worker.run_dry()

        assert sum(moved) == 5
        assert len(worker.sink.got) == 5
        assert [letter["error"] for letter in api.get()[1]["dead_letters"]] == ["ValueError: refused"]

    def test_a_dry_run_counts_and_does_nothing(self, api, die):
        die("a", "b")

        _, of_all = api.post("/redrive", {"all": True, "dry_run": True})
        _, of_some = api.post("/redrive", {"ids": [api.ids()[0], "1-1"], "dry_run": True})

        assert (of_all["count"], of_all["exact"], of_all["sample"]) == (2, True, api.ids())
        assert (of_some["count"], of_some["gone"]) == (1, 1)
        assert recorded() == []

    def test_with_a_rate_they_become_due_one_after_the_other(self, api, die, redis):
        die("a", "b", "c")

        api.post("/redrive", {"all": True, "rate": 0.5})

        due = sorted(score for _, score in redis.zrange("syn:{orders}:due:warehouse", 0, -1, withscores=True))
        assert [round(later - sooner) for sooner, later in pairwise(due)] == [2000, 2000]

    def test_an_edited_event_is_delivered_under_the_old_id(self, api, die, worker):
        (event_id,) = die("no stock")
        (id_,) = api.ids()

        status, answer = api.post(f"/{id_}/redrive", {"event": {"event_type": "order-placed", "n": 8}})
        worker.run_dry()

        assert status == 200
        assert (answer["result"], answer["check"]["state"]) == ("redriven", "kept")
        (got,) = worker.sink.got
        assert (got.id, got.event["n"]) == (event_id, 8)
        row = AuditEntry.objects.get(action="redrive edited")
        assert (row.before["event"]["n"], row.after["event"]["n"]) == (0, 8)

    @pytest.mark.parametrize(
        ("event_type", "type_"), [("order-placed", {"type": "com.example.order"}), ("order-paid", {})]
    )
    def test_an_edited_cloudevent_keeps_the_attributes_that_identify_it(self, api, die, worker, event_type, type_):
        came = {"id": "A-1", "source": "/shop", "time": "2026-01-02T03:04:05Z", "_": "t"}
        other = {"type": "com.example.order", "subject": "cart 12", "tenant": "7"}
        die("no stock", synapse_version="0", source="/shop", synapse_cloudevent=orjson.dumps(came | other))

        status, _ = api.post(f"/{api.ids()[0]}/redrive", {"event": {"event_type": event_type, "n": 8}})
        worker.run_dry()

        assert status == 200
        (got,) = worker.sink.got
        assert (got.event["n"], got.entry.cloudevent) == (8, came | type_)

    def test_a_native_event_that_is_edited_does_not_become_a_cloudevent(self, api, die, worker):
        die("no stock", synapse_cloudevent='{"id":"A-1","source":"/shop"}')

        api.post(f"/{api.ids()[0]}/redrive", {"event": {"event_type": "order-placed", "n": 8}})
        worker.run_dry()

        (got,) = worker.sink.got
        assert got.entry.cloudevent is None

    @pytest.mark.parametrize("first", ["1700000000000000000", str(2**64 - 1)])
    def test_an_edited_event_whose_id_is_no_moment_is_delivered_without_a_time(self, api, worker, redis, first):
        redis.xadd(STREAM, {"event_type": "order-placed", "n": 1, "mood": "no stock"}, id=f"{first}-1")
        worker.run_dry()
        (id_,) = api.ids()
        worker.sink.cured = True

        status, answer = api.post(f"/{id_}/redrive", {"event": {"event_type": "order-placed", "n": 2}})
        worker.run_dry()

        assert (status, answer["result"]) == (200, "redriven")
        (delivered,) = worker.sink.got
        assert (delivered.event["n"], delivered.timestamp) == (2, None)

    def test_an_edited_event_that_breaks_its_contract_stays_where_it_is(self, api, die):
        die("no stock")
        (id_,) = api.ids()
        broken = {"event": {"event_type": "order-placed", "n": "x"}}

        status, problem = api.post(f"/{id_}/redrive", broken)
        _, checked = api.post(f"/{id_}/redrive", {**broken, "dry_run": True})

        assert (status, problem["violations"][0]["pointer"]) == (422, "/n")
        assert checked["check"]["violations"][0]["pointer"] == "/n"
        assert api.ids() == [id_]

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"ids": []},
            {"ids": ["x"]},
            {"ids": ["1-1"] * 1001},
            {"ids": ["1-1"], "all": True},
            {"all": False},
            {"all": 1},
            {"filter": {}},
            {"filter": {"colour": "red"}},
            {"filter": {"event_type": 3}},
            {"filter": {"since": "soon"}},
            {"all": True, "rate": 0},
            {"all": True, "count": 0},
            {"all": True, "cursor": "x"},
            {"all": True, "fliter": {}},
        ],
        ids=lambda body: str(body)[:40],
    )
    def test_a_request_that_cannot_be_used_does_nothing(self, api, die, body):
        die("no stock")

        status, problem = api.post("/redrive", body)

        assert (status, "parameter" in problem) == (400, True)
        assert len(api.ids()) == 1
        assert recorded() == []

    @pytest.mark.parametrize("event", [None, [], 3, {"event_type": "order-placed", "synapse_x": 1}, {"n": 1}])
    def test_an_edited_dead_letter_that_is_no_event_is_refused(self, api, die, event):
        die("no stock")

        assert api.post(f"/{api.ids()[0]}/redrive", {"event": event})[0] in (400, 422)
        assert len(api.ids()) == 1


class TestDiscarding:
    def test_discarding_by_a_filter_keeps_the_other_dead_letters(self, api, die):
        die("no stock", "no stock", "no stock")

        _, answer = api.post("/discard", {"filter": {"filter": "event.n < 2"}, "reason": "test orders"})

        assert (answer["discarded"], answer["left"]) == (2, 1)
        assert [letter["event_id"] for letter in api.get(filter="event.n == 2")[1]["dead_letters"]] != []

    def test_discarded_dead_letters_are_gone_for_good_and_the_reason_is_recorded(self, api, die, redis):
        die("no stock", "no stock")
        ids = api.ids()

        status, answer = api.post("/discard", {"ids": [*ids, "1-1"], "reason": "test orders"})

        assert status == 200
        assert answer == {"discarded": 2, "gone": 1, "left": 0, "cursor": None}
        assert redis.hget("syn:{orders}:cnt:warehouse", "discarded") == b"2"
        first, rest = recorded()
        assert first[2] == {"count": 3, "ids": [*ids, "1-1"], "reason": "test orders"}
        assert rest[1:] == ("discard in part", {"meant": 3, "done": 2, "gone": 1})

    def test_a_dead_letter_is_discarded_once(self, api, die):
        die("no stock")
        (id_,) = api.ids()

        assert api.post(f"/{id_}/discard", {"reason": "old"})[1] == {"id": id_, "result": "discarded"}
        assert api.post(f"/{id_}/discard", {"reason": "old"})[1] == {"id": id_, "result": "gone"}

    @pytest.mark.parametrize("reason", [{}, {"reason": " "}])
    def test_without_a_reason_no_dead_letter_is_discarded(self, api, die, reason):
        die("no stock")

        assert api.post("/discard", {"all": True, **reason})[0] == 422
        assert api.post(f"/{api.ids()[0]}/discard", reason)[0] == 422
        assert len(api.ids()) == 1

    def test_a_dry_run_needs_no_reason(self, api, die):
        die("no stock")

        assert api.post("/discard", {"all": True, "dry_run": True})[1]["count"] == 1


@pytest.mark.parametrize("path", ["/redrive", "/discard"])
def test_without_redis_nothing_is_done(api, no_redis, path):
    body = {"all": True, "reason": "old"} if path == "/discard" else {"all": True}

    assert api.post(path, body)[0] == 503
    assert recorded() == []


def test_a_group_that_is_none_is_not_found(api):
    assert api.post("/redrive", {"all": True})[0] == 404
    assert api.post("/discard", {"all": True, "reason": "old"})[0] == 404
    assert api.post("/1-1/redrive")[0] == 404
