"""Settings of the tests: the project's own, in a data folder of their own and with none of the caller's variables.

`SYNAPSE_TESTS_DATABASE`, the URL of a PostgreSQL server's database, has them run on that server in place of SQLite.
"""

import atexit
import os
import shutil
import tempfile

from synapse_project.environment import SETTINGS

for setting in SETTINGS:
    os.environ.pop(setting.name, None)
    os.environ.pop(f"{setting.name}_FILE", None)

_folder = tempfile.mkdtemp(prefix="synapse-tests-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
# The first process's, which those that it starts share.
os.environ.setdefault("SYNAPSE_TESTS_FOLDER", _folder)
os.environ["SYNAPSE_VAR"] = _folder
# Commands meet no installation that runs in this checkout.
os.environ["SYNAPSE_RECORDS"] = os.path.join(_folder, "running")
os.environ["SYNAPSE_LOG_LEVEL"] = "WARNING"
# Tests of access ask for keys themselves; the others are about something else.
os.environ["SYNAPSE_AUTH"] = "open"
if url := os.environ.get("SYNAPSE_TESTS_DATABASE"):
    os.environ["DATABASE_URL"] = url

from synapse_project.settings import *  # noqa: E402, F403

# Nothing hashes many passwords here; the slow hasher would only slow the tests.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# The threads of a test end with it, and so do their connections.
DATABASES["default"]["CONN_MAX_AGE"] = 0  # noqa: F405
# A machine that is busy with something else answers late. Tests of a Redis that hangs say how long they wait.
REDIS_TIMEOUT = 60.0
# Static files are looked for when they are asked for: each test has a server of its own, and none needs them all.
WHITENOISE_AUTOREFRESH = True
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    # A file, as in life: threads that ask one in memory meet locks that nobody waits for. It need not outlive the
    # machine.
    DATABASES["default"]["TEST"] = {"NAME": os.path.join(_folder, "tests.sqlite3")}  # noqa: F405
    DATABASES["default"]["OPTIONS"]["init_command"] += "; PRAGMA synchronous=OFF"  # noqa: F405
