"""`docs/catalog.md` matches the behaviour of the commands."""

import io
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

PAGE = Path("docs/catalog.md").resolve()
BLOCK = re.compile(r"```(yaml|console)\n(.*?)```", re.DOTALL)


def run(line: str) -> str:
    """Run one line of a shell and return its output."""
    _, *words = shlex.split(line)
    out = io.StringIO()
    try:
        call_command(*words, stdout=out)
    except CommandError as error:
        return f"CommandError: {error}\n"
    return out.getvalue()


@pytest.mark.django_db
def test_the_examples_of_the_page_print_what_it_says(tmp_path, monkeypatch):
    text = PAGE.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    blocks = BLOCK.findall(text)

    assert [kind for kind, _ in blocks] == ["yaml", "console"] * 3
    for (_, file), (_, session) in list(pairwise(blocks))[::2]:
        Path("orders.yaml").write_text(file)
        for part in session.split("$ ")[1:]:
            line, printed = part.split("\n", 1)
            assert run(line) == printed
