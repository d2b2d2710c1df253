"""The check of words finds private words in documents, code, templates and the OpenAPI document."""

import pytest

from tests import plain_words

OPENAPI = {"paths": {"/a": {"get": {"summary": "Settle one event", "operationId": "settle one"}}}}


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        (plain_words.check_document("a.md", "# A\n\nThe event is settled."), ("a.md", 3, "settled", "acknowledge")),
        (plain_words.check_document("a.md", "| a | Who calls. |"), ("a.md", 1, "Who", "name the subject")),
        (plain_words.check_python("a.py", '\nhelp = f"of {name}: is owed events"'), ("a.py", 2, "owed", None)),
        (plain_words.check_python("a.py", '"""Sum.\n\nIt goes on.\n"""'), ("a.py", 3, "goes on", "continue")),
        (plain_words.check_document("a.md", "The row stays\nas it is."), ("a.md", 1, "stays as it is", "unchanged")),
        (
            plain_words.check_python("a.py", '"""Do the same in a thread."""'),
            ("a.py", 1, "Do the same", "name the action"),
        ),
        (plain_words.check_template("a.html", "<p\nclass='x'>\nin hand</p>"), ("a.html", 3, "in hand", "in flight")),
        (plain_words.check_openapi(OPENAPI), ("openapi.json/paths//a/get/summary", 1, "Settle", "acknowledge")),
    ],
)
def test_a_private_word_is_found_with_its_place_and_its_replacement(findings, expected):
    (found,) = findings

    assert (found.source, found.line, found.word) == expected[:3]
    assert expected[3] in (found.instead, None)


@pytest.mark.parametrize(
    "text",
    [
        "Names that users rely on, such as `parked` and\n`consume --personal`, stay.",
        "```sh\nit goes on, settled\n```",
        "[Order](a.md#settled) of [personal data](personal-data.md).",
        "What is a dead letter? Who may see it?",
        "The settlement, a parkway, a planet and ongoing work.",
        "As it is in Redis: the copy is kept as a field, and each call returns the same id.",
    ],
)
def test_names_questions_and_longer_words_are_not_found(text):
    assert list(plain_words.check_document("a.md", text)) == []


def test_a_finding_is_printed_with_its_file_line_and_replacement(monkeypatch, capsys):
    planted = plain_words.check_document("docs/a.md", "Whoever reads.")
    monkeypatch.setattr(plain_words, "check_everything", lambda: planted)

    assert plain_words.main() == 1
    assert capsys.readouterr().out.startswith("docs/a.md:1: “Whoever”: write name the subject\n")
