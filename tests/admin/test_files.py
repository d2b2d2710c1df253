"""The assets of the pages: no inline scripts, no unescaped text, and bundles built from their stated sources."""

import hashlib
import re
from pathlib import Path

import pytest

from tests.tables import for_each

ROOT = Path(__file__).parents[2]
BUNDLES = ROOT / "core/bundles"
STATIC = ROOT / "core/static/core"
TEMPLATES = sorted(path for app in ("core", "contracts", "streams", "bridges") for path in (ROOT / app).rglob("*.html"))
SOURCES = sorted(path for app in ("core", "contracts", "streams") for path in (ROOT / app / "admin").rglob("*.py"))

every_template = for_each("template", TEMPLATES)


@every_template
def test_no_template_has_a_script_or_a_style_of_its_own(template):
    html = template.read_text(encoding="utf-8")

    assert re.findall(r"<script(?![^>]*\ssrc=)", html) == []
    assert re.findall(r"\s(?:on\w+|style)=", html) == []
    assert re.findall(r"(?:src|href)=\"https?:", html) == []


@every_template
def test_no_template_turns_escaping_off(template):
    html = template.read_text(encoding="utf-8")

    assert re.findall(r"\|\s*safe|autoescape\s+off", html) == []


@for_each("source", SOURCES)
def test_no_page_calls_a_text_safe(source):
    assert "mark_safe" not in source.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["json-editor.js", "charts.js"])
def test_a_bundle_was_made_from_its_stated_sources(name):
    made_of = (BUNDLES / "package.json").read_bytes() + (BUNDLES / name).read_bytes()

    first_line = (STATIC / name).read_text(encoding="utf-8").partition("\n")[0]
    assert hashlib.sha256(made_of).hexdigest() in first_line, "run core/bundles/build"


def test_every_bundled_package_is_pinned_and_has_its_licence_beside_it():
    import json

    packages = json.loads((BUNDLES / "package.json").read_text())["dependencies"]
    licences = (STATIC / "THIRD_PARTY.txt").read_text(encoding="utf-8")

    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in packages.values())
    assert re.findall(r"^==== (\S+) (\S+) ====$", licences, re.MULTILINE) == sorted(packages.items())
