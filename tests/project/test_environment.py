"""Settings come from the environment, are refused loudly, and are all documented."""

import base64
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management.utils import get_random_secret_key

from synapse_project import environment

ROOT = Path(__file__).parents[2]


def read(tmp_path, **variables):
    return environment.read_settings(tmp_path, variables)


def test_defaults_need_nothing(tmp_path):
    values = read(tmp_path)

    assert (values["HOST"], values["PORT"], values["DEBUG"]) == ("127.0.0.1", 8002, False)
    assert environment.redis_url(values) == ""


@pytest.mark.parametrize(
    ("variables", "catalog"),
    [
        ({}, ""),
        ({"SYNAPSE_CATALOG": ""}, "none"),
        ({"SYNAPSE_CATALOG": " "}, "none"),
        ({"SYNAPSE_CATALOG": "none"}, "none"),
        ({"SYNAPSE_CATALOG": " None\t"}, "none"),
        ({"SYNAPSE_CATALOG": " Orders.yaml"}, "Orders.yaml"),
        ({"SYNAPSE_CATALOG": "none.yaml"}, "none.yaml"),
    ],
)
def test_a_catalog_file_that_is_named_as_nothing_is_none(tmp_path, variables, catalog):
    assert read(tmp_path, **variables)["SYNAPSE_CATALOG"] == catalog


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("SYNAPSE_AUDIT_LOG", "STDERR", "stderr"),
        ("SYNAPSE_AUDIT_LOG", "none", ""),
        ("SYNAPSE_AUDIT_LOG", "/var/log/None", "/var/log/None"),
        ("SYNAPSE_LOG_FORMAT", " JSON", "json"),
        ("SYNAPSE_AUTH", "Open ", "open"),
        ("SYNAPSE_ARCHIVE_SIZE", "none", None),
        ("SYNAPSE_RATE_PER_KEY", "None", None),
        ("CORS_ALLOW_HEADERS", "none", []),
        ("PORT", " 9002", 9002),
        ("REDIS_PASSWORD", " none ", " none "),
        ("SYNAPSE_ADMIN_PASSWORD", "NONE", "NONE"),
    ],
)
def test_a_word_is_read_in_any_case_and_without_the_blanks_around_it(tmp_path, name, text, value):
    assert read(tmp_path, **{name: text})[name] == value


@pytest.mark.parametrize(
    "make",
    [
        get_random_secret_key,
        lambda: secrets.token_urlsafe(48),
        lambda: secrets.token_hex(32),
        lambda: secrets.token_hex(2000),
        lambda: base64.b64encode(secrets.token_bytes(64)).decode(),
    ],
)
def test_keys_that_are_random_are_good_ones(tmp_path, make):
    for _ in range(50):
        key = make()

        assert read(tmp_path, SECRET_KEY=key)["SECRET_KEY"] == key


def test_a_secret_can_be_read_from_a_file(tmp_path):
    (tmp_path / "secret").write_text("from a file\n")

    assert read(tmp_path, REDIS_PASSWORD_FILE=str(tmp_path / "secret"))["REDIS_PASSWORD"] == "from a file"


def test_the_platforms_redis_variables_make_a_url(tmp_path):
    values = read(tmp_path, REDIS_HOST="redis", REDIS_PASSWORD="p@ss/word", REDIS_DB="2")

    assert environment.redis_url(values) == "redis://:p%40ss%2Fword@redis:6379/2"


def test_a_redis_url_wins_over_its_parts(tmp_path):
    values = read(tmp_path, REDIS_HOST="redis", REDIS_URL="rediss://other:7000/1")

    assert environment.redis_url(values) == "rediss://other:7000/1"


