"""Schemas that come with a request are worked on in a child process that ends when it takes too much."""

import os
import signal
import threading
from contextlib import closing

import pytest

from synapse.compatibility import (
    Direction,
    EarlierVersion,
    Mode,
    Policy,
    check,
)
from synapse.errors.contracts import (
    BadSchema,
    SandboxBusy,
    SchemaTooCostly,
    UnresolvedReference,
)
from synapse.sandbox import child, process, requests
from synapse.sandbox.messages import (
    Limits,
    Message,
    pack_answer,
    unpack_answer,
)
from synapse.sandbox.process import Sandbox
from synapse.schema.pii import MARK
from synapse.schema.validator import compile_schema
from tests.patience import eventually, that_ends
from tests.tables import for_each

INTEGERS = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
# Checking these takes some 0.2 s of a processor: the numbers hash alike, so that each is compared with each other.
UNIQUE = {"uniqueItems": True}
SLOW_EVENT = ["1-0", [2**60 + n for n in range(6_000)], None, None]


@pytest.fixture
def sandbox():
    with closing(Sandbox(Limits(seconds=1, megabytes=1024))) as made:
        yield made


def work_too_long(session):
    session.ask("begin_trial", UNIQUE, {})
    session.ask("begin_test", None, 1)
    for _ in range(100):
        session.ask("look", [SLOW_EVENT])


def test_a_session_that_takes_too_much_processor_time_is_ended_and_the_next_child_answers(sandbox):
    with that_ends(), pytest.raises(SchemaTooCostly, match="more than 1 s of a proc"), sandbox.session() as session:
        work_too_long(session)

    assert sandbox.pid is None
    assert sandbox.ask("begin_trial", INTEGERS, {}) == {"n": ["integer"]}


def test_each_caller_begins_a_new_budget_with_the_same_child(sandbox):
    pids = set()
    # More than a second together.
    for _ in range(6):
        with sandbox.session() as session:
            session.ask("begin_trial", UNIQUE, {})
            session.ask("begin_test", None, 1)
            session.ask("look", [SLOW_EVENT])
        pids.add(sandbox.pid)

    assert len(pids) == 1


def test_a_child_that_takes_too_much_memory_is_ended(sandbox):
    sandbox.limits = Limits(seconds=20, megabytes=1)

    with pytest.raises(SchemaTooCostly), sandbox.session() as session:
        session.ask("begin_trial", {"enum": ["x" * 20] * 500_000}, {})
    sandbox.limits = Limits(seconds=20, megabytes=1024)

    assert sandbox.ask("begin_trial", INTEGERS, {})


def test_no_child_is_started_before_it_is_needed(sandbox):
    assert sandbox.pid is None


def test_a_child_that_was_killed_while_it_rested_is_replaced_unseen(sandbox):
    sandbox.ask("begin_trial", INTEGERS, {})
    before = sandbox.pid
    os.kill(before, signal.SIGKILL)

    assert sandbox.ask("begin_trial", INTEGERS, {}) == {"n": ["integer"]}
    assert sandbox.pid != before


def test_a_back_test_whose_child_is_killed_says_to_ask_again(sandbox):
    with sandbox.session() as session:
        session.ask("begin_trial", INTEGERS, {})
        os.kill(sandbox.pid, signal.SIGKILL)

        with pytest.raises(SandboxBusy) as busy:
            session.ask("begin_test", None, 1)

    assert (busy.value.status, busy.value.headers["Retry-After"]) == (503, "5")


def test_a_caller_that_waits_too_long_for_the_sandbox_gets_sandbox_busy(sandbox, monkeypatch):
    monkeypatch.setattr(process, "WAIT_FOR_CHILD", 0)
    refused = []

    def ask():
        try:
            sandbox.ask("begin_trial", INTEGERS, {})
        except SandboxBusy as busy:
            refused.append(busy)

    with sandbox.session():
        other = threading.Thread(target=ask)
        other.start()
        other.join()

    assert len(refused) == 1


def test_the_child_ends_when_its_parent_has_gone(sandbox):
    sandbox.ask("begin_trial", INTEGERS, {})
    ended = sandbox._process

    sandbox._channel.close()

    assert eventually(lambda: ended.poll() is not None)
    sandbox._process = None


