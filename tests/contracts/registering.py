"""A program that registers schemas as fast as it can, beside others that do the same: see test_registering_at_once."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import django

django.setup()

from django.db import connection  # noqa: E402 - models need the setup

from contracts import registry  # noqa: E402
from synapse.auth.principal import SYSTEM  # noqa: E402
from tests.chaos.profile import FULL  # noqa: E402

THREADS = 3 if FULL else 2
EACH = 4


def registered(subject: str, text: str) -> list[object]:
    """Register a text and return the subject, the text, its number and its id."""
    version = registry.find_or_register(subject, registry.Content(text=text), by=SYSTEM)
    return [subject, text, version.number, version.schema_id]


def work(name: str) -> list[list[object]]:
    """Register texts that nobody else has under the subject of all; texts of all under it and one's own subject."""
    done = []
    for round_ in range(EACH):
        done.append(registered("shared", json.dumps({"title": f"{name} {round_}"})))
        done.append(registered("shared", json.dumps({"title": f"everybody's {round_}"})))
        done.append(registered(f"own-{name}", json.dumps({"title": f"everybody's {round_}"})))
    connection.close()
    return done


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(work, [f"{sys.argv[1]}-{number}" for number in range(THREADS)]))
    print(json.dumps([each for result in results for each in result]))
