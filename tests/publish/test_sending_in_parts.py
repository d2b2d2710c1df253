"""A stored batch goes to Redis in parts, so that other requests come between; the stored events are known."""

import pytest

from synapse.catalog.stream_definitions import StreamDefinition
from synapse.errors.streams import BrokerDown, OutcomeUnknown
from synapse.publishing import storage
from synapse.redis.commands import streams as stream_commands
from synapse.redis.errors import ReplyLost

STREAM = StreamDefinition(name="orders")
APPENDS = [stream_commands.xadd_packed_now("orders", ["event_type", "order-placed", "text", "x" * 10_000])] * 60


def hold(conversation, *answers):
    """Answer each question of a conversation by the next of `answers`; return the questions and the result."""
    asked = []
    waiting = list(answers)
    try:
        question = next(conversation)
        while True:
            if not question:
                question = conversation.send([])
                continue
            asked.append(question)
            answer = waiting.pop(0) if waiting else None
            if isinstance(answer, Exception):
                question = conversation.throw(answer)
            else:
                question = conversation.send(
                    [1 if each.barrier else f"{len(asked)}-{place}" for place, each in enumerate(question)]
                )
    except StopIteration as end:
        return asked, end.value


def test_many_bytes_go_in_several_parts_and_in_their_order():
    asked, fates = hold(storage.append(STREAM, APPENDS))

    sizes = [sum(len(command.packed) for command in part) for part in asked]
    assert len(asked) > 2
    assert max(sizes) < 256 * 1024 + 15_000
    assert [fate.id.partition("-")[0] for fate in fates] == sorted(fate.id.partition("-")[0] for fate in fates)
    assert len(fates) == 60


def test_few_events_go_at_once_for_any_content():
    asked, fates = hold(storage.append(STREAM, APPENDS[:20]))

    assert len(asked) == 1
    assert len(fates) == 20


def test_events_of_parts_that_were_answered_are_stored_and_the_others_say_what_became_of_them():
    lost = ReplyLost("The connection was lost.")

    asked, fates = hold(storage.append(STREAM, APPENDS), None, lost)

    first, second = map(len, asked)
    assert all(isinstance(fate, storage.Stored) for fate in fates[:first])
    assert [str(fate) for fate in fates[first : first + second]] == [str(lost)] * second
    assert {type(fate) for fate in fates[first : first + second]} == {OutcomeUnknown}
    assert {type(fate) for fate in fates[first + second :]} == {BrokerDown}
    assert len(fates) == 60


def test_redis_that_goes_away_before_anything_is_known_is_a_problem_of_the_whole_batch():
    with pytest.raises(ReplyLost):
        hold(storage.append(STREAM, APPENDS), ReplyLost("The connection was lost."))


def test_a_barrier_goes_behind_the_last_part_and_doubt_is_told_of_all_when_it_is_lost():
    stream = StreamDefinition(name="orders", durability="local")
    entries = [["event_type", "order-placed", "text", "x" * 10_000]] * 30

    asked, _ = hold(storage.store(stream, entries))
    _, fates = hold(storage.store(stream, entries), None, ReplyLost("The connection was lost."))

    assert [part[-1].barrier for part in asked] == [False] * (len(asked) - 1) + [True]
    assert fates[0].doubt is not None
    assert isinstance(fates[-1], BrokerDown | OutcomeUnknown)
