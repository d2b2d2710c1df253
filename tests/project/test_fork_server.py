"""A program that the fork server starts is like one that starts by itself (tests/fork_server.py)."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from tests.fork_server import FULL, IS_MEASURED, IS_POSSIBLE, ROOT, started_by_themselves

pytestmark = pytest.mark.skipif(FULL or IS_MEASURED or not IS_POSSIBLE, reason="all programs start by themselves")
TELL = """
import json, os, signal, sys
import django
django.setup()
from django.apps import apps
from django.conf import settings
from django.db import connection

def shown(value):
    # The order of a set is another one in each program that starts by itself.
    return sorted(map(repr, value)) if isinstance(value, (set, frozenset)) else " ".join(repr(value).split())

mask = os.umask(0)
print(json.dumps({
    "arguments": sys.argv,
    "listed": open("/proc/self/cmdline").read().rstrip("\\0").split("\\0"),
    "folder": os.getcwd(),
    "path": sys.path,
    "variables": {name: text for name, text in os.environ.items() if name != "LC_CTYPE"},
    "parent": os.getppid(),
    "leads its session": os.getsid(0) == os.getpid(),
    "mask": mask,
    "descriptors": sorted(int(each) for each in os.listdir("/proc/self/fd"))[:-1],
    "input": sys.stdin.read(),
    "signals": [str(signal.getsignal(each)) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)],
    "data": str(settings.VAR_DIR),
    "database": str(connection.settings_dict["NAME"]),
    "apps": [each.label for each in apps.get_app_configs()],
    "settings": {name: shown(getattr(settings, name)) for name in dir(settings) if name.isupper()},
}))
print("said", file=sys.stderr)
"""


@pytest.fixture(autouse=True)
def usual_signals():
    """A shell that runs the tests in the background lets all that they start ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def run(code, *words, **options):
    return started([sys.executable, "-c", code, *words], **options)


def started(words, **options):
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, **options)


@pytest.fixture
def variables(tmp_path):
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYNAPSE_RECORDS") if name in os.environ}
    own = {"DJANGO_SETTINGS_MODULE": "synapse_project.settings", "SYNAPSE_VAR": str(tmp_path), "PORT": "4711"}
    return {**kept, **own}


def test_a_forked_program_finds_what_one_does_that_starts_by_itself(variables):
    reading, writing = os.pipe()
    options = {"env": variables, "umask": 0o27, "start_new_session": True, "input": "read", "pass_fds": [writing]}

    forked = run(TELL, "a word", **options)
    with started_by_themselves():
        itself = run(TELL, "a word", **options)

    os.close(reading)
    os.close(writing)
    # Where objects lie in memory says nothing.
    without_places = [json.loads(re.sub("0x[0-9a-f]+", "0x", done.stdout)) for done in (forked, itself)]
    assert without_places[0] == without_places[1]
    assert (forked.returncode, forked.stderr) == (itself.returncode, itself.stderr) == (0, "said\n")
    assert json.loads(forked.stdout)["parent"] == os.getpid()


@pytest.mark.parametrize(
    ("ending", "status", "said"),
    [
        ("pass", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("sys.exit('a reason')", 1, "a reason\n"),
        ("raise ValueError('a mistake')", 1, "ValueError: a mistake\n"),
        ("os.kill(os.getpid(), 9)", -9, ""),
        ("os.kill(os.getpid(), 15)", -15, ""),
        ("os.kill(os.getpid(), 2)", -2, "KeyboardInterrupt\n"),
        ("atexit.register(print, 'the end', file=sys.stderr)", 0, "the end\n"),
        ("threading.Timer(0.01, print, ['later'], {'file': sys.stderr}).start()", 0, "later\n"),
    ],
)
def test_a_forked_program_ends_as_it_would_by_itself(variables, ending, status, said):
    code = f"import atexit, os, sys, threading\nimport django; django.setup()\n{ending}\n"

    done = run(code, env=variables)

    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.endswith(said)
    assert said or not done.stderr


def test_a_forked_program_ignores_a_signal_that_its_parent_ignores(variables):
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    done = run("import os, django; django.setup(); os.kill(os.getpid(), 2); print('goes on')", env=variables)

    assert (done.returncode, done.stdout) == (0, "goes on\n")


def test_each_forked_command_reads_its_own_settings(variables):
    check = [sys.executable, "manage.py", "check"]

    good = started(check, env=variables)
    bad = started(check, env=variables | {"PORT": "x"})

    assert good.returncode == 0, good.stderr
    assert bad.returncode == 1
    assert "PORT" in bad.stderr
