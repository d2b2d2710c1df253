"""`manage.py catalog plan | apply | export`: arguments and output."""

import io
from textwrap import dedent

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError  # noqa: F401

from streams.models import Stream
from tests.catalog.files import ORDERS, apply
from tests.definitions import contract

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "orders.yaml"
    path.write_text(dedent(ORDERS))
    return path


def run(*words: str, **options: object) -> str:
    out = io.StringIO()
    call_command("catalog", *map(str, words), stdout=out, **options)
    return out.getvalue()


def test_plan_prints_what_would_be_made(file):
    assert run("plan", file) == dedent("""\
        + contract orders.order-placed
        + stream orders
        + event type orders/order-placed
        + service shop
        + service warehouse
        + grant shop may publish orders/*
        + grant warehouse may subscribe orders/order-placed
        to be created: 1 contract, 1 stream, 1 event type, 2 services, 2 grants
        """)
    assert not Stream.objects.exists()


def test_plan_prints_what_would_change_and_what_would_go(file):
    apply(ORDERS)
    changed = file.read_text().replace("What customers buy", "Orders").replace("max_age: P7D", "max_length: 5")
    changed = changed.replace("minimum: 1", "description: How many").replace("number: 7", "number: 8")
    file.write_text(changed.replace("warehouse", "depot"))

    assert run("plan", file, "--delete") == dedent("""\
        ~ contract orders.order-placed
            version: 1 -> 2
            schema:
              + /properties/number/description: "How many"
              - /properties/number/minimum: 1
        ~ stream orders
            purpose: "What customers buy" -> Orders
            max_length: none -> 5
            max_age: P7D -> none
        ~ event type orders/order-placed
            example:
              - /number: 7
              + /number: 8
        + service depot
        + grant depot may subscribe orders/order-placed
        - grant warehouse may subscribe orders/order-placed
        - service warehouse
        """) + (
        "to be created: 1 service, 1 grant; to be updated: 1 contract, 1 stream, 1 event type; "
        "to be deleted: 1 grant, 1 service\n"
    )


def test_plan_says_when_there_is_nothing_to_change(file):
    run("apply", file)

    assert run("plan", file, "--check") == "nothing to change\n"


def test_plan_with_check_fails_when_there_is_something_to_change(file):
    with pytest.raises(SystemExit) as ended:
        run("plan", file, "--check")

    assert ended.value.code == 1


def test_a_change_of_many_keys_is_cut_short(any_schema_may_follow):
    contract("many", {"properties": {f"p{n}": {"type": "string"} for n in range(100)}})

    apply("streams: []")

    text = "contracts: [{subject: many, schema: {type: object}}]"
    assert "      … and 61 more lines\n" in plan_of(text)


def plan_of(text: str) -> str:
    import sys

    original = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(text.encode()))
    try:
        return run("plan", "-")
    finally:
        sys.stdin = original


def test_apply_says_what_it_did(file):
    assert run("apply", file) == "created: 1 contract, 1 stream, 1 event type, 2 services, 2 grants\n"
    assert run("apply", file) == "nothing to change\n"
    assert run("apply", file, verbosity=0) == ""


def test_apply_takes_its_options(redis, file):
    run("apply", file)
    file.write_text("streams: []")

    assert run("apply", file, "--only-new") == "nothing to change\n"
    assert run("apply", file, "--delete") == "deleted: 1 event type, 1 stream\n"


def test_errors_are_printed_a_line_each_and_nothing_is_written(file):
    file.write_text("streams: [{name: orders}, {nam: parcels}]\nservice: []\n")

    with pytest.raises(CommandError) as refused:
        run("apply", file)

    assert str(refused.value).splitlines() == [
        f"{file} has 3 errors; nothing was changed.",
        "  line 1: streams[1].nam: there is no such key; did you mean “name”?",
        "  line 1: streams[1]: “name” is missing",
        "  line 2: service: there is no such key; did you mean “services”?",
    ]
    assert not Stream.objects.exists()


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CommandError, match=r"none\.yaml cannot be read: no such file or directory"):
        run("plan", tmp_path / "none.yaml")

    with pytest.raises(CommandError, match="cannot be read: is a directory"):
        run("plan", tmp_path)


def test_export_writes_to_the_standard_output_or_a_file(file, tmp_path):
    run("apply", file)

    run("export", tmp_path / "export.yaml")

    assert run("export") == run("export", "-") == (tmp_path / "export.yaml").read_text()
    assert run("plan", tmp_path / "export.yaml", "--delete") == "nothing to change\n"
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["export.yaml", "orders.yaml"]


def test_export_says_when_it_cannot_write(tmp_path):
    with pytest.raises(CommandError, match="cannot be written: no such file or directory"):
        run("export", tmp_path / "nowhere" / "export.yaml")
