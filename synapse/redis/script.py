"""Scripts: several commands that happen as one. Their text is part of this package; users' data is only passed in."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from synapse.redis.commands.base import Argument, Command, as_it_is


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script, called by its digest; the executors send the text when the server does not know it yet."""

    text: str
    digest: str

    def call(
        self, keys: Sequence[str], arguments: Sequence[Argument], parse: Callable[[Any], Any] = as_it_is
    ) -> Command:
        """Return the command that runs the script."""
        rest: tuple[Argument, ...] = (len(keys), *keys, *arguments)
        return Command(
            ("EVALSHA", self.digest, *rest), parse=parse, otherwise=Command(("EVAL", self.text, *rest), parse=parse)
        )


def load(name: str, *parts: str) -> Script:
    """Return the script of the file `scripts/<name>.lua` of this package, after those of `scripts/parts`."""
    files = [f"parts/{part}.lua" for part in parts] + [f"{name}.lua"]
    folder = resources.files(__package__).joinpath("scripts")
    text = "".join(folder.joinpath(file).read_text(encoding="utf-8") for file in files)
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
