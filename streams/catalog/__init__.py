"""The streams' part of a catalog file: the sections `streams` and `services`.

- `reading`  from the file to definitions
- `current`  the definitions that the database holds, in the same form
- `planning` the difference, and what only the database can tell to be wrong
- `writing`  one change, carried out
- `export`   from the database to the file
"""

from streams.catalog.exporting import export
from streams.catalog.planning import plan
from streams.catalog.reading import KINDS, SECTIONS, read
from streams.catalog.writing import apply

__all__ = ["KINDS", "SECTIONS", "apply", "export", "plan", "read"]
