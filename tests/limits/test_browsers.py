"""Response headers for browsers: permitted sources of content, and no guessing of types."""

import pytest

DATA = {"default-src": ["'none'"], "frame-ancestors": ["'none'"]}


def directives(answer):
    return {part.split()[0]: part.split()[1:] for part in answer.headers["content-security-policy"].split("; ")}


@pytest.mark.parametrize("path", ["/streams", "/streams/none/info", "/registry/subjects", "/nowhere", "/healthz"])
def test_answers_of_the_api_run_and_load_nothing(ask, path):
    answer = ask("GET", path)

    assert directives(answer) == DATA
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_page_of_the_admin_runs_no_inline_script(client):
    answer = client.get("/admin/login/")

    policy = directives(answer)
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == ["'none'"]
    assert policy["script-src"] == ["'self'", "'unsafe-eval'"]
    assert policy["style-src"][0] == "'self'"
    assert "'unsafe-inline'" not in policy["style-src"]
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "camera=()" in answer.headers["permissions-policy"]


def test_the_nonce_of_a_page_is_its_own(client):
    first, second = (directives(client.get("/admin/login/"))["style-src"][1] for _ in range(2))

    assert first.startswith("'nonce-")
    assert first != second


def test_the_page_of_the_api_needs_neither_eval_nor_anything_inline(client):
    policy = directives(client.get("/docs"))

    assert not [source for sources in policy.values() for source in sources if "unsafe" in source or "nonce" in source]


@pytest.mark.django_db
def test_the_admin_writes_no_style_into_its_pages(admin_client):
    html = admin_client.get("/admin/").content.decode()

    assert "<style" not in html
