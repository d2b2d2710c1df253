"""The table as Markdown, ready for docs/performance.md."""

from collections.abc import Mapping, Sequence

from benchmarks.report import words
from benchmarks.row import Outcome


def document(facts: Mapping[str, str], outcomes: Sequence[Outcome]) -> str:
    """Return the machine, the table and the notes."""
    lines = [words.HEADER, ("---",) * len(words.HEADER), *(words.cells(outcome) for outcome in outcomes)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    machine = "\n".join(f"- {name}: {text}" for name, text in facts.items())
    found = "\n".join(f"- {note}" for note in words.notes(outcomes))
    return f"{table}\n\nMedians, in brackets the range of the rounds.\n\n{machine}\n" + (
        f"\n{found}\n" if found else ""
    )
