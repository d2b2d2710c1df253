"""Values made once for all things of a kind."""

from synapse.runtime.second_hit_cache import Kinds


def test_the_first_of_a_kind_is_noted_and_the_second_is_told():
    kinds = Kinds(2)

    assert [kinds.comes_again("a"), kinds.comes_again("b"), kinds.comes_again("a")] == [False, False, True]


def test_a_value_made_for_a_kind_is_kept():
    kinds = Kinds(2)

    assert kinds.keep("a", 1) == 1
    assert kinds.made == {"a": 1}


def test_when_there_are_too_many_all_are_forgotten():
    kinds = Kinds(2)
    for kind in "abc":
        kinds.comes_again(kind)
        kinds.keep(kind, kind)

    assert kinds.made == {"c": "c"}
    assert not kinds.comes_again("a")
    assert kinds.comes_again("c")
