"""Errors are cut to a length, and the part of a PII value left at the cut is redacted too."""

from synapse.delivery.handlers import text_of
from synapse.delivery.webhooks.messages import KEPT_BYTES, Answer, error_of, response_text
from synapse.errors.delivery import SinkDisabled
from synapse.formats.text import cut
from synapse.schema.pii import redacted
from tests.tables import for_each

PIN, NAME = "4711", "Anna Österberg-Ek"
CUTS_AT = range(0, 40)


def told_by_receiver(said: bytes, status: int = 500) -> str:
    text = response_text(said, is_all=True)
    return str(error_of(Answer(status=status, text=text, ms=3), permanent=(), now=0))


@for_each("value", [PIN, NAME])
@for_each("place", CUTS_AT)
def test_pii_cut_in_the_echo_of_a_receiver_is_redacted(value, place):
    text = told_by_receiver(b"x" * (170 + place) + f" is {value} it".encode())

    assert f"is {value[0]}" not in redacted(text, [value])


@for_each("place", CUTS_AT)
def test_pii_cut_at_the_end_of_a_too_long_answer_is_redacted(place):
    said = b" " * (KEPT_BYTES - 4 - place) + f" is {NAME}".encode() + b" it" * 100

    assert "is A" not in redacted(told_by_receiver(said), [NAME])


def test_pii_cut_where_an_answer_broke_off_is_redacted():
    text = response_text(b"is 47", is_all=False)

    assert "47" not in redacted(text, [PIN])


@for_each("value", [PIN, NAME])
@for_each("place", CUTS_AT)
def test_pii_cut_in_the_error_of_a_handler_is_redacted(value, place):
    text = text_of(ValueError("x" * (960 + place) + f" is {value} it"), where="tasks.py, line 3")

    # As it is kept with the dead letter.
    assert f"is {value[0]}" not in redacted(cut(text, 1000), [value])


def test_a_text_that_is_short_enough_is_not_cut():
    assert response_text("Größe".encode(), is_all=True) == "Größe"
    assert cut("Größe", 5) == "Größe"
    assert cut("Größen", 5) == "Größ…"


def test_half_a_character_is_not_kept():
    assert response_text(b"x" * (KEPT_BYTES - 1) + "ö".encode(), is_all=True) == "x" * (KEPT_BYTES - 1) + "…"


def test_the_reason_for_which_a_receiver_wants_no_more_is_cut_alike():
    error = error_of(Answer(status=410, text="y" * 197 + " 4711", ms=3), permanent=(), now=0)

    assert isinstance(error, SinkDisabled)
    assert redacted(str(error), [PIN]).endswith("y •••…”")