def test_the_child_knows_no_settings_and_no_secrets(sandbox, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "a-secret-that-the-child-does-not-need")
    sandbox.ask("begin_trial", INTEGERS, {})

    with open(f"/proc/{sandbox.pid}/environ", "rb") as environment:
        assert b"a-secret" not in environment.read()


def test_a_copy_of_the_process_leaves_the_child_to_the_first(sandbox):
    sandbox.ask("begin_trial", INTEGERS, {})
    ours = sandbox._process

    sandbox.forget()

    assert sandbox.pid is None
    assert ours.poll() is None
    ours.kill()
    ours.wait()
    sandbox._channel.close()


@for_each(
    "document, kind, words",
    [
        ({"type": "text"}, BadSchema, "Not a valid JSON Schema"),
        ({"$ref": "elsewhere"}, UnresolvedReference, "“elsewhere”"),
        ({"pattern": "(a+)+$"}, BadSchema, "exponential"),
        ({"pattern": "(x{1,999}){1,999}"}, BadSchema, "places"),
        ({"properties": {f"p{n}": {"pattern": f"^\\p{{L}}{{1,300}}{n}$"} for n in range(12)}}, BadSchema, "counted 30"),
        ({"items": {"enum": [n + 0.5 for n in range(2_000)]}}, BadSchema, "could take some"),
    ],
)
def test_a_schema_is_refused_with_the_reason_that_the_child_found(document, kind, words):
    with pytest.raises(kind, match=words):
        requests.check_schema(document, {})


def test_the_place_of_what_is_wrong_comes_along():
    with pytest.raises(BadSchema) as refused:
        requests.check_schema({"properties": {"a": {"minimum": "x"}}}, {})

    assert refused.value.members["pointer"] == "/properties/a/minimum"


def test_a_verdict_is_the_same_as_without_the_child():
    new = {**INTEGERS, "required": ["n", "m"], "properties": {"n": {"type": "integer", "maximum": 10**15}}}
    earlier = [EarlierVersion(version=3, document=INTEGERS)]
    options = {"mode": Mode.FULL, "policy": Policy.STRICT, "references": {}}

    verdict = requests.compare(new, earlier, **options)

    assert verdict == check(new, earlier, **options)
    assert not verdict.is_compatible
    assert {type(each.direction) for each in verdict.differences} == {Direction}


def test_a_back_test_quotes_nothing_that_any_version_marks():
    marks = compile_schema({"properties": {"n": {MARK: True}}}).personal

    with requests.open_trial(INTEGERS, {}) as trial:
        trial.begin(active=compile_schema({"type": "object"}), examples=3, marks=[marks])
        trial.check("1-0", {"n": "Ada Lovelace"})
        report = trial.report()

    assert (report.refused, report.newly_refused, report.refused_by_active) == (1, 1, 0)
    assert "Ada" not in str(report)
    assert report.reasons[0].examples[0].id == "1-0"


def test_two_tests_of_one_candidate_are_counted_apart():
    with requests.open_trial(INTEGERS, {}) as trial:
        refused = []
        for events in ([{}, {"n": 1}], [{"n": "x"}, {"n": 1.5}]):
            trial.begin(active=None, examples=3, marks=[])
            for number, event in enumerate(events):
                trial.check(f"{number}-0", event)
            refused.append(trial.report().refused)

    assert refused == [1, 2]


def test_the_child_answers_problems_and_values_as_values():
    asked = child.Child()

    refused = unpack_answer(child.answer_of(asked, Message("check_schema", ({"type": "text"}, {}))))
    accepted = unpack_answer(child.answer_of(asked, Message("check_schema", (INTEGERS, {}))))

    assert refused["problem"] == "BadSchema"
    assert accepted == {"value": None}


def test_numbers_of_any_size_pass_between_parent_and_child():
    assert unpack_answer(pack_answer(value=10**40)) == {"value": 10**40}
    assert Message.unpack(Message("look", ([2**63],), Limits(1, 2)).pack()) == Message("look", [[2**63]], Limits(1, 2))
