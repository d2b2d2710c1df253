"""The streams' part of a catalog file: the sections `streams` and `services`.

- `file`           definitions as a file writes them: read, kept in the database, and exported
- `change_writer`  the difference to the database, errors that only it can tell, and the changes carried out
"""

from streams.catalog.change_writer import apply, plan
from streams.catalog.file import KINDS, SECTIONS, export, read
