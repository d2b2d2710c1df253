"""`python -m benchmarks`: measure every row beside its peer, print the table, write the results."""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from subprocess import CalledProcessError, SubprocessError, TimeoutExpired

from benchmarks import machine, report
from benchmarks.measures.rate import Failed
from benchmarks.row import Outcome, Row
from benchmarks.rows import ROWS
from benchmarks.running.program import DidNotStart
from benchmarks.stage import Stage, staged
from benchmarks.values import FULL, QUICK, NotMeasured


def main() -> int:
    """Run the rows that the command line names. Return 1 when an error kept a row from being measured, else 0."""
    options = _options()
    rows = [row for row in ROWS if not options.only or row.name in options.only]
    # Makes a terminated run end the programs that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with staged(QUICK if options.quick else FULL) as stage:
        facts = machine.facts(stage)
        say("\n".join(f"{name}: {fact}" for name, fact in facts.items()))
        outcomes, faults = measure_all(stage, rows)
    print(f"\n{report.text_table(outcomes)}\n")
    for path in report.write_files(stage.plan, facts, outcomes):
        say(f"wrote benchmarks/results/{path.name}")
    return 1 if faults else 0


def measure_all(stage: Stage, rows: Sequence[Row]) -> tuple[list[Outcome], int]:
    """Measure rows until the time limit. Return their outcomes, and the number of failed ones."""
    outcomes, faults = [], 0
    end = time.monotonic() + stage.plan.limit
    for number, row in enumerate(rows, 1):
        begun = time.monotonic()
        if begun > end:
            outcomes.append(Outcome(row=row, why_not="no time was left for it"))
            continue
        say(f"[{number}/{len(rows)}] {row.name}: {row.work} ...")
        try:
            outcomes.append(Outcome(row=row, measured=row.measure(stage)))
        except NotMeasured as missing:
            outcomes.append(Outcome(row=row, why_not=str(missing)))
        except (Failed, DidNotStart, SubprocessError, OSError) as fault:
            faults += 1
            why_not = f"FAILED: {_in_one_line(fault)}"
            outcomes.append(Outcome(row=row, why_not=why_not))
            say(why_not if isinstance(fault, SubprocessError) else f"FAILED: {fault}")
        say(f"[{number}/{len(rows)}] {row.name}: {time.monotonic() - begun:.0f} s")
    return outcomes, faults


def say(line: str) -> None:
    """Print the progress of the run."""
    print(line, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Synapse beside its peers, under 15 minutes. Let nothing else run meanwhile.",
    )
    parser.add_argument("--quick", action="store_true", help="short rounds, under 2 minutes: does it work at all?")
    parser.add_argument("--only", nargs="+", choices=[row.name for row in ROWS], metavar="ROW", help="only these rows")
    return parser.parse_args()


def _in_one_line(fault: BaseException) -> str:
    if isinstance(fault, CalledProcessError | TimeoutExpired):
        # Not str(error), which contains the command line, perhaps with a password.
        said = getattr(fault, "stderr", None) or ""
        said = said.decode(errors="replace") if isinstance(said, bytes) else said
        return f"{fault.cmd[0].rpartition('/')[2]} failed: {' '.join(said.split())[-200:]}"
    return " ".join(str(fault).split())[:300]


if __name__ == "__main__":
    sys.exit(main())
