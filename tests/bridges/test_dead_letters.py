"""Dead letters as people deal with them: looked at, delivered again, edited, thrown away; and every action recorded."""

import hashlib
import json
import re
from functools import partial

import pytest

from bridges import dead_letters
from bridges.dead_letters import DeadLetterCriteria, Ids, Selection, actions, queries, summaries
from core.models import AuditEntry
from synapse.auth.principal import SYSTEM, Principal
from synapse.dead_letters import error_pattern, fingerprint
from synapse.errors.delivery import BadEdit, NoSuchDeadLetter, TooManyWaiting
from synapse.errors.streams import ContractViolated, UnknownStream
from synapse.redis.commands import delivery as delivery_commands
from synapse.redis.commands.delivery import Failure
from synapse.redis.errors import RedisUnavailable, WrongType
from tests.bridges.cast import COUNTERS, DEAD, DUE, PLACE, STREAM, made_by_us, now_ms, places, read_and_die
from tests.definitions import define

OPERATOR = Principal(kind="person", name="olga")
CONTRACT = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

pytestmark = pytest.mark.django_db


@pytest.fixture
def orders(db):
    return define(STREAM, {"order-placed": CONTRACT, "order-paid": None})


@pytest.fixture
def die(redis, send, orders):
    """Let an event become a dead letter; return its id."""
    made_by_us(redis)

    def one(error="no stock", **fields):
        event_id = redis.xadd(STREAM, {"event_type": "order-placed", "n": "1", **fields}).decode()
        read_and_die(redis, "reader")
        failure = Failure(id=event_id, token="", error=error, took_ms=12, delay_ms=0, fatal=True)
        send(delivery_commands.fail(*PLACE, [failure]))
        return event_id

    return one


def letters(**wanted):
    return dead_letters.read_page(*PLACE, DeadLetterCriteria(**wanted)).letters


def recorded():
    return [
        (row.actor, row.action, row.target, row.after)
        for row in AuditEntry.objects.filter(actor=str(OPERATOR)).order_by("id")
    ]