def test_the_port_that_kubernetes_sets_for_a_service_is_understood(tmp_path):
    assert read(tmp_path, REDIS_PORT="tcp://10.0.0.1:6380")["REDIS_PORT"] == 6380


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("PORT", "http", "a whole number from 1 to 65535, got 'http'"),
        ("PORT", "70000", "a whole number from 1 to 65535"),
        ("DEBUG", "perhaps", "true or false"),
        ("SECRET_KEY", "too-short", r"50 characters or more, got \(not shown\)"),
        ("REDIS_URL", "http://secret@host", r"redis://.*\(not shown\)"),
        ("REDIS_URL", "redis://host:99999", "begins with redis://"),
        ("REDIS_URL", "redis://host:abc", "begins with redis://"),
        ("REDIS_URL", "redis+sentinel://:secret@host", r"SERVICE.*\(not shown\)"),
        ("REDIS_URL", "rediss://host?ssl_ca_certs=/no/such/file", "a file that can be read as “ssl_ca_certs”"),
        ("REDIS_HOST", "host:6379", "without a port"),
        ("DATABASE_URL", "mysql://host/name", "sqlite:// or postgresql://"),
        ("DATABASE_URL", "postgresql://user@host:abc/name", "sqlite:// or postgresql://"),
        ("CORS_ALLOWED_ORIGINS", "localhost", "origins such as"),
        ("CORS_ALLOWED_ORIGINS", "https://*.example", "origins such as"),
        ("CSRF_TRUSTED_ORIGINS", "synapse.example", "origins such as"),
        ("CSRF_TRUSTED_ORIGINS", "https://synapse.example/admin/", "origins such as"),
        ("CORS_ALLOW_HEADERS", "x-my header", "names of headers"),
        ("SYNAPSE_COOKIE_SUFFIX", "; Domain=.example", "letters, digits"),
        ("SECRET_KEY", "x" * 50, r"50 random characters or more, not a sample, got \(not shown\)"),
        ("SECRET_KEY", "django-insecure-" + "0123456789abcdefghijklmnopqrstuvwxyz", "not a sample"),
        ("SECRET_KEY", "password" * 6 + "0123456789ab", "not a sample"),
        ("SECRET_KEY", "tr0ub4dor&3-" * 5, "not a sample"),
        ("SECRET_KEY", "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "not a sample"),
        ("SECRET_KEY", "changeme" + "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJ", "not a sample"),
        ("SYNAPSE_TRUSTED_PROXIES", "proxy.internal", "addresses and networks"),
        ("SYNAPSE_TRUSTED_PROXIES", "10.0.0.1/8", "addresses and networks"),
        ("SYNAPSE_RATE_PER_ADDRESS", "100", "a rate such as 100/s"),
        ("SYNAPSE_RATE_PER_KEY", "0/s", "a rate such as 100/s"),
        ("SYNAPSE_HTTPS", "perhaps", "true or false"),
        ("SYNAPSE_LOG_FORMAT", "xml", "text or json"),
        ("SYNAPSE_LOG_LEVEL", "LOUD", "one of DEBUG"),
        ("SYNAPSE_REDIS_TIMEOUT", "-1", "a whole number"),
    ],
)
def test_a_bad_value_is_refused_and_named(tmp_path, name, text, words):
    with pytest.raises(environment.BadSetting, match=f"^{name}: expected .*{words}"):
        read(tmp_path, **{name: text})


def test_the_scheme_of_a_url_may_be_written_in_capitals(tmp_path):
    assert read(tmp_path, DATABASE_URL="POSTGRES://user@host/name")["DATABASE_URL"] == "postgres://user@host/name"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(environment.BadSetting, match=r"^SECRET_KEY_FILE: cannot read"):
        read(tmp_path, SECRET_KEY_FILE=str(tmp_path / "nowhere"))


def test_a_bad_value_stops_the_start_with_one_line():
    run = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env={"PORT": "x"}, capture_output=True, text=True, check=False
    )

    assert run.returncode == 1
    assert run.stderr == "synapse: PORT: expected a whole number from 1 to 65535, got 'x'\n"


@pytest.mark.parametrize(
    ("variables", "suffix"),
    [
        ({}, ""),
        ({"PORT": "8002"}, ""),
        ({"PORT": "9002"}, "_9002"),
        ({"SYNAPSE_COOKIE_SUFFIX": "-blue"}, "-blue"),
        ({"PORT": "9002", "SYNAPSE_COOKIE_SUFFIX": "-blue"}, "-blue"),
    ],
)
def test_cookies_of_two_installations_on_one_host_have_different_names(tmp_path, variables, suffix):
    assert environment.cookie_suffix(environment.read_settings(tmp_path, variables)) == suffix


def test_every_setting_is_documented_with_its_default_and_no_other():
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", (ROOT / "docs/reference/settings.md").read_text(), re.M)

    expected = [(setting.name, environment.shown_default(setting), setting.meaning) for setting in environment.SETTINGS]
    assert rows == expected
