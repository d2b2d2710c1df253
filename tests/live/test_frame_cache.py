"""Frames of entries, rendered once for all who read them at about the same time."""

import pytest

from synapse.live import Frame, frame_cache
from synapse.live.frame_cache import FrameCache
from synapse.live.positions import encode_position
from synapse.redis.commands.streams import Entry
from synapse.wire.ids import parse

CATALOG, CHANGED = object(), object()


@pytest.fixture
def rendered():
    """What was rendered: streams and ids."""
    return []


@pytest.fixture
def cache(rendered):
    def render(stream, entry, catalog):
        rendered.append((stream, entry.id))
        id_ = parse(entry.id)
        return Frame(
            stream=stream, id=id_, part=encode_position(stream, id_), event_type="", body=b"".join(entry.parts)
        )

    return FrameCache(render)


def entry(id_="1-0", value=b"1"):
    return Entry(id_, [b"n", value])


def test_an_entry_that_many_read_is_rendered_once(cache, rendered):
    frames = {id(cache.frame_of("orders", entry(), CATALOG)) for _ in range(3)}

    assert (len(frames), rendered) == (1, [("orders", "1-0")])


def test_streams_and_ids_are_told_apart(cache, rendered):
    for stream, id_ in (("orders", "1-0"), ("orders", "1-1"), ("parcels", "1-0")):
        assert cache.frame_of(stream, entry(id_), CATALOG).stream == stream

    assert len(rendered) == 3


def test_another_entry_of_the_same_id_is_rendered_anew(cache):
    bodies = [cache.frame_of("orders", entry(value=value), CATALOG).body for value in (b"1", b"2", b"2", b"1")]

    assert bodies == [b"n1", b"n2", b"n2", b"n1"]
    assert cache.bytes == 4


def test_a_frame_of_another_catalog_is_not_reused(cache, rendered):
    cache.frame_of("orders", entry(), CATALOG)
    cache.frame_of("orders", entry(), CHANGED)
    cache.frame_of("orders", entry(), CHANGED)

    assert len(rendered) == 2


def test_the_cache_is_bounded_and_drops_the_oldest_frame_first(cache, rendered, monkeypatch):
    monkeypatch.setattr(frame_cache, "MOST_BYTES", 2 * 202)
    monkeypatch.setattr(frame_cache, "LARGEST_BYTES", 300)
    for id_ in ("1-0", "2-0", "3-0"):
        cache.frame_of("orders", entry(id_, b"x" * 100), CATALOG)
    cache.frame_of("orders", entry("4-0", b"x" * 1000), CATALOG)
    rendered.clear()

    for id_, size in (("3-0", 100), ("2-0", 100), ("4-0", 1000), ("1-0", 100)):
        cache.frame_of("orders", entry(id_, b"x" * size), CATALOG)

    assert [id_ for _, id_ in rendered] == ["4-0", "1-0"]
    assert cache.bytes == 2 * 202
