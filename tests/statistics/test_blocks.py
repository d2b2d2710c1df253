"""Blocks give back exactly the values put into them."""

from hypothesis import given
from hypothesis import strategies as st

from synapse.statistics.block import STEPS, Block, unpack
from synapse.statistics.series import Key, Selection

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
keys = st.builds(Key, st.integers(1, 2000), texts, texts)
values = st.dictionaries(keys, st.integers(-(10**18), 10**18), max_size=5)


@given(base=values, steps=st.dictionaries(st.integers(0, STEPS - 1), values, max_size=8))
def test_a_block_gives_back_the_value_of_each_series_at_each_step(base, steps):
    block, current, expected = Block(base), dict(base), []
    for step in range(STEPS):
        current = steps.get(step, current)
        block.record(step, current)
        expected.append(current)

    for packed in (block.pack(), block.pack(is_complete=True), block.pack(is_complete=True, is_dense=True)):
        found = unpack(packed)

        assert found is not None
        for key in {key for at in expected for key in at}:
            assert found.columns[key].values() == [at.get(key) for at in expected]
        assert found.values == current
        assert found.last_step == block.last_step


@given(st.binary(max_size=60))
def test_bytes_that_are_no_block_are_none_or_some_block_and_never_an_error(data):
    found = unpack(data)

    assert found is None or isinstance(found, Block)


@given(values, st.integers(0, 300), st.booleans())
def test_a_block_that_was_cut_short_is_never_an_error(base, size, is_dense):
    unpack(Block(base).pack(is_dense=is_dense)[:size])


def test_a_series_that_grows_a_little_at_every_step_takes_a_byte_a_step():
    block = Block({Key(1): 0})
    for step in range(STEPS):
        block.record(step, {Key(1): 7 * (step + 1)})

    assert len(block.pack()) - len(Block({Key(1): 0}).pack()) == STEPS


def test_only_the_wanted_series_are_unpacked():
    packed = Block({Key(1): 5, Key(2, "billing"): 6}).pack()

    assert unpack(packed, Selection(frozenset((1, 2)), frozenset(("billing",)))).values == {Key(2, "billing"): 6}
