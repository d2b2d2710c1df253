"""Logging in to the admin: guessing passwords is stopped, and the audit log records it."""

import json
import logging
import threading
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.utils import timezone

from core import audit, logins
from core.models import AuditEntry
from synapse.auth.principal import SYSTEM
from tests.admin.pages import leave_pages_undrawn, text_of
from tests.patience import eventually
from tests.tables import for_each

LOGIN = "/admin/login/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def drawn():
    """Pages are drawn, since the test reads one."""


@pytest.fixture(autouse=True)
def undrawn(request, monkeypatch):
    """Other tests look at nothing of an answer but its head."""
    if "drawn" not in request.fixturenames:
        leave_pages_undrawn(monkeypatch)


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


def test_after_five_wrong_passwords_the_right_one_is_refused(anna, drawn):
    answers = [attempt("wrong") for _ in range(5)]

    right = attempt("a long way home")

    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
    assert right.status_code == 429
    assert right["Retry-After"] == "900"
    assert "Wait 15 minutes" in text_of(right)
    assert "_auth_user_id" not in right.client.session


def test_wrong_passwords_are_one_audit_entry_and_the_lock_out_another(anna):
    for _ in range(8):
        attempt("wrong")

    assert recorded() == [
        ("anonymous", "fail to log in", "user anna", "192.0.2.7"),
        ("anonymous", "lock out", "user anna", "192.0.2.7"),
    ]
    lock_out, failed = AuditEntry.objects.all()
    assert lock_out.after == {"failures": 5, "minutes": 15}
    assert failed.after["failures"] == 5
    assert failed.after["last"].endswith("Z")


def test_unknown_names_that_a_caller_tried_are_one_audit_entry(anna):
    for number in range(12):
        attempt("wrong", username=f"nobody-{number}")
    attempt("wrong", username="nobody-0")

    (entry,) = AuditEntry.objects.all()
    assert (entry.action, entry.target) == ("fail to log in", "users that are not there")
    assert entry.after["failures"] == 13
    assert entry.after["names"] == [f"nobody-{number}" for number in range(10)]


def test_guesses_at_an_unknown_name_are_refused_like_those_at_a_known_one(anna):
    answers = [attempt("wrong", username="nobody").status_code for _ in range(6)]

    assert answers == [200, 200, 200, 200, 429, 429]
    assert {action for _, action, _, _ in recorded()} == {"fail to log in"}


def test_failed_logins_have_an_audit_entry_for_each_caller_name_and_quarter_of_an_hour(anna):
    User.objects.create_user("bo", password="another way home", is_staff=True)
    attempt("wrong")
    attempt("wrong", username="bo")
    attempt("wrong", address="192.0.2.8")
    AuditEntry.objects.filter(address="192.0.2.7").update(at=timezone.now() - timedelta(minutes=15, seconds=1))

    attempt("wrong")

    assert [(target, address) for _, _, target, address in recorded()] == [
        ("user anna", "192.0.2.7"),
        ("user bo", "192.0.2.7"),
        ("user anna", "192.0.2.8"),
        ("user anna", "192.0.2.7"),
    ]
    assert {entry.after["failures"] for entry in AuditEntry.objects.all()} == {1}


def test_nine_failed_logins_are_four_lines_of_the_audit_log_with_one_entry_id(
    anna, caplog, django_capture_on_commit_callbacks
):
    with caplog.at_level(logging.INFO, logger="synapse.audit"), django_capture_on_commit_callbacks(execute=True):
        for number in range(9):
            logins.record_failure(f"nobody-{number}", "192.0.2.7")

    lines = [json.loads(record.getMessage()) for record in caplog.records]
    assert len(lines) == 4
    assert {line["id"] for line in lines} == {AuditEntry.objects.get().pk}


def test_old_entries_of_failed_logins_are_deleted_and_all_other_entries_stay(anna, settings):
    settings.FAILED_LOGIN_DAYS = 3
    for _ in range(5):
        attempt("wrong")
    attempt("a long way home", address="192.0.2.8")
    audit.record(SYSTEM, "create", "stream orders")
    attempt("wrong", address="192.0.2.9")
    entries = AuditEntry.objects.exclude(address="192.0.2.9")
    entries.update(at=timezone.now() - timedelta(days=3, seconds=1))

    logins.delete_old_entries()

    assert [(action, address) for _, action, _, address in recorded()] == [
        ("log in", "192.0.2.8"),
        ("create", ""),
        ("fail to log in", "192.0.2.9"),
    ]


def test_entries_of_failed_logins_are_kept_up_to_a_limit(anna, monkeypatch):
    monkeypatch.setattr(logins, "MOST_ENTRIES", 3)
    audit.record(SYSTEM, "create", "stream orders")
    for number in range(5):
        attempt("wrong", address=f"192.0.2.{number}")

    logins.delete_old_entries()

    assert [address for _, _, _, address in recorded()] == ["", "192.0.2.2", "192.0.2.3", "192.0.2.4"]


def test_attempts_that_no_longer_count_are_deleted(anna):
    attempt("wrong")
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=15, seconds=1))
    attempt("wrong", address="192.0.2.8")

    logins.delete_expired_attempts()

    assert [row.ip_address for row in AccessAttempt.objects.all()] == ["192.0.2.8"]


