"""Logging in through a proxy that ends TLS, keeps or changes Host, and forwards the browser's address."""

from urllib.parse import urlencode

import pytest

from synapse.auth.client_ip import parse_proxies

PAGE = "https://synapse.example"
OUTSIDE = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9"}


@pytest.fixture
def behind_proxy(settings):
    """Requested before `ask`, because Django's middleware reads the setting when it is created."""
    settings.ALLOWED_HOSTS = ["synapse.example", "localhost"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.TRUSTED_PROXIES = parse_proxies(["127.0.0.1"])


def log_in(ask, headers, origin=PAGE):
    """Send the form as a browser does, with nothing filled in: 200 once CSRF protection let it pass."""
    page = ask("GET", "/admin/login/", headers=headers)
    name, _, token = page.headers["set-cookie"].partition(";")[0].partition("=") if page.status == 200 else ("", "", "")
    sent = {
        **headers,
        "cookie": f"{name}={token}",
        "origin": origin,
        "referer": f"{origin}/admin/login/",
        "content-type": "application/x-www-form-urlencoded",
    }
    form = urlencode({"csrfmiddlewaretoken": token, "username": "", "password": "", "next": "/admin/"})
    return ask("POST", "/admin/login/", form, sent).status


@pytest.fixture
def ask_there(behind_proxy, ask):
    if ask.name == "django":
        # Its test client keeps cookies, and does not tell them as headers.
        ask._client.cookies.clear()
        answered = ask.__call__

        def told(method, path, body=b"", headers=None):
            answer = answered(method, path, body, headers)
            cookies = ask._client.cookies.output(header="", sep=",").strip()
            ask._client.cookies.clear()
            return type(answer)(answer.status, {**answer.headers, "set-cookie": cookies}, answer.body)

        return told
    return ask


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"host": "synapse.example"}, PAGE),
        ({"host": "localhost:8002", "x-forwarded-host": "synapse.example"}, PAGE),
        ({"host": "synapse_upstream", "x-forwarded-host": "synapse.example"}, PAGE),
        ({"host": "localhost:8002", "x-forwarded-host": "synapse.example:8443"}, f"{PAGE}:8443"),
        ({"host": "localhost:8002", "x-forwarded-host": "synapse.example, inner.proxy"}, PAGE),
    ],
)
def test_people_log_in_through_a_trusted_proxy(ask_there, headers, origin):
    assert log_in(ask_there, OUTSIDE | headers, origin) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost:8002"},
        {"host": "localhost:8002", "x-forwarded-host": "evil.example"},
        {"host": "synapse.example:8443"},
    ],
)
def test_a_page_whose_origin_is_not_the_host_that_arrives_is_refused(ask_there, headers):
    assert log_in(ask_there, OUTSIDE | headers) == 403


def test_a_login_with_headers_of_an_untrusted_proxy_is_refused(ask_there, settings):
    settings.TRUSTED_PROXIES = parse_proxies(["192.0.2.1"])

    assert log_in(ask_there, OUTSIDE | {"host": "localhost:8002", "x-forwarded-host": "synapse.example"}) == 403


@pytest.fixture
def trusted_origin(settings):
    settings.CSRF_TRUSTED_ORIGINS = [PAGE]


def test_an_origin_that_a_proxy_hides_is_named_by_a_setting(trusted_origin, ask_there):
    assert log_in(ask_there, OUTSIDE | {"host": "localhost:8002"}) == 200
