"""Reads a group's events with as little overhead as redis-py allows: XREADGROUP, XACK, and no other work.

Run as `python -m benchmarks.peers.bare_reader URL STREAM GROUP`; prints how many there were and how long it took.
"""

import json
import sys
from time import perf_counter

import redis

COUNT = 500


def main() -> None:
    """Read the group until nothing is left."""
    url, stream, group = sys.argv[1:]
    client = redis.Redis.from_url(url)
    client.xgroup_create(stream, group, "0")
    events, begun = 0, perf_counter()
    while rows := client.xreadgroup(group, "reader", {stream: ">"}, count=COUNT):
        ids = [id_ for id_, _ in rows[0][1]]
        client.xack(stream, group, *ids)
        events += len(ids)
    json.dump({"events": events, "seconds": perf_counter() - begun}, sys.stdout)


if __name__ == "__main__":
    main()
