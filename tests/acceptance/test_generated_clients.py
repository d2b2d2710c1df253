"""Clients that generators make of the OpenAPI document compile, and publish to the real server process."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.conftest import need

pytestmark = [pytest.mark.process, pytest.mark.nightly]

NODE = Path(__file__).parent / "node"
BIN = NODE / "node_modules" / ".bin"
EVENT = json.dumps({"event_type": "inference-complete", "request_id": "req_123", "model_name": "m", "latency_ms": 45})
URL = "declare const process: { env: Record<string, string> };\nconst url = process.env.SYNAPSE_URL;\n"
# By the name of a program: the command that generates its client, and the program, which publishes and prints the
# answer. What Orval generates does not compile with the types of axios 1.19 and later.
TYPESCRIPT = {
    "openapi-fetch": (
        ["openapi-typescript", "openapi.json", "--output", "openapi_typescript.ts"],
        f"""import createClient from 'openapi-fetch';
            import type {{ paths }} from './openapi_typescript';
            {URL}
            createClient<paths>({{ baseUrl: url }})
              .POST('/events/{{stream}}', {{ params: {{ path: {{ stream: 'inference-events' }} }}, body: {EVENT} }})
              .then(({{ data, response }}) => console.log(response.status, data?.stream));""",
    ),
    "hey-api": (
        ["openapi-ts", "--input", "openapi.json", "--output", "hey_api"],
        f"""import {{ publish }} from './hey_api';
            import {{ client }} from './hey_api/client.gen';
            {URL}
            client.setConfig({{ baseUrl: url }});
            publish({{ path: {{ stream: 'inference-events' }}, body: {EVENT} }})
              .then(({{ data, response }}) => console.log(response.status, data?.stream));""",
    ),
    "orval": (
        ["orval", "--input", "openapi.json", "--output", "orval_client.ts"],
        f"""import {{ publish }} from './orval_client';
            {URL}
            publish('inference-events', {EVENT}, undefined, {{ baseURL: url }})
              .then(({{ data, status }}) => console.log(status, data.stream));""",
    ),
}
PYTHON = f"""
import os
from client import Client
from client.api.events import publish

client = Client(os.environ["SYNAPSE_URL"])
answer = publish.sync_detailed("inference-events", client=client, body={EVENT})
batch = publish.sync_detailed("inference-events", client=client, body=[{EVENT}, {EVENT}])
attributes = dict(ce_specversion="1.0", ce_id="1", ce_source="/generated", ce_type="inference-complete")
binary = publish.sync_detailed("inference-events", client=client, body={EVENT}, **attributes)
print(answer.status_code.value, answer.parsed.stream, batch.parsed.accepted, binary.status_code.value)
"""
UNKNOWN = """Could not find reference in parsed models or enums

{
  "$ref": "#/components/schemas/PublishedCloudEvent"
}"""
COMPILING = {"target": "es2022", "module": "node16", "strict": True, "skipLibCheck": True, "types": []}


def run(command, folder, hub, *, may_fail=False):
    """Run a program in a folder; return its output, errors last."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"SYNAPSE_URL": hub.url, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert may_fail or done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(hub, tmp_path_factory):
    """A folder with the document, and with the packages of Node."""
    folder = tmp_path_factory.mktemp("clients")
    (folder / "openapi.json").write_bytes(httpx.get(f"{hub.url}/openapi.json").content)
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    return folder


@pytest.fixture(scope="module")
def compiled(hub, folder):
    """The folder with the programs in TypeScript and their clients, compiled at once; and what the compiler said."""
    need(shutil.which("node"), "Node")
    for program, (generate, text) in TYPESCRIPT.items():
        need((BIN / generate[0]).exists(), generate[0])
        run([BIN / generate[0], *generate[1:]], folder, hub)
        (folder / f"{program}.ts").write_text(text)
    files = [f"{program}.ts" for program in TYPESCRIPT]
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": COMPILING, "files": files}))
    return folder, run([BIN / "tsc", "--pretty", "false"], folder, hub, may_fail=True)


def test_generated_clients_for_typescript_compile(compiled):
    _, complaints = compiled

    assert complaints == ""


@pytest.mark.parametrize("program", TYPESCRIPT)
def test_a_generated_client_for_typescript_publishes(hub, compiled, program):
    folder, _ = compiled

    assert run(["node", f"{program}.js"], folder, hub).split() == ["201", "inference-events"]


def test_a_generated_client_for_python_publishes(hub, folder):
    need(importlib.util.find_spec("openapi_python_client"), "openapi-python-client")
    generate = ["generate", "--path", "openapi.json", "--output-path", "client", "--meta", "none"]

    told = run([sys.executable, "-m", "openapi_python_client", *generate], folder, hub)

    # It leaves out publishing, validating and importing lines of JSON; publishing and validating CloudEvents in
    # structured and in batched mode; and nothing else.
    lines = told.count("Unsupported content type application/x-ndjson")
    cloudevents = told.count(UNKNOWN)
    assert (told.count("WARNING"), lines, cloudevents) == (7, 3, 4)
    assert told.count("Unable to process schema") == 1
    assert run([sys.executable, "-c", PYTHON], folder, hub).split() == ["201", "inference-events", "2", "201"]


def test_the_document_breaks_none_of_the_rules_that_redocly_recommends(hub):
    need(shutil.which("node"), "Node")
    need((NODE / "node_modules/@redocly/openapi-core").exists(), "@redocly/openapi-core")

    assert json.loads(run(["node", "--no-warnings", "lint.mjs"], NODE, hub)) == []
