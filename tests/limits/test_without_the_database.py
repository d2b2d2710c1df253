"""While the database cannot be used, the API, the registry and the admin answer requests that need it with 503."""

import sqlite3
from contextlib import closing

import django.db
import psycopg
import pytest
from django.contrib.auth.models import User
from django.test import Client

from core import database
from synapse.http.exchange import Request
from synapse.runtime.log_format import WithoutTraceOfRefusals
from synapse.runtime.repeated_failures import RepeatedFailures
from synapse.server.conversion import failure_response
from synapse_project.server_config import server_config


def wrapped(kind, cause):
    """Return the error that Django raises when the driver of the database raised `cause`."""
    error = kind(*cause.args)
    error.__cause__ = cause
    return error


def of_sqlite(code, text, kind=django.db.OperationalError):
    cause = sqlite3.OperationalError(text)
    cause.sqlite_errorcode = code
    return wrapped(kind, cause)


AWAY = [
    of_sqlite(sqlite3.SQLITE_BUSY, "database is locked"),
    of_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT, "database is locked"),
    of_sqlite(sqlite3.SQLITE_LOCKED, "database table is locked"),
    of_sqlite(sqlite3.SQLITE_FULL, "database or disk is full"),
    of_sqlite(sqlite3.SQLITE_READONLY_DBMOVED, "attempt to write a readonly database"),
    of_sqlite(sqlite3.SQLITE_CANTOPEN, "unable to open database file"),
    of_sqlite(sqlite3.SQLITE_IOERR_WRITE, "disk I/O error"),
    wrapped(django.db.OperationalError, psycopg.OperationalError("connection refused")),
    wrapped(django.db.OperationalError, psycopg.errors.AdminShutdown("terminating connection")),
    wrapped(django.db.OperationalError, psycopg.errors.DiskFull("could not extend file")),
    wrapped(django.db.OperationalError, psycopg.errors.TooManyConnections("too many clients already")),
    wrapped(django.db.InterfaceError, psycopg.InterfaceError("connection already closed")),
    wrapped(django.db.InternalError, psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT")),
    django.db.OperationalError("the database is away"),
]
OURS = [
    of_sqlite(sqlite3.SQLITE_ERROR, "no such column: x"),
    of_sqlite(sqlite3.SQLITE_ERROR, "no such table: streams_stream"),
    of_sqlite(sqlite3.SQLITE_CONSTRAINT_UNIQUE, "UNIQUE constraint failed", django.db.IntegrityError),
    wrapped(django.db.ProgrammingError, psycopg.errors.UndefinedTable("relation does not exist")),
    wrapped(django.db.IntegrityError, psycopg.errors.UniqueViolation("duplicate key")),
    wrapped(django.db.DataError, psycopg.errors.StringDataRightTruncation("too long")),
    django.db.InternalError("an error of the server"),
    ValueError("database is locked"),
    None,
]


@pytest.mark.parametrize("error", AWAY, ids=str)
def test_an_error_of_a_database_that_cannot_be_used_is_503(error):
    problem = database.database_problem(error)

    assert problem is not None
    assert (problem.status, problem.slug, problem.headers["Retry-After"]) == (503, "database-down", "1")


@pytest.mark.parametrize("error", OURS, ids=str)
def test_an_error_of_a_statement_is_no_database_down(error):
    assert database.database_problem(error) is None


def test_the_event_loop_answers_503_for_a_database_that_cannot_be_used_and_500_for_other_errors():
    assert failure_response(server_config(), Request("GET", "/"), AWAY[0]).status == 503
    assert failure_response(server_config(), Request("GET", "/"), OURS[0]).status == 500


def test_each_error_of_a_database_that_cannot_be_used_is_logged_once_in_a_row(caplog, monkeypatch):
    monkeypatch.setattr(database, "_failures", RepeatedFailures())

    for error in (AWAY[0], AWAY[0], AWAY[3], AWAY[3]):
        database.database_problem(error)

    assert [record.getMessage() for record in caplog.records] == [
        "the database cannot be used: database is locked",
        "the database cannot be used: database or disk is full",
    ]


@pytest.fixture
def away(db):
    """Return a function after whose call every statement fails, as if the database were gone."""
    # Not the fixture `monkeypatch`: statements must work again before the transaction of the test ends.
    with pytest.MonkeyPatch.context() as patched:

        def go(error=AWAY[0]):
            def execute(*_):
                raise error

            patched.setattr("django.db.backends.utils.CursorWrapper.execute", execute)

        yield go


@pytest.fixture
def person(db):
    person = Client(headers={"host": "localhost"}, raise_request_exception=False)
    person.force_login(User.objects.create_superuser("ada"))
    return person


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/registry/subjects", b""),
        ("GET", "/registry/schemas/ids/1", b""),
        ("POST", "/registry/subjects/orders/versions", b'{"schemaType": "JSON", "schema": "{}"}'),
    ],
)
def test_the_registry_answers_503_in_its_own_form(person, define, away, method, path, body):
    define("orders", {"order-placed": {"type": "object"}})
    person.get("/registry/subjects")
    away()

    answer = person.generic(method, path, body, content_type="application/json")

    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert answer.json() == {
        "error_code": 503,
        "message": "The database cannot be used now: nothing was changed. Try again.",
    }


def test_a_view_of_the_api_answers_503_with_a_problem_document(person, redis, away):
    person.get("/audit")
    away()

    answer = person.get("/audit")

    assert (answer.status_code, answer.json()["type"]) == (503, "urn:synapse:problem:database-down")


@pytest.mark.parametrize("path", ["/admin/", "/admin/streams/stream/", "/admin/login/?next=/admin/"])
def test_the_admin_answers_503_with_a_page(person, redis, away, path):
    away()

    answer = person.get(path)

    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert answer["Content-Type"].startswith("text/html")
    assert "The database cannot be used now" in answer.content.decode()


def test_an_error_of_a_statement_is_500_and_logged_with_its_traceback(person, redis, away, caplog):
    away(OURS[0])

    answer = person.get("/audit")

    assert answer.status_code == 500
    assert any(record.exc_info for record in caplog.records)


def test_a_request_without_the_database_is_logged_without_a_traceback(person, redis, away, caplog):
    away()
    person.get("/admin/")

    record = next(record for record in caplog.records if record.name == "django.request")

    WithoutTraceOfRefusals().filter(record)
    assert (record.status_code, record.exc_info) == (503, None)


def test_a_database_that_another_connection_has_locked_cannot_be_used(tmp_path):
    path = tmp_path / "locked.sqlite3"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as holder,
        closing(sqlite3.connect(path, timeout=0)) as other,
    ):
        holder.execute("CREATE TABLE t (x)")
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError) as raised:
            other.execute("INSERT INTO t VALUES (1)")

    assert database.is_database_away(wrapped(django.db.OperationalError, raised.value))
