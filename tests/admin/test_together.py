"""Several conversations share their round trips, and one that fails does not stop the others."""

import pytest

from streams.connections import ask_all
from synapse.errors.streams import BrokerDown, UnknownStream
from synapse.http.redis_problems import FAILURES
from synapse.redis.command import together
from synapse.redis.commands import streams as stream_commands
from synapse.redis.errors import RedisUnreachable


def asks(*steps):
    """Ask for the replies to each step's commands, and return all of them."""
    found = []
    for step in steps:
        found += yield [stream_commands.xlen(name) for name in step]
    return found


def fails(after=0):
    for _ in range(after):
        yield [stream_commands.ping()]
    raise UnknownStream("nowhere")


def hold(conversation, answer):
    """Answer each command of a conversation by its words; return the round trips and the result."""
    sent = []
    asked = next(conversation)
    while True:
        sent.append([command.words[-1] for command in asked])
        try:
            asked = conversation.send([answer(words) for words in sent[-1]])
        except StopIteration as end:
            return sent, end.value


def test_each_round_trip_carries_the_commands_of_all_conversations():
    sent, found = hold(together({"one": asks("ab", "c"), "two": asks("d"), "none": asks()}), str.upper)

    assert sent == [["a", "b", "d"], ["c"]]
    assert found == {"one": ["A", "B", "C"], "two": ["D"], "none": []}


@pytest.mark.parametrize("after", [0, 1])
def test_a_failing_conversation_yields_its_error_in_place_of_a_result(after):
    _, found = hold(together({"bad": fails(after), "good": asks("a", "b")}, failures=FAILURES), str)

    assert isinstance(found["bad"], UnknownStream)
    assert found["good"] == ["a", "b"]


def test_a_lost_connection_is_the_result_of_each_conversation_that_had_asked():
    conversation = together({"one": asks("a"), "two": asks("b"), "none": asks()})
    next(conversation)

    with pytest.raises(StopIteration) as end:
        conversation.throw(RedisUnreachable("It is gone."))

    assert [type(found) for found in end.value.value.values()] == [RedisUnreachable, RedisUnreachable, list]


def test_an_unreachable_redis_is_a_result_and_no_exception(no_redis):
    found = ask_all({"one": asks("a")})

    assert isinstance(found["one"], BrokerDown)
