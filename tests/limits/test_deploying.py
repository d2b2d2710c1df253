"""Settings that a start in production refuses, and the verdict of Django's own checks on it."""

import os
import subprocess
import sys
from pathlib import Path

from synapse_project.environment import SETTINGS

ROOT = Path(__file__).parents[2]
OURS = {name for setting in SETTINGS for name in (setting.name, f"{setting.name}_FILE")} | {"DJANGO_SETTINGS_MODULE"}


def manage(folder, *words, **variables):
    inherited = {name: text for name, text in os.environ.items() if name not in OURS}
    environment = inherited | {"SYNAPSE_VAR": str(folder)} | variables
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_behind_tls_djangos_checks_for_deployment_have_nothing_to_say(tmp_path):
    checked = manage(
        tmp_path,
        *("check", "--deploy", "--tag", "security", "--fail-level", "WARNING"),
        SYNAPSE_HTTPS="true",
        SYNAPSE_TRUSTED_PROXIES="10.0.0.0/8",
    )

    assert checked.returncode == 0, checked.stderr
    # What is silenced is not ours to decide: other hosts of the domain, the preload list, and the plain port.
    assert "no issues (3 silenced)" in checked.stdout


def test_tls_without_a_proxy_that_is_trusted_is_refused(tmp_path):
    started = manage(tmp_path, "check", SYNAPSE_HTTPS="true")

    assert started.returncode != 0
    assert started.stderr.startswith("synapse: SYNAPSE_HTTPS: set SYNAPSE_TRUSTED_PROXIES")


def test_a_damaged_generated_secret_key_stops_the_start_and_is_not_replaced(tmp_path):
    (tmp_path / "secret-key").write_text("")

    started = manage(tmp_path, "check")

    assert started.returncode != 0
    assert "does not hold the key that was made there" in started.stderr
    assert (tmp_path / "secret-key").read_text() == ""
