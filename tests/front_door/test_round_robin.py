"""A queue in which callers take turns."""

from synapse.shares.fair_pool import RoundRobinQueue


def queue_of(*pairs):
    queue = RoundRobinQueue()
    for caller, item in pairs:
        queue.add(caller, item)
    return queue


def drained(queue, may_have=lambda _: True):
    items = []
    while (found := queue.take_next(may_have)) is not None:
        items.append(found[1])
    return items


def test_callers_take_turns_however_much_each_has_waiting():
    queue = queue_of(("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1"), ("b", "b2"))

    assert drained(queue) == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert len(queue) == 0


def test_a_caller_that_may_not_have_a_turn_is_passed_over_and_keeps_its_items():
    queue = queue_of(("a", "a1"), ("b", "b1"), ("a", "a2"))

    assert drained(queue, may_have=lambda caller: caller == "b") == ["b1"]
    assert len(queue) == 2
    assert drained(queue) == ["a1", "a2"]


def test_an_item_that_is_removed_is_never_taken_and_one_that_is_gone_is_no_error():
    queue = queue_of(("a", "a1"), ("a", "a2"), ("b", "b1"))

    queue.remove("a", "a1")
    queue.remove("b", "b1")
    queue.remove("b", "b1")

    assert drained(queue) == ["a2"]


def test_a_postponed_caller_comes_after_all_others():
    queue = queue_of(("a", "a1"), ("b", "b1"))

    queue.postpone("a")

    assert drained(queue) == ["b1", "a1"]
