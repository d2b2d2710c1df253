"""The text form of an API key."""

import re
import zlib

import pytest

from synapse.auth import api_key
from synapse.auth.api_key import NotAKey
from tests.tables import for_each


def test_a_key_names_its_environment_and_its_id_and_ends_with_a_checksum():
    key = api_key.make_key("live")

    assert re.fullmatch(r"syn_live_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}", key.text)
    assert key.text.startswith(f"syn_live_{key.id}_")
    assert api_key.parse_key(key.text) == ("live", key.id)


def test_the_checksum_is_the_crc_of_all_that_is_before_it():
    body = "syn_live_abcdefgh_" + "x" * 32

    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = 0
    for character in api_key.checksum(body):
        number = number * 62 + digits.index(character)

    assert number == zlib.crc32(body.encode())


def test_no_two_keys_are_alike():
    keys = [api_key.make_key("live") for _ in range(1000)]

    assert len({key.text for key in keys}) == len({key.id for key in keys}) == 1000


@for_each("place", range(9, 55))
def test_a_changed_character_is_found_by_the_checksum(place):
    text = api_key.make_key("live").text
    if text[place] == "_":
        return

    other = "A" if text[place] != "A" else "B"

    with pytest.raises(NotAKey, match="checksum"):
        api_key.parse_key(text[:place] + other + text[place + 1 :])


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (lambda text: text + "x", "1 character too long"),
        (lambda text: text + "\n", "1 character too long"),
        (lambda text: text + '",', "2 characters too long"),
        (lambda text: text + text, "56 characters too long"),
        (lambda text: text[:-1], "1 character too short"),
        (lambda text: text[:30], "26 characters too short"),
    ],
)
def test_a_key_that_was_copied_in_part_is_refused_for_its_length(change, wrong):
    text = api_key.make_key("live").text

    with pytest.raises(NotAKey, match=f"^It is {wrong} for a key of Synapse") as refused:
        api_key.parse_key(change(text))

    assert text[18:30] not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "syn_", "secret", "syn_live_short_x", "syn_LIVE_abcdefgh_" + "x" * 38, "syn_live_abcdefgh_" + "é" * 38]
)
def test_text_not_written_like_a_key_is_refused(text):
    with pytest.raises(NotAKey, match="not written like a key"):
        api_key.parse_key(text)
