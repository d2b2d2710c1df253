"""The commands of the quickstart that read a file print the documented output."""

import io
import re
import shlex
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from streams.snapshot import holder
from tests.both_ways import DjangoAlone
from tests.project.test_documents import ROOT

TEXT = (ROOT / "docs" / "quickstart.md").read_text()
BLOCKS = re.findall(r"```(yaml|console)\n(.*?)```", TEXT, re.DOTALL)


def said(line):
    """Return what the command prints, or refuses in."""
    program, *words = shlex.split(line)
    if program == "curl":
        return asked(words)
    out = io.StringIO()
    try:
        call_command(*words[1:], stdout=out)
    except CommandError as refusal:
        return f"CommandError: {refusal}\n"
    return out.getvalue()


def asked(words):
    """Return what the registry answers."""
    method, header, body = (words[words.index(flag) + 1] for flag in ("-X", "-H", "-d"))
    path = next(word for word in words if word.startswith("http")).removeprefix("http://localhost:8002")
    name, _, text = header.partition(": ")
    answer = DjangoAlone()(method, path, body.encode(), {name.lower(): text})
    assert answer.status == 200
    return answer.body.decode() + "\n"


def changed(file, block):
    """Return the file with a block of the document in the place of the lines that begin and end as it does."""
    begin, end = (re.escape(line.split(":")[0]) + ".*" for line in (block.splitlines()[0], block.splitlines()[-1]))
    return re.sub(rf"^{begin}\n(?:.*\n)*?{end}\n", lambda _: block, file, count=1, flags=re.MULTILINE)


@pytest.mark.django_db
def test_the_catalog_commands_say_what_the_quickstart_prints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file, run = "", 0

    for kind, block in BLOCKS:
        if kind == "yaml":
            file = changed(file, block) if file else block
            Path("orders.yaml").write_text(file)
            continue
        for line, printed in re.findall(r"^\$ (.*(?:catalog|registry).*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            assert said(line) == printed
            run += 1

    assert run == 6
    holder.refresh()
    assert holder.current().streams["orders"].event_types["order-placed"].contract.version == 2
