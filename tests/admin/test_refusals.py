"""Refusals of the admin are pages with the reason and the way back; log-ins, log-outs and old addresses redirect."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.admin.pages import text_of

pytestmark = pytest.mark.django_db
BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PASSWORD = "a-good-password"


@pytest.fixture
def anna(client):
    client.force_login(User.objects.create_user("anna", password=PASSWORD, is_staff=True))
    return client


def test_a_log_in_that_names_no_page_of_synapse_redirects_to_the_overview(client):
    User.objects.create_user("anna", password=PASSWORD, is_staff=True)

    for form in ({}, {"next": ""}, {"next": "//evil.example"}):
        answer = client.post("/admin/login/", {"username": "anna", "password": PASSWORD, **form})

        assert (answer.status_code, answer["location"]) == (302, "/admin/")


@pytest.mark.parametrize("auth", ["open", "required"])
def test_the_admin_without_a_slash_redirects_to_the_one_with_it(client, settings, auth):
    settings.AUTH = auth

    assert client.get("/admin")["location"] == "/admin/"
    assert client.get("/admin/login", follow=True).redirect_chain[-1][0].startswith("/admin/login/")


@pytest.mark.parametrize("path", ["/admin/login", "/admin/auth/user", "/admin/streams/stream/add", "/admin/logout"])
def test_the_address_of_a_page_without_its_slash_redirects_to_the_page(admin_client, path):
    assert admin_client.get(f"{path}?a=b")["location"] == f"{path}/?a=b"


@pytest.mark.parametrize("path", ["/admin/nowhere", "/admin/auth/users", "/adminx", "/pull"])
def test_an_unknown_path_is_not_redirected_to_one_with_a_slash(admin_client, path):
    assert admin_client.get(path, headers=BROWSER).status_code in (404, 405)


def test_an_unknown_page_of_the_admin_is_404_with_a_link_to_the_overview(admin_client):
    answer = admin_client.get("/admin/nowhere/", headers=BROWSER)

    assert answer.status_code == 404
    assert answer["content-type"].startswith("text/html")
    assert "Nothing is served under /admin/nowhere/" in text_of(answer)
    assert 'href="/admin/"' in answer.content.decode()


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/html", "text/html"),
        ("application/json;q=0.9, text/html", "text/html"),
        ("*/*", "application/problem+json"),
        ("text/html;q=0.1, application/json", "application/problem+json"),
        ("text/html;q=0, */*", "application/problem+json"),
        ("text/html;q=0", "application/problem+json"),
    ],
)
def test_a_refusal_is_a_page_for_clients_that_prefer_html(admin_client, accept, kind):
    answer = admin_client.get("/admin/nowhere/", headers={"accept": accept})

    assert (answer.status_code, answer["content-type"].partition(";")[0]) == (404, kind)


@pytest.mark.parametrize("path", ["/admin/streams/stream/", "/admin/auth/user/", "/admin/core/auditentry/"])
def test_a_page_that_a_person_may_not_see_is_403_with_a_link_to_the_overview(anna, path):
    answer = anna.get(path, headers=BROWSER)

    assert answer.status_code == 403
    assert "You may not do this" in text_of(answer)
    assert 'href="/admin/"' in answer.content.decode()


def test_a_form_without_its_csrf_token_is_403_and_says_to_open_the_page_again():
    client = Client(enforce_csrf_checks=True)

    answer = client.post("/admin/login/", {"username": "anna", "password": PASSWORD}, headers=BROWSER)

    assert answer.status_code == 403
    assert "Open the page again" in text_of(answer)


def test_an_unknown_filter_is_refused_with_a_page(admin_client):
    answer = admin_client.get("/admin/auth/user/?password__startswith=a", headers=BROWSER)

    assert answer.status_code == 400
    assert "The request was refused." in text_of(answer)


@pytest.mark.parametrize("headers", [{}, {"accept": "application/json"}, {"accept": "*/*"}])
def test_a_refused_program_gets_a_problem_document(admin_client, anna, headers):
    for client, path, status in ((admin_client, "/admin/nowhere/", 404), (anna, "/admin/auth/user/", 403)):
        answer = client.get(path, headers=headers)

        assert answer.status_code == status
        assert answer["content-type"] == "application/problem+json"


def test_an_unknown_path_outside_the_admin_is_a_problem_document_for_browsers_too(client):
    assert client.get("/nowhere", headers=BROWSER)["content-type"] == "application/problem+json"


class TestLoggingOut:
    def test_opening_the_logout_address_asks_first_and_keeps_the_person_logged_in(self, anna):
        answer = anna.get("/admin/logout/", headers=BROWSER)

        assert answer.status_code == 200
        assert "You are logged in as anna" in text_of(answer)
        assert anna.get("/admin/").status_code == 200

    def test_a_post_to_the_logout_address_logs_the_person_out(self, anna):
        assert anna.post("/admin/logout/").status_code == 200
        assert anna.get("/admin/").status_code == 302

    def test_the_logout_address_redirects_an_anonymous_visitor_to_the_login(self, client, settings):
        settings.AUTH = "required"

        assert client.get("/admin/logout/", follow=True).redirect_chain[-1][0].startswith("/admin/login/")


def test_an_error_inside_synapse_is_a_page_for_people_and_a_problem_document_for_programs(admin_client, monkeypatch):
    def fail(request, frame):
        raise RuntimeError("no such luck")

    monkeypatch.setattr("core.admin.home.context", fail)
    admin_client.raise_request_exception = False

    page, answer = admin_client.get("/admin/", headers=BROWSER), admin_client.get("/admin/")

    assert (page.status_code, answer.status_code) == (500, 500)
    assert "Something went wrong inside Synapse" in text_of(page)
    assert "no such luck" not in page.content.decode()
    assert answer["content-type"] == "application/problem+json"
