"""Logging in to the admin: who guesses passwords is stopped, and the record tells of it."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from core.models import AuditEntry
from tests.admin.pages import text_of

LOGIN = "/admin/login/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna():
    return User.objects.create_user("anna", password="a long way home", is_staff=True)


def attempt(password, username="anna", address="192.0.2.7"):
    form = {"username": username, "password": password, "next": "/admin/"}
    return Client(REMOTE_ADDR=address).post(LOGIN, form)


def recorded():
    rows = AuditEntry.objects.order_by("id")
    return [(row.actor, row.action, row.target, row.address) for row in rows]


def test_logging_in_and_out_is_recorded_with_the_address(anna):
    client = Client(REMOTE_ADDR="192.0.2.7")

    client.post(LOGIN, {"username": "anna", "password": "a long way home"})
    client.post("/admin/logout/")

    assert recorded() == [
        ("person:anna", "log in", "user anna", "192.0.2.7"),
        ("person:anna", "log out", "user anna", "192.0.2.7"),
    ]


def test_after_five_wrong_passwords_none_is_tried_any_more(anna):
    answers = [attempt("wrong") for _ in range(5)]

    right = attempt("a long way home")

    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
    assert right.status_code == 429
    assert right["Retry-After"] == "900"
    assert "Wait 15 minutes" in text_of(right)
    assert "_auth_user_id" not in right.client.session


def test_each_wrong_password_is_recorded_and_the_last_that_counted(anna):
    for _ in range(8):
        attempt("wrong")

    assert recorded() == [
        *[("anonymous", "fail to log in", "user anna", "192.0.2.7")] * 5,
        ("anonymous", "lock out", "user anna", "192.0.2.7"),
    ]
    assert AuditEntry.objects.first().after == {"failures": 5, "minutes": 15}


def test_others_and_other_addresses_are_not_locked_out_with_them(anna):
    User.objects.create_user("bo", password="another way home", is_staff=True)
    for _ in range(6):
        attempt("wrong")

    assert attempt("a long way home", address="192.0.2.8").status_code == 302
    assert attempt("another way home", username="bo").status_code == 302


def test_after_a_quarter_of_an_hour_the_right_password_counts_again(anna):
    for _ in range(6):
        attempt("wrong")
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=15, seconds=1))

    assert attempt("a long way home").status_code == 302


def test_a_forwarded_address_is_not_believed(anna):
    for number in range(6):
        Client(REMOTE_ADDR="192.0.2.7", HTTP_X_FORWARDED_FOR=f"198.51.100.{number}").post(
            LOGIN, {"username": "anna", "password": "wrong"}
        )

    assert attempt("a long way home").status_code == 429


@pytest.mark.parametrize("username", ["", "x" * 5000, "a\x00b", "\r\nSet-Cookie: a", "😀" * 300])
def test_odd_names_are_a_wrong_name(anna, username):
    assert attempt("wrong", username=username).status_code == 200


def test_a_person_who_is_not_of_the_admin_does_not_get_in():
    User.objects.create_user("bo", password="another way home")

    answer = attempt("another way home", username="bo")

    assert answer.status_code == 200
    assert "_auth_user_id" not in answer.client.session
