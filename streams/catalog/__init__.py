"""The streams' part of a catalog file: the sections `streams` and `services`.

- `file`           from the file to definitions
- `database`       the definitions that the database holds, in the same form
- `change_writer`  the difference, and what only the database can tell to be wrong
- `change_writer`  one change, carried out
- `export`         from the database to the file
"""

from streams.catalog.change_writer import apply, plan
from streams.catalog.file import KINDS, SECTIONS, read
from streams.catalog.file_export import export

__all__ = ["KINDS", "SECTIONS", "apply", "export", "plan", "read"]
