"""Texts that quote PII: errors of handlers, answers of webhooks, sentences about broken contracts."""

from synapse.schema.pii import MASK, redacted
from tests.tables import for_each


@for_each(
    "text, value, expected",
    [
        ("no mailbox anna@example.org here", "anna@example.org", f"no mailbox {MASK} here"),
        ("no mailbox ANNA@EXAMPLE.ORG", "anna@example.org", f"no mailbox {MASK}"),
        # As JSON and Python write it.
        (r'got "Anna \"Bo\" Ek"', 'Anna "Bo" Ek', f'got "{MASK}"'),
        (r"KeyError: 'B\xf6 Ek'", "Bö Ek", f"KeyError: '{MASK}'"),
        (r'is "B\u00f6 Ek"', "Bö Ek", f'is "{MASK}"'),
        # As it stands in an address, in a form and in a page.
        ("GET /?to=anna%40example.org&n=7", "anna@example.org", f"GET /?to={MASK}&n=7"),
        ("GET /?to=anna%40Example.org", "anna@example.org", f"GET /?to={MASK}"),
        ("name=Anna+Bo+Ek", "Anna Bo Ek", f"name={MASK}"),
        ("/Anna%20Bo%20Ek/x", "Anna Bo Ek", f"/{MASK}/x"),
        ("/a%2Fb%2Fc/x", "a/b/c", f"/{MASK}/x"),
        ("<b>Bo &amp; Ek</b>", "Bo & Ek", f"<b>{MASK}</b>"),
        # As it is, where an address or JSON writes it otherwise behind its first characters.
        ("no mailbox annamaria.ek@example.org here", "annamaria.ek@example.org", f"no mailbox {MASK} here"),
        ("GET /?to=annamaria.ek%40example.org", "annamaria.ek@example.org", f"GET /?to={MASK}"),
        ("born 1990-05-17T23:45:10Z", "1990-05-17T23:45:10Z", f"born {MASK}"),
        ("at 12LongStreet, Bo & Ek!", "12LongStreet, Bo & Ek", f"at {MASK}!"),
        ('got "Anna-Maria-B \\"Bo\\" Ek", twice', 'Anna-Maria-B "Bo" Ek', f'got "{MASK}", twice'),
        # Cut, as long values are quoted.
        ("“a” is 12 Long Street, Some…", "12 Long Street, Somewhere", f"“a” is {MASK}…"),
        # Cut by us and by others, however short the value is, or what is left of it.
        (
            """The receiver answered: 500 after 3 ms, “{"pin":"471…”""",
            "4711",
            f'The receiver answered: 500 after 3 ms, “{{"pin":"{MASK}…”',
        ),
        ("ValueError: no pin 4… (tasks.py, line 3)", "4711", f"ValueError: no pin {MASK}… (tasks.py, line 3)"),
        ("no mailbox an...", "anna@example.org", f"no mailbox {MASK}..."),
        ("no mailbox ANN…", "anna@example.org", f"no mailbox {MASK}…"),
        (r'got "Anna \"B…', 'Anna "Bo" Ek', f'got "{MASK}…'),
        # Nobody says that it was cut, but it may have been.
        ('{"pin":"471', "4711", f'{{"pin":"{MASK}'),
        ("“no mailbox anna@ex”", "anna@example.org", f"“no mailbox {MASK}”"),
        # A beginning of a word, not of a part of one; and of the value, not of anything.
        ("HTTP 1470…", "4700", "HTTP 1470…"),
        ("no mailbox bo@example.org…", "anna@example.org", "no mailbox bo@example.org…"),
        ("answered 47", "4711", "answered 47"),
        # A short one is a word, not a part of one.
        ("Al called the albatross", "Al", f"{MASK} called the albatross"),
        ("must be 18 or more, but is 7", "7", f"must be 18 or more, but is {MASK}"),
        ("HTTP 470", "7", "HTTP 470"),
        # Nothing to be found.
        ("answered 500", "Anna", "answered 500"),
        ("answered 500", "", "answered 500"),
    ],
)
def test_a_value_is_found_in_the_text(text: str, value: str, expected: str) -> None:
    assert redacted(text, [value]) == expected


def test_a_value_that_holds_another_goes_first() -> None:
    assert redacted("Anna Ek is Anna", ["Anna", "Anna Ek"]) == f"{MASK} is {MASK}"


def test_values_that_differ_behind_their_beginning_are_each_found_whole() -> None:
    values = ["Ringstrasse 17, Wien", "Ringstrasse 19"]

    for text in values:
        assert redacted(f"from {text} on", values) == f"from {MASK} on"


def test_where_too_many_values_could_be_quoted_nothing_is_shown() -> None:
    assert redacted("answered 500", [str(number) for number in range(5000)]) == MASK


def test_where_it_was_cut_in_too_many_places_nothing_is_shown() -> None:
    assert redacted("a… " * 1000, ["Anna"]) == MASK


def test_a_letter_that_is_longer_in_small_does_no_harm() -> None:
    assert redacted("\u0130 is ANNA and an…", ["Anna Ek"]) == f"\u0130 is ANNA and {MASK}…"


def test_half_a_character_does_no_harm() -> None:
    assert redacted("broken \ud83d", ["\ud83d"]) == f"broken {MASK}"