@pytest.mark.parametrize(
    ("addresses", "status"),
    [
        ([f"2001:db8:1:2::{number}" for number in range(6)], 429),
        (["2001:db8:1:2:ffff:ffff:ffff:ffff", *(f"2001:db8:1:2::{number}" for number in range(5))], 429),
        ([f"2001:db8:1:{number}::1" for number in range(6)], 302),
        ([f"::ffff:192.0.2.{number}" for number in range(6)], 302),
        (["::ffff:192.0.2.7"] * 5 + ["192.0.2.7"], 429),
    ],
    ids=["a network", "from end to end of a network", "six networks", "six of IPv4", "IPv4 in two spellings"],
)
def test_an_ipv6_network_is_one_caller(anna, addresses, status):
    for address in addresses[:-1]:
        attempt("wrong", address=address)

    assert attempt("a long way home", address=addresses[-1]).status_code == status


def test_a_caller_with_another_browser_is_the_same_caller(anna):
    for number in range(6):
        answer = Client(REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT=f"browser {number}").post(
            LOGIN, {"username": "anna", "password": "wrong"}
        )

    assert answer.status_code == 429


def test_a_successful_login_resets_the_failed_attempts(anna):
    for _ in range(3):
        for _ in range(4):
            attempt("wrong")

        assert attempt("a long way home").status_code == 302

    assert not AccessAttempt.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_only_five_of_twenty_simultaneous_guesses_are_compared_with_the_password(anna, monkeypatch):
    looked_at, answers, all_are_in = [], [], threading.Event()

    def authenticate(self, request, username=None, password=None, **_):
        looked_at.append(password)
        assert all_are_in.wait(timeout=60)

    def guess(number):
        answers.append(attempt(f"guess {number}").status_code)
        connection.close()

    monkeypatch.setattr(ModelBackend, "authenticate", authenticate)
    threads = [threading.Thread(target=guess, args=[number]) for number in range(20)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(looked_at) + len(answers) == len(threads))
    all_are_in.set()
    for thread in threads:
        thread.join()

    assert len(looked_at) == 5
    assert sorted(answers)[:5] != [429] * 5
    assert len([status for status in answers if status == 429]) >= 15


@for_each(
    "username, password",
    [("anna", "x" * 4097), ("anna", "x" * 1024**2), ("x" * 151, "wrong"), ("a\x00b", "wrong"), ("anna", "a\x00b")],
)
def test_impossible_names_and_passwords_fail_without_being_hashed_or_counted(anna, monkeypatch, username, password):
    monkeypatch.setattr(ModelBackend, "authenticate", lambda *_, **__: pytest.fail("it was looked at"))

    assert [attempt(password, username=username).status_code for _ in range(6)] == [200] * 6
    assert not AccessAttempt.objects.exists()
    assert recorded() == []


def test_the_longest_password_that_can_be_set_can_be_logged_in_with(anna):
    longest = "Ab3!" * 1024
    validate_password(longest)
    anna.set_password(longest)
    anna.save()

    assert attempt(longest).status_code == 302
    with pytest.raises(ValidationError, match="at most 4096 characters"):
        validate_password(longest + "x")


def test_a_locked_out_person_locks_out_no_other_person_or_address(anna):
    User.objects.create_user("bo", password="another way home", is_staff=True)
    for _ in range(6):
        attempt("wrong")

    assert attempt("a long way home", address="192.0.2.8").status_code == 302
    assert attempt("another way home", username="bo").status_code == 302


def test_the_right_password_is_accepted_a_quarter_of_an_hour_after_a_lock_out(anna):
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


@for_each("username", ["", "x" * 5000, "a\x00b", "\r\nSet-Cookie: a", "😀" * 300])
def test_an_odd_name_is_answered_like_a_wrong_one(anna, username):
    assert attempt("wrong", username=username).status_code == 200


def test_a_person_without_access_to_the_admin_cannot_log_in():
    User.objects.create_user("bo", password="another way home")

    answer = attempt("another way home", username="bo")

    assert answer.status_code == 200
    assert "_auth_user_id" not in answer.client.session


class TestTheOldPasswordInTheFormThatChangesIt:
    NEW = "a path across the hills"

    @pytest.fixture
    def change(self, anna):
        client = Client(REMOTE_ADDR="192.0.2.7")
        client.force_login(anna)

        def change(old, new=self.NEW):
            form = {"old_password": old, "new_password1": new, "new_password2": new}
            return client.post("/admin/password_change/", form)

        return change

    def test_the_old_password_can_be_guessed_five_times(self, anna, change):
        answers = [change("wrong").status_code for _ in range(5)]

        right = change("a long way home")

        assert answers == [200] * 5
        assert right.status_code == 429
        assert "Retry-After" in right
        anna.refresh_from_db()
        assert anna.check_password("a long way home")

    def test_guesses_at_the_old_password_and_at_the_log_in_are_counted_together(self, anna, change):
        for _ in range(3):
            attempt("wrong")
            change("wrong")

        assert change("a long way home").status_code == 429

    def test_a_right_old_password_with_a_refused_new_one_is_not_counted_as_a_guess(self, anna, change):
        answers = [change("a long way home", new="short").status_code for _ in range(7)]

        assert answers == [200] * 7
        assert change("a long way home").status_code == 302
        anna.refresh_from_db()
        assert anna.check_password(self.NEW)
