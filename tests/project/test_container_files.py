"""The Dockerfile and compose.yaml keep their promises. No container engine runs in these tests: linters read the files,
and the commands in them are run without a container."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from synapse.redis.embedded.process import find_server
from synapse_project import environment
from tests import yaml_files
from tests.migrated import put_database
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
APPS = ("synapse", "core", "contracts", "streams", "bridges", "synapse_project", "chaos")
COMPOSE = yaml_files.read(ROOT / "compose.yaml")
SERVICES = COMPOSE["services"]
# How the platform's own compose files ask for health: with `python`, from a shell.
PLATFORM_HEALTH_CHECK = """python - << 'EOF'
import urllib.request
urllib.request.urlopen('http://localhost:8002/health', timeout=2)
EOF
"""

every_service = pytest.mark.parametrize("name", SERVICES)


def dockerfile() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions: name and arguments, lines that go on joined."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines if line.strip())]


def last_stage() -> list[tuple[str, str]]:
    steps = dockerfile()
    return steps[max(place for place, (name, _) in enumerate(steps) if name == "FROM") :]


def arguments(instruction: str) -> list[str]:
    """Return the arguments of each such instruction of the image that is built in the end."""
    return [rest for name, rest in last_stage() if name == instruction]


def image_environment() -> dict[str, str]:
    pairs = (word.partition("=") for rest in arguments("ENV") for word in shlex.split(rest))
    return {name: value for name, _, value in pairs}


def copied() -> list[str]:
    """Return the files and folders of the project that get into the image."""
    return [source for rest in arguments("COPY") if not rest.startswith("--from") for source in rest.split()[:-1]]


def tool(*names: str) -> str:
    """Return where one of these programs is; skip the test when none is installed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    pytest.skip(f"{' or '.join(names)} is not installed")


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        words, cwd=ROOT, env={**kept, **variables}, capture_output=True, text=True, timeout=60, check=False
    )


# --- The image ---


def test_the_base_image_is_pinned_and_slim():
    bases = [rest.split()[0] for name, rest in dockerfile() if name == "FROM"]

    assert all(re.fullmatch(r"python:3\.\d+-slim-[a-z]+", base) for base in bases)
    assert len(set(bases)) == 1


def test_the_image_runs_as_a_numbered_user_that_is_not_root():
    (user,) = arguments("USER")

    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert user.split(":")[0] in " ".join(arguments("RUN"))


def test_the_image_starts_everything_in_exec_form():
    (command,) = arguments("CMD")

    assert json.loads(command) == ["python", "manage.py", "up"]


def test_the_image_answers_on_all_addresses_and_keeps_its_data_in_a_volume():
    (volume,) = arguments("VOLUME")
    variables = image_environment()

    assert (variables["HOST"], variables["PORT"]) == ("0.0.0.0", "8002")
    assert variables["SYNAPSE_VAR"] == volume == "/var/lib/synapse"
    assert arguments("EXPOSE") == ["8002"]


def test_the_image_sets_no_unused_variable():
    known = {setting.name for setting in environment.SETTINGS} | {"PATH"}

    assert {name for name in image_environment() if not name.startswith("PYTHON")} <= known


def test_the_dockerignore_file_allows_exactly_the_copied_paths():
    rules = (ROOT / ".dockerignore").read_text().split("\n")
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}

    assert next(rule for rule in rules if rule and not rule.startswith("#")) == "*"
    assert allowed == {*copied(), "requirements.txt"}
    assert {*APPS, "catalog"} <= allowed


# In one process: what takes time is the start.
START = """
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("check")
call_command("catalog", "apply", "catalog/deepiri.yaml")
"""


