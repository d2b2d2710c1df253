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
import sys
from itertools import chain

from benchmarks.console.figure import report
from benchmarks.running.installation import installed
from synapse.runtime.process import tune_garbage_collector

PARTS = ("pages", "many", "sampler", "size", "viewers", "publish")


def main() -> int:
    """Measure the parts that are asked for. Return 1 when a value exceeds its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seconds", type=int, default=60, help="for which the server is measured")
    options = parser.parse_args()
    with installed("console") as here:
        from benchmarks.console import measures  # noqa: PLC0415 - needs Django

        # As the web server does when it starts.
        tune_garbage_collector()

        stage = measures.Stage(folder=here.folder, settings=here.settings, valkey=here.valkey, seconds=options.seconds)
        stage.define()
        return report(chain.from_iterable(getattr(stage, part)() for part in options.only))


if __name__ == "__main__":
    sys.exit(main())
