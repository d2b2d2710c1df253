"""Dead letters over HTTP, to be looked at: pages, filters, together by error, one of them, a file."""

import json

import orjson
import pytest

from tests.bridges.cast import STREAM
from tests.definitions import define
from tests.tables import for_each

pytestmark = pytest.mark.django_db


def test_a_dead_letter_is_listed_with_its_error_and_its_attempts(api, die):
    (event_id,) = die("no stock")

    status, page = api.get()

    assert status == 200
    assert (page["stream"], page["group"], page["total"], page["next"]) == (STREAM, "warehouse", 1, None)
    (letter,) = page["dead_letters"]
    assert (letter["event_id"], letter["event_type"], letter["attempts"]) == (event_id, "order-placed", 2)
    assert letter["error"] == "ValueError: no stock"
    assert letter["first_failed_at"] <= letter["last_failed_at"]


@pytest.mark.parametrize(("order", "cursor"), [("newest", "before"), ("oldest", "after")])
def test_pages_follow_one_another_in_either_order(api, die, order, cursor):
    ids = die(*"abcde")

    found, past = [], ""
    while past is not None:
        _, page = api.get(order=order, count=2, **{cursor: past})
        found += [letter["event_id"] for letter in page["dead_letters"]]
        past = page["next"]

    assert found == (ids if order == "oldest" else ids[::-1])


def test_dead_letters_are_filtered_by_event_type_error_and_time(api, die):
    die("timeout after 3 s")
    (paid,) = die("timeout after 5 s", event_type="order-paid")
    _, page = api.get()
    newest, _ = page["dead_letters"]

    assert [letter["event_id"] for letter in api.get(event_type="order-paid")[1]["dead_letters"]] == [paid]
    assert len(api.ids(fingerprint=newest["fingerprint"])) == 2
    assert api.ids(since="2100-01-01") == []
    assert len(api.ids(until="2100-01-01", since="2020-01-01T00:00:00Z")) == 2


def test_dead_letters_are_filtered_by_an_expression(api, die):
    first, second = die("no stock", "timeout after 5 s", total=900)
    die("no stock", total=2000, event_type="order-paid")

    def found(text):
        return [letter["event_id"] for letter in api.get(filter=text)[1]["dead_letters"]]

    assert found("event.total < 1000") == [second, first]
    assert found('event.total < 1000 && error.contains("stock") && attempts == 2') == [first]
    assert found('event_type == "order-paid" && group == "warehouse" && stream == "orders"') != []
    assert found(f'event_id == "{second}" && last_attempts[0].number == 1 && has(data.total)') == [second]
    assert found('first_failed_at < "2020"') == []
    assert [one["count"] for one in api.get(filter="event.total < 1000", groups="fingerprint")[1]["groups"]] == [1, 1]


def test_a_filtered_page_continues_behind_what_it_looked_at(api, die, monkeypatch):
    monkeypatch.setattr("bridges.dead_letters.queries.MOST_LOOKED_AT", 2)
    wanted, *_ = die("a", "b", "c", "d")

    first = api.get(filter="event.n == 0")[1]
    second = api.get(filter="event.n == 0", before=first["next"])[1]

    assert (first["dead_letters"], first["complete"]) == ([], False)
    assert [letter["event_id"] for letter in second["dead_letters"]] == [wanted]


def test_a_filter_that_cannot_be_parsed_is_400_and_names_what_a_dead_letter_has(api, worker):
    status, problem = api.get(filter="tries > 3")

    assert (status, problem["type"], problem["position"]) == (400, "urn:synapse:problem:bad-filter", 1)
    assert "there are event, error, attempts, fingerprint" in problem["detail"]
    assert api.get(filter="event.n = 3", format="ndjson")[0] == 400


def test_lines_of_json_are_those_that_the_filter_lets_through(api, die, client):
    die("a", "b", "c")

    lines = client.get(api.base, {"format": "ndjson", "filter": "event.n >= 1"}).content.splitlines()

    assert [orjson.loads(line)["event"]["n"] for line in lines] == [2, 1]