def test_the_copied_files_are_enough_to_start(tmp_path):
    for source in copied():
        if (ROOT / source).is_dir():
            # Those that another process is writing are gone before they are copied.
            shutil.copytree(ROOT / source, tmp_path / source, ignore=shutil.ignore_patterns("*.pyc.*"))
        else:
            shutil.copy(ROOT / source, tmp_path)

    # To make all tables anew takes longer than all else, and needs no other files.
    put_database(tmp_path / "data" / "synapse.sqlite3")
    started = subprocess.run(
        [sys.executable, "-c", START],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "SYNAPSE_VAR": str(tmp_path / "data"),
            "DJANGO_SETTINGS_MODULE": "synapse_project.settings",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert started.returncode == 0, started.stderr


def test_hadolint_finds_nothing():
    found = run(tool("hadolint"), "Dockerfile")

    assert (found.returncode, found.stdout) == (0, "")


# --- Health checks ---


@contextmanager
def answering(status: int) -> Iterator[int]:
    """Run a server that answers GET /health with a status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def health_checks() -> dict[str, list[str]]:
    """Return each health check of Synapse as the words that a container engine would run."""
    (image,) = arguments("HEALTHCHECK")
    kind, command = SERVICES["synapse"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    return {
        "image": json.loads(image[image.index("CMD ") + 4 :]),
        "compose": ["sh", "-c", command],
        "platform": ["sh", "-c", PLATFORM_HEALTH_CHECK],
    }


@pytest.mark.parametrize("check", health_checks())
def test_a_health_check_asks_and_believes_the_answer(check, tmp_path):
    # As in the image, `python` is on PATH.
    (tmp_path / "python").symlink_to(sys.executable)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"

    def status_at(port: int) -> int:
        words = [word.replace("8002", str(port)) for word in health_checks()[check]]
        return run(*words, PATH=path, PORT=str(port)).returncode

    with answering(200) as port:
        assert status_at(port) == 0
    with answering(503) as port:
        assert status_at(port) != 0
    assert status_at(free_port()) != 0


# --- compose.yaml ---


def test_compose_defines_synapse_redis_and_postgres():
    assert set(SERVICES) == {"synapse", "redis", "postgres"}


@every_service
def test_every_service_says_when_it_is_healthy(name):
    assert SERVICES[name]["healthcheck"]["test"]


@every_service
def test_no_image_is_the_latest(name):
    _, _, tag = SERVICES[name]["image"].partition(":")

    assert tag not in ("", "latest")


def test_synapse_waits_until_the_others_are_healthy():
    waits = SERVICES["synapse"]["depends_on"]

    assert waits == {name: {"condition": "service_healthy"} for name in ("redis", "postgres")}


def test_only_this_machine_can_reach_it():
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert published == ["127.0.0.1:8002:8002"]
    assert not any("network_mode" in service or service.get("privileged") for service in SERVICES.values())


def test_every_variable_of_synapse_is_a_setting():
    assert set(SERVICES["synapse"]["environment"]) <= {setting.name for setting in environment.SETTINGS}


def test_synapse_finds_the_two_others_by_the_guides_variables():
    values = resolved(SERVICES["synapse"]["environment"], POSTGRES_PASSWORD="not-in-the-file")

    read = environment.read_settings(ROOT / "nowhere", values)

    assert environment.redis_url(read) == "redis://:redispassword@redis:6379/0"
    assert read["DATABASE_URL"] == "postgresql://synapse:not-in-the-file@postgres:5432/synapse"
    assert (read["HOST"], read["PORT"]) == ("0.0.0.0", 8002)


def test_the_only_password_in_the_file_is_the_guides():
    defaults = dict(re.findall(r"\$\{(\w+):-(\w*)\}", (ROOT / "compose.yaml").read_text()))

    assert defaults.pop("SYNAPSE_AUTH") == "open"
    assert defaults == {"REDIS_PASSWORD": "redispassword", "SECRET_KEY": "", "SYNAPSE_ADMIN_PASSWORD": ""}


@every_service
def test_every_service_stores_its_data_in_a_named_volume(name):
    volumes = [volume.split(":")[0] for volume in SERVICES[name]["volumes"]]

    assert volumes
    assert set(volumes) <= set(COMPOSE["volumes"])


def resolved(values: Any, **variables: str) -> Any:
    """Fill in variables as compose does: `${NAME:-default}` and `${NAME:?message}`."""

    def fill(match: re.Match[str]) -> str:
        name, kind, word = match.groups()
        assert name in variables or kind == ":-"
        return variables.get(name, word)

    text = re.sub(r"\$\{(\w+)(:[-?])([^}]*)\}", fill, json.dumps(values))
    return json.loads(text)


def test_redis_starts_as_it_is_told_and_keeps_what_it_acknowledged(tmp_path):
    program, *options = resolved(SERVICES["redis"]["command"])
    assert program == "valkey-server"
    port = free_port()
    words = [str(find_server()), *options, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]

    server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        retries = redis_py.retry.Retry(redis_py.backoff.ConstantBackoff(0.05), 200)
        with redis_py.Redis(port=port, password="redispassword", retry=retries, decode_responses=True) as client:
            wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
            assert client.config_get(*wanted) == wanted
    finally:
        server.terminate()
        server.wait()


def test_yamllint_finds_nothing():
    rules = "{extends: default, rules: {line-length: {max: 120}}}"

    found = run(tool("yamllint"), "--strict", "-d", rules, "compose.yaml")

    assert (found.returncode, found.stdout) == (0, "")


def compose_config(**variables: str) -> subprocess.CompletedProcess[str]:
    """Ask compose itself what the file means."""
    compose = tool("docker-compose")
    return run(compose, "--file", "compose.yaml", "config", "--format", "json", **variables)


def test_compose_understands_the_file():
    understood = compose_config(POSTGRES_PASSWORD="abc")

    assert understood.stderr == ""
    services = json.loads(understood.stdout)["services"]
    (port,) = services["synapse"]["ports"]
    assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "8002", 8002)
    assert services["synapse"]["environment"]["DATABASE_URL"] == "postgresql://synapse:abc@postgres:5432/synapse"


def test_compose_asks_for_the_password_that_the_file_does_not_have():
    refused = compose_config()

    assert refused.stdout == ""
    assert "required variable POSTGRES_PASSWORD is missing" in refused.stderr
