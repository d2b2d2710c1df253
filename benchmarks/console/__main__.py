"""`python -m benchmarks.console`: measure, and print each value with its limit.

`pages` renders the overview across a full hour, `many` the pages of a stream with 10,000 series, `sampler` takes
samples, `size` writes a stream's history of 30 days, `viewers` lets 50 people watch a server, and `publish` compares
publishing with and without the sampler.

The installation has 100 streams with 10 groups each; in made-up history, three series in ten change with every sample.
Values are processor time of Synapse, which is meaningful on a shared machine, too. Those of pages are medians, with the
95th percentile and the highest value in brackets. A page's limit applies to the 95th percentile (with fewer than 20
measurements, the highest value). The exit status is 1 when a limit is exceeded.
"""

import argparse
import sys
from itertools import chain

from benchmarks.console.figure import report
from benchmarks.running.installation import installed
from synapse.runtime.process import tune_garbage_collector

PARTS = ("pages", "many", "sampler", "size", "viewers", "publish")


def main() -> int:
    """Measure the requested parts. Return 1 when a value exceeds its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seconds", type=int, default=60, help="for which the server is measured")
    options = parser.parse_args()
    with installed("console") as here:
        from benchmarks.console import measures  # noqa: PLC0415 - needs Django

        # The web server does this, too, when it starts.
        tune_garbage_collector()

        stage = measures.Stage(folder=here.folder, settings=here.settings, valkey=here.valkey, seconds=options.seconds)
        stage.define()
        return report(chain.from_iterable(getattr(stage, part)() for part in options.only))


if __name__ == "__main__":
    sys.exit(main())