def test_together_by_error_each_has_a_count_its_newest_and_an_example(api, die):
    die("order 7 timed out", "order 8 timed out", "refused")

    status, found = api.get(groups="fingerprint")

    assert (status, found["total"], found["complete"]) == (200, 3, True)
    assert [(one["pattern"], one["count"]) for one in found["groups"]] == [
        ("ValueError: order N timed out", 2),
        ("ValueError: refused", 1),
    ]
    frequent, _ = found["groups"]
    assert frequent["example"] == "ValueError: order 8 timed out"
    assert api.get(f"/{frequent['newest']}")[1]["error"] == frequent["example"]


def test_a_dead_letter_has_its_event_its_fields_and_each_attempt(api, die):
    die("no stock", source="shop")

    status, letter = api.get(f"/{api.ids()[0]}")

    assert status == 200
    assert letter["event"] == {"event_type": "order-placed", "n": 0, "mood": "no stock", "source": "shop"}
    assert letter["data"] == {"event_type": "order-placed", "n": "0", "mood": "no stock", "source": "shop"}
    assert [(one["number"], one["error"]) for one in letter["last_attempts"]] == [
        (1, "ValueError: no stock"),
        (2, "ValueError: no stock"),
    ]
    assert letter["check"] == {"state": "kept", "contract_version": 1, "detail": None, "violations": []}


def test_a_dead_letter_that_breaks_the_contract_names_the_place(api, die, redis, worker):
    redis.xadd(STREAM, {"event_type": "order-placed", "n": "seven", "mood": "no number"})
    worker.run_dry()

    _, letter = api.get(f"/{api.ids()[0]}")

    assert letter["check"]["state"] == "broken"
    assert [found["pointer"] for found in letter["check"]["violations"]] == ["/n"]


def test_all_come_as_lines_of_json_and_a_link_leads_on(api, die, client, monkeypatch):
    from bridges.dead_letters import summaries

    die("a", "b", "c")
    monkeypatch.setattr(summaries, "MOST_BYTES", 1)

    errors, address = [], f"{api.base}?format=ndjson"
    while address:
        answer = client.get(address)
        assert answer.headers["content-type"] == "application/x-ndjson"
        errors += [json.loads(line)["error"] for line in answer.content.splitlines()]
        link = answer.headers.get("link", "")
        assert not link or link.endswith('>; rel="next"')
        address = f"{api.base}{link[1:].partition('>')[0]}" if link else ""

    assert errors == ["ValueError: c", "ValueError: b", "ValueError: a"]


@for_each(
    "query",
    [
        {"count": "0"},
        {"count": "201"},
        {"order": "random"},
        {"since": "soon"},
        {"fingerprint": "x"},
        {"groups": "colour"},
        {"format": "xml"},
        {"before": "x"},
        {"order": "oldest", "after": "99999999999999999999-1"},
    ],
)
def test_a_parameter_that_cannot_be_used_is_refused(api, query):
    status, problem = api.get(**query)

    assert status == 400
    assert problem["parameter"]


def test_a_group_that_is_none_is_not_found(api, client):
    status, problem = api.get()

    assert (status, problem["type"]) == (404, "urn:synapse:problem:unknown-group")
    assert client.get("/streams/nowhere/groups/warehouse/dead-letters").status_code == 404


def test_a_group_without_any_is_empty(api, worker):
    assert api.get()[1]["dead_letters"] == []
    assert api.get("/1-1")[0] == 404
    assert api.get("/x")[0] == 400


def test_a_key_that_holds_something_else_is_told(api, worker, redis):
    redis.set("syn:{orders}:dlq:warehouse", "text")

    assert api.get()[0] == 409


@pytest.mark.parametrize("path", ["", "/1-1"])
def test_without_redis_the_answer_says_to_come_back(api, no_redis, path):
    status, problem = api.get(path)

    assert (status, problem["type"]) == (503, "urn:synapse:problem:redis-down")


def test_an_event_type_that_is_not_defined_any_more_is_still_shown(api, die):
    die("odd", event_type="order-cancelled")
    define("others")

    _, letter = api.get(f"/{api.ids()[0]}")

    assert letter["check"]["state"] == "unchecked"
