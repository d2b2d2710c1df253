"""Values made once for all things of a kind."""

from synapse.wire.fast_decoder import SecondHitCache


def test_the_first_of_a_kind_is_noted_and_the_second_is_told():
    kinds = SecondHitCache(2)

    assert [kinds.seen_before("a"), kinds.seen_before("b"), kinds.seen_before("a")] == [False, False, True]


def test_a_value_made_for_a_kind_is_kept():
    kinds = SecondHitCache(2)

    assert kinds.keep("a", 1) == 1
    assert kinds.made == {"a": 1}


def test_when_there_are_too_many_all_are_forgotten():
    kinds = SecondHitCache(2)
    for kind in "abc":
        kinds.seen_before(kind)
        kinds.keep(kind, kind)

    assert kinds.made == {"c": "c"}
    assert not kinds.seen_before("a")
    assert kinds.seen_before("c")
