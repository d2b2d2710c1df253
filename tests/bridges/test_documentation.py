"""`docs/bridges.md` matches the behaviour and names every setting."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from bridges.catalog import BRIDGE_KEYS
from bridges.models import Bridge
from bridges.sinks import registry
from tests.bridges.installation import ROOT, Installation
from tests.catalog.files import apply

PAGE = (ROOT / "docs/bridges.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def section(heading: str) -> str:
    return re.split(r"^##+ ", PAGE.split(f"# {heading}\n", 1)[1], flags=re.MULTILINE)[0]


def without_names(text: str) -> str:
    """Return a text without what differs from run to run: a consumer's name."""
    return re.sub(r"as [\w.-]+:\d+:[0-9a-f]{8}\.", "as HOST:PID:RUN.", text)


@pytest.mark.nightly
def test_the_walk_through_prints_what_it_says(redis, installation, tmp_path):
    # A copy: the page defines a bridge, and other tests run all that there are.
    own = Installation(shutil.copytree(installation.folder, tmp_path / "var"))
    own.url = installation.url
    blocks = BLOCK.findall(section("A walk through"))
    (tmp_path / "shop.py").write_text(next(text for kind, text in blocks if kind == "python"))
    (tmp_path / "orders.yaml").write_text(next(text for kind, text in blocks if kind == "yaml"))
    shell = "".join(text for kind, text in blocks if kind == "sh")
    variables = {**own.variables, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    variables |= dict(re.findall(r"^export (\w+)='(.+)'$", shell, re.MULTILINE))
    for event in re.findall(r" -d '(.+)'$", shell, re.MULTILINE):
        redis.xadd("orders", orjson.loads(event))

    sessions = [part for kind, text in blocks if kind == "console" for part in text.split("$ ")[1:]]
    for session in sessions:
        line, printed = session.split("\n", 1)
        _, *words = shlex.split(line)
        run = subprocess.run(
            [sys.executable, str(ROOT / words[0]), *words[1:]],
            cwd=tmp_path,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        if "catalog" in words:
            # The installation has the stream already.
            assert run.stdout == "created: 1 bridge\n"
            assert printed == "created: 1 stream, 1 bridge\n"
        else:
            assert sorted(without_names(run.stdout).splitlines()) == sorted(without_names(printed).splitlines())
    assert len(sessions) == 3


def test_the_handlers_of_the_page_are_python():
    (code,) = (text for kind, text in BLOCK.findall(section("Writing a handler")) if kind == "python")
    names: dict[str, object] = {}

    exec(compile(code, "docs/bridges.md", "exec"), names)

    with pytest.raises(Exception, match="negative total"):
        names["on_order"]({"total": -1}, None)  # type: ignore[operator]


def test_every_key_of_a_bridge_is_described():
    assert [key for key in BRIDGE_KEYS if f"| `{key}` |" not in section("Definition")] == []


def test_every_sink_and_every_setting_of_one_is_described():
    for name in registry.sink_names():
        text = section(name)
        settings = registry.find_sink(name).Config.__dataclass_fields__
        assert [field for field in settings if f"| `{field}` |" not in text] == []


def test_every_script_of_delivery_is_described():
    described = (ROOT / "docs/consuming.md").read_text(encoding="utf-8")
    scripts = {path.stem for path in Path(ROOT / "synapse/redis/scripts").glob("*.lua")}

    others = {
        "trim",
        "readers",
        "hold_lease",
        "publish_together",
        "publish_once",
        "publish_together_once",
        "take_token",
        "sample",
        "count_between",
        "change_alerts",
        "notify_alerts",
        "index_write",
        "index_find",
        "index_delete",
        "note_refusals",
    }
    assert {name for name in scripts if f"| `{name}` |" not in described} == others


@pytest.mark.parametrize("name", ["webhook", "notification", "stream"])
def test_the_example_of_a_sink_can_be_applied(db, webhooks, name):
    (example,) = [text for kind, text in BLOCK.findall(section(name)) if kind == "yaml"]

    apply("streams: [{name: orders}, {name: sales}, {name: synapse-alerts}]\n" + example)

    assert Bridge.objects.get().sink == name