class TestLooking:
    def test_a_dead_letter_has_its_event_its_error_its_attempts_and_its_times(self, redis, die):
        event_id = die("out of stock", source="shop")

        (letter,) = letters()

        assert letter == dead_letters.get(*PLACE, letter.id)
        assert (letter.event_id, letter.event_type, letter.source) == (event_id, "order-placed", "shop")
        assert letter.event == {"event_type": "order-placed", "n": 1, "source": "shop"}
        assert (letter.error, letter.count) == ("out of stock", 1)
        assert [(one.number, one.took_ms, one.error) for one in letter.attempts] == [(1, 12, "out of stock")]
        assert letter.first_ms == letter.last_ms <= now_ms(redis)

    def test_pages_follow_one_another_newest_first(self, die):
        ids = [die() for _ in range(5)]

        first = dead_letters.read_page(*PLACE, limit=2)
        second = dead_letters.read_page(*PLACE, limit=2, past=first.next)
        third = dead_letters.read_page(*PLACE, limit=2, past=second.next)

        found = [letter.event_id for page in (first, second, third) for letter in page.letters]
        assert found == ids[::-1]
        assert third.next is None
        assert first.total == dead_letters.count(*PLACE) == 5

    def test_dead_letters_are_filtered_by_event_type_error_and_time(self, die):
        die("timeout after 3 s")
        die("timeout after 5 s", event_type="order-paid")
        die("refused")
        newest, paid, oldest = letters()

        assert letters(event_type="order-paid") == (paid,)
        assert letters(fingerprint=paid.fingerprint) == (paid, oldest)
        assert letters(fingerprint=paid.fingerprint, event_type="order-placed") == (oldest,)
        assert letters(since_ms=newest.last_ms + 1) == ()
        assert letters(until_ms=newest.last_ms) == (newest, paid, oldest)

    def test_a_page_searches_a_bounded_number_of_dead_letters(self, die, monkeypatch):
        monkeypatch.setattr(queries, "MOST_LOOKED_AT", 2)
        monkeypatch.setattr(summaries, "MOST_LOOKED_AT", 2)
        ids = [die("rare"), die(), die()]

        first = dead_letters.read_page(*PLACE, DeadLetterCriteria(fingerprint=fingerprint("rare")))
        second = dead_letters.read_page(*PLACE, DeadLetterCriteria(fingerprint=fingerprint("rare")), past=first.next)

        assert first.letters == ()
        assert not first.complete
        assert [letter.event_id for letter in second.letters] == ids[:1]
        assert dead_letters.by_error(*PLACE, most=2).complete is False

    def test_errors_are_counted_by_their_pattern(self, die):
        for n in range(3):
            die(f"order {n} of “customer {n}” timed out after {n}.5 s")
        die("refused", event_type="order-paid")

        errors = dead_letters.by_error(*PLACE)

        assert errors.complete
        assert [(one.pattern, one.count, one.event_types) for one in errors.groups] == [
            ("order N of “…” timed out after N s", 3, ("order-placed",)),
            ("refused", 1, ("order-paid",)),
        ]
        assert errors.groups[0].example.startswith("order 2 of")

    @pytest.mark.parametrize(
        ("error", "common"),
        [
            ("after 12.5 ms", "after N ms"),
            ("no row 550e8400-e29b-41d4-a716-446655440000", "no row ID"),
            ("entry 1766570400000-0 is gone", "entry ID is gone"),
            ("digest 9f86d081884c7d65 differs", "digest ID differs"),
            ("can't read 'a b' nor \"c\" nor `d`", "can't read “…” nor “…” nor “…”"),
            ("two\nlines  of text", "two lines of text"),
            ("", ""),
        ],
    )
    def test_an_error_pattern_leaves_out_numbers_ids_and_quoted_text(self, error, common):
        assert error_pattern(error) == common

    @pytest.mark.parametrize(
        "error",
        [
            "The receiver answered: {} after 12 ms, “order 17: status 404”",
            "The receiver redirected, which is not followed: {} after 8 ms",
            "HTTPError: HTTP Error {}: for order 17",
            "ClientResponseError: {}, message='Bad', url='http://shop'",
            "Request failed with status code {}",
            "payment: HTTP/1.1 {}",
            '{{"status": {}, "order": 17}}',
            "the gateway returned {}",
        ],
    )
    def test_errors_of_different_http_statuses_have_different_patterns(self, error):
        patterns = {error_pattern(error.format(status)) for status in (302, 500, 503)}

        assert len(patterns) == 3
        assert all(re.search(r"\b(302|500|503)\b", one) and "17" not in one for one in patterns)

    def test_a_pattern_keeps_a_quoted_http_status_with_its_phrase(self):
        assert error_pattern("Server error '503 Service Unavailable' for url 'http://shop/17'") == (
            "Server error 503 Service Unavailable for url “…”"
        )

    @pytest.mark.parametrize(
        ("error", "common"),
        [
            ("returned 200 rows", "returned N rows"),
            ("order 404 is not found", "order N is not found"),
            ("took 503 ms", "took N ms"),
            ("ended with exit status 137", "ended with exit status N"),
            ("http://shop:503/", "http://shop:N/"),
            ("HTTP 50312", "HTTP N"),
            ("only 500 are left", "only N are left"),
        ],
    )
    def test_a_pattern_keeps_no_other_number_of_three_digits(self, error, common):
        assert error_pattern(error) == common

    def test_errors_with_different_statuses_have_different_fingerprints_and_an_old_fingerprint_finds_both(self, die):
        die("The receiver answered: 500 after 3 ms")
        die("The receiver answered: 503 after 4 ms")
        die("The receiver answered: 503 after 5 ms")
        newest, outage, poison = letters()
        before = hashlib.sha256(b"The receiver answered: N after N ms").hexdigest()[:12]

        assert [(one.pattern, one.count) for one in dead_letters.by_error(*PLACE).groups] == [
            ("The receiver answered: 503 after N ms", 2),
            ("The receiver answered: 500 after N ms", 1),
        ]
        assert letters(fingerprint=poison.fingerprint) == (poison,)
        assert letters(fingerprint=outage.fingerprint) == (newest, outage)
        assert letters(fingerprint=before) == (newest, outage, poison)

    def test_all_dead_letters_can_be_exported_as_lines_of_json(self, die):
        ids = [die(deep="[" * 240 + "]" * 240), die()]

        lines = [json.loads(line) for line in dead_letters.export(*PLACE).lines.splitlines()]

        assert [line["event_id"] for line in lines] == ids[::-1]
        assert lines[0]["event"] == {"event_type": "order-placed", "n": 1}
        assert lines[0]["last_attempts"][0]["error"] == "no stock"

    @pytest.mark.parametrize("id_", ["5-5", "x", "", "5", "99999999999999999999-0", "1-1 1-1", "٣-٣"])
    def test_an_unknown_id_raises_no_such_dead_letter(self, redis, orders, id_):
        with pytest.raises(NoSuchDeadLetter):
            dead_letters.get(*PLACE, id_)

    def test_a_group_without_dead_letters_or_that_does_not_exist_has_an_empty_list(self, redis, orders):
        assert letters() == ()
        assert dead_letters.count("nowhere", "nobody") == 0

    def test_a_redis_key_of_another_type_raises_wrong_type(self, redis, orders):
        redis.set(DEAD, "text")

        with pytest.raises(WrongType):
            letters()


