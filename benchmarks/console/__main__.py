"""`python -m benchmarks.console`: measure, and print each value with its limit.

`pages` makes the overview while time passes over a full hour, `many` the pages of a stream with 10,000 series,
`sampler` takes samples, `size` writes a stream's history of 30 days, `viewers` lets 50 people look at a server, and
`publish` compares publishing with the sampler and without.

An installation with 100 streams and 10 groups on each, and, where history is made up, three series in ten changing with
every sample. Values are processor time of Synapse, so that they mean something where the machine is shared; those of
pages are medians, with the 95th percentile and the highest one in brackets. The limit of a page holds for the 95th
percentile (of fewer than 20 measurements, that is the highest one). Ends with 1 when a limit is exceeded.
"""

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import django

from benchmarks.running import synapse, valkey
from synapse.runtime.process import tune_garbage_collector

PARTS = ("pages", "many", "sampler", "size", "viewers", "publish")


def main() -> int:
    """Measure the parts that are asked for. Return 1 when a value exceeds its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seconds", type=int, default=60, help="for which the server is measured")
    options = parser.parse_args()
    found = []
    with TemporaryDirectory(prefix="synapse-bench-console-") as name, valkey.serving(Path(name) / "valkey") as server:
        folder = Path(name)
        settings = synapse.environment(folder, server.endpoint.url)
        synapse.manage(folder, settings, "migrate", "--verbosity", "0")
        os.environ.update(settings)
        django.setup()
        from benchmarks.console import measures  # noqa: PLC0415 - needs Django

        # As the web server does when it starts.
        tune_garbage_collector()

        stage = measures.Stage(folder=folder, settings=settings, valkey=server, seconds=options.seconds)
        stage.define()
        for part in options.only:
            for figure in getattr(stage, part)():
                print(figure, flush=True)
                found.append(figure)
    return int(not all(figure.is_met for figure in found))


if __name__ == "__main__":
    sys.exit(main())
