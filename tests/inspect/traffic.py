"""The bytes that Redis sends for an answer: a cost that does not depend on the machine."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis as redis_py


@contextmanager
def little_read(redis: redis_py.Redis) -> Iterator[None]:
    """Fail when Redis sends more than 256 KiB while the block lasts."""
    before = redis.info("stats")["total_net_output_bytes"]
    yield
    assert redis.info("stats")["total_net_output_bytes"] - before < 256 * 1024