class TestRedriving:
    def test_selected_dead_letters_are_redriven_and_the_action_is_recorded(self, redis, die):
        ids = [die(), die(), die()]
        chosen = tuple(letter.id for letter in letters()[:2])

        redriven = dead_letters.redrive(*PLACE, Ids(chosen), by=OPERATOR)

        assert (redriven.moved, redriven.cursor) == (2, None)
        assert {id_.decode() for id_ in redis.zrange(DUE, 0, -1)} == set(ids[1:])
        assert recorded() == [
            ("person:olga", "redrive", "dead letters orders/warehouse", {"count": 2, "ids": list(chosen)}),
        ]

    def test_a_preview_counts_the_selected_dead_letters_and_changes_nothing(self, redis, die):
        die()
        die("refused")
        refused, other = letters()
        preview = partial(dead_letters.preview, *PLACE, by=SYSTEM)

        assert preview(DeadLetterCriteria()) == Selection(count=2, sample=(refused.id, other.id))
        assert preview(DeadLetterCriteria(fingerprint=fingerprint("refused"))) == Selection(
            count=1, sample=(refused.id,)
        )
        assert preview(Ids((other.id, "1-1"))) == Selection(count=1, sample=(other.id,), gone=1)
        assert redis.exists(DUE) == 0
        assert recorded() == []

    def test_all_dead_letters_are_redriven_in_parts_at_a_rate(self, redis, die):
        ids = [die() for _ in range(5)]
        begun = now_ms(redis)

        parts, cursor = [], ""
        while cursor is not None:
            redriven = dead_letters.redrive(
                *PLACE, DeadLetterCriteria(), by=OPERATOR, rate=10, cursor=cursor, most=2, clock=lambda: begun / 1000
            )
            parts.append(redriven.moved)
            cursor = redriven.cursor

        assert parts == [2, 2, 1]
        assert dead_letters.count(*PLACE) == 0
        due = sorted(score - begun for _, score in redis.zrange(DUE, 0, -1, withscores=True))
        took = now_ms(redis) - begun
        assert all(100 * place <= ms <= 100 * place + took for place, ms in enumerate(due))
        assert {id_.decode() for id_ in redis.zrange(DUE, 0, -1)} == set(ids)
        assert [after["count"] for _, _, _, after in recorded()] == [2, 2, 1]

    def test_an_event_that_dies_during_a_redrive_is_not_redriven_again(self, redis, die):
        for _ in range(3):
            die()
        first = dead_letters.redrive(*PLACE, DeadLetterCriteria(), by=OPERATOR, most=2)
        again = die()

        second = dead_letters.redrive(*PLACE, DeadLetterCriteria(), by=OPERATOR, most=2, cursor=first.cursor)

        assert (first.moved, second.moved, second.cursor) == (2, 1, None)
        assert [letter.event_id for letter in letters()] == [again]

    def test_a_redrive_of_more_than_a_thousand_ids_is_refused(self, db):
        with pytest.raises(BadEdit, match="at most 1,000"):
            dead_letters.redrive(*PLACE, Ids(tuple(f"1-{n}" for n in range(1001))), by=OPERATOR)

    def test_a_redrive_counts_dead_letters_that_are_gone_waiting_or_broken(self, redis, die, send):
        die()
        (letter,) = letters()
        dead_letters.redrive(*PLACE, Ids((letter.id,)), by=OPERATOR)
        redis.xadd(DEAD, {"id": letter.event_id, "body": b""})
        redis.xadd(DEAD, {"id": "nonsense", "body": b""})

        redriven = dead_letters.redrive(*PLACE, Ids((letter.id, *(one.id for one in letters()))), by=OPERATOR)

        assert (redriven.moved, redriven.gone, redriven.waiting, redriven.broken) == (0, 1, 1, 1)
        assert recorded()[-1][1:] == (
            "redrive in part",
            "dead letters orders/warehouse",
            {"meant": 3, "done": 0, "gone": 1, "waiting": 1, "broken": 1},
        )

    def test_a_redrive_is_refused_when_the_group_has_too_many_scheduled_events(self, redis, die, monkeypatch):
        die()
        monkeypatch.setattr(actions, "MAX_WAITING", 0)

        with pytest.raises(TooManyWaiting, match="are scheduled or blocked already"):
            dead_letters.redrive(*PLACE, DeadLetterCriteria(), by=OPERATOR)
        assert dead_letters.count(*PLACE) == 1
        assert recorded() == []

    def test_an_action_that_fails_because_redis_is_unavailable_is_recorded_as_failed(self, own_valkey, db):
        define(STREAM, {})
        with own_valkey.client() as redis:
            id_ = redis.xadd(DEAD, {"id": "1-1", "body": b""}).decode()
        own_valkey.kill()

        with pytest.raises(RedisUnavailable):
            dead_letters.discard(*PLACE, Ids((id_,)), by=OPERATOR, reason="old")

        assert [action for _, action, _, _ in recorded()] == ["discard", "discard failed"]


