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
        (
            plain_words.check_python("a.py", "MOST = 3  # of events\n\n# Kept\n# anew.\nLAST = 4"),
            ("a.py", 4, "anew", "again"),
        ),
        (
            plain_words.check_python("a.py", "# So many are kept.\nMOST = 3"),
            ("a.py", 1, "So many", "which number, or which time, it is"),
        ),
        (
            plain_words.check_python("a.py", 'def stop():\n    """Refuse who may not stop.\n\n    It is late."""'),
            ("a.py", 2, "who", "name the subject"),
        ),
        (plain_words.check_hash_comments("a.lua", "local a = 1\n-- It goes on."), ("a.lua", 2, "goes on", "continue")),
        (plain_words.check_hash_comments("Makefile", "a: # anew\n# anew"), ("Makefile", 2, "anew", "again")),
        (
            plain_words.check_test_names("test_a.py", "\n    def test_what_is_lost_is_counted(self):"),
            ("test_a.py", 2, "test_what_is_lost_is_counted", "a sentence that begins with its subject"),
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


@pytest.mark.parametrize(
    "text",
    [
        '"""Return the callers that wait."""',
        '"""Return a name.\n\n    Raises:\n        KeyError: when it is unknown what it is for."""',
        "# The number of rows.\nMOST = 3  # noqa: what it is",
        "def test_an_event_that_is_lost_is_counted(): ...",
    ],
)
def test_plain_code_and_names_of_tests_have_no_finding(text):
    assert [*plain_words.check_python("a.py", text), *plain_words.check_test_names("a.py", text)] == []


def test_a_finding_is_printed_with_its_file_line_and_replacement(monkeypatch, capsys):
    planted = plain_words.check_document("docs/a.md", "Whoever reads.")
    monkeypatch.setattr(plain_words, "check_everything", lambda: planted)

    assert plain_words.main() == 1
    assert capsys.readouterr().out.startswith("docs/a.md:1: “Whoever”: write name the subject\n")