class TestEditing:
    def test_an_edited_event_is_checked_and_goes_out_under_its_id(self, redis, die, send):
        event_id = die("n is missing", timestamp="2026-11-23T10:00:00Z", source="shop")
        (letter,) = letters()

        edited = dead_letters.redrive_edited(*PLACE, letter.id, {"event": "order-placed", "n": 8}, by=OPERATOR)

        assert edited.redriven.moved == 1
        assert edited.event == {"event_type": "order-placed", "n": 8}
        (held,) = send(delivery_commands.lease(*PLACE, "me", limit=9, lease_ms=1)).events
        fields = dict(zip(held.parts[::2], held.parts[1::2], strict=True))
        assert (held.id, held.attempt) == (event_id, 1)
        assert (fields[b"n"], fields[b"source"], fields[b"timestamp"]) == (b"8", b"shop", b"2026-11-23T10:00:00Z")
        row = AuditEntry.objects.get(action="redrive edited")
        assert row.before["event"]["n"] == 1
        assert row.after["event"] == {"event_type": "order-placed", "n": 8}

    def test_an_edited_event_that_breaks_the_contract_is_not_redriven(self, die):
        die()
        (letter,) = letters()

        with pytest.raises(ContractViolated):
            dead_letters.redrive_edited(*PLACE, letter.id, {"event_type": "order-placed", "n": "x"}, by=OPERATOR)
        assert letters() == (letter,)
        assert recorded() == []

    def test_redriving_an_edited_dead_letter_that_is_gone_raises_no_such_dead_letter(self, die):
        die()

        with pytest.raises(NoSuchDeadLetter):
            dead_letters.redrive_edited(*PLACE, "1-1", {"event_type": "order-placed", "n": 1}, by=OPERATOR)

    def test_an_edited_event_of_an_undefined_stream_is_refused(self, redis, db):
        id_ = redis.xadd(DEAD, {"id": "1-1", "body": b"1:n,1:7,"}).decode()

        with pytest.raises(UnknownStream):
            dead_letters.redrive_edited(*PLACE, id_, {"event_type": "order-placed"}, by=OPERATOR)


class TestDiscarding:
    def test_dead_letters_are_discarded_with_a_recorded_reason(self, redis, die):
        die()
        die("refused")

        gone = dead_letters.discard(
            *PLACE, DeadLetterCriteria(fingerprint=fingerprint("refused")), by=OPERATOR, reason=" known\nbug "
        )

        assert gone.count == 1
        assert [letter.error for letter in letters()] == ["no stock"]
        assert redis.hget(COUNTERS, "discarded") == b"1"
        ((_, action, _, after),) = recorded()
        assert (action, after["reason"], after["wanted"]) == (
            "discard",
            "known bug",
            {"fingerprint": fingerprint("refused")},
        )

    def test_without_a_reason_no_dead_letter_is_discarded(self, die):
        die()

        with pytest.raises(BadEdit, match="Say why"):
            dead_letters.discard(*PLACE, DeadLetterCriteria(), by=OPERATOR, reason=" \n")
        assert dead_letters.count(*PLACE) == 1


def test_each_event_is_in_one_place_after_a_redrive_and_a_discard(redis, die):
    for _ in range(4):
        die()
    redriven, discarded, *_ = letters()
    dead_letters.redrive(*PLACE, Ids((redriven.id,)), by=OPERATOR)
    dead_letters.discard(*PLACE, Ids((discarded.id,)), by=OPERATOR, reason="old")

    assert places(redis) == {"waiting": 1, "dead": 4, "discarded": 1}
    assert dead_letters.count(*PLACE) == 2
