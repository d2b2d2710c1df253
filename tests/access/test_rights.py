"""The rights of a key, from the grants of its service and its own scopes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse.auth import key_rights
from synapse.auth.key_rights import (
    BadScope,
    Granted,
    KeyRights,
    Pattern,
)
from synapse.auth.principal import EVERY_TYPE
from tests.patience import that_ends

ORDERS = Granted(action="publish", stream="orders", event_type="*")
PLACED = Granted(action="read", stream="orders", event_type="order-placed")
ANYTHING = Granted(action="read", stream="*", event_type="*")


def test_a_key_without_scopes_may_do_what_its_service_may():
    key = KeyRights([ORDERS, PLACED], [])

    assert key.may("publish", "orders", "order-placed")
    assert key.may("read", "orders", "order-placed")
    assert not key.may("read", "orders", "order-cancelled")
    assert not key.may("publish", "payments")


def test_a_grant_for_one_event_type_does_not_allow_every_type():
    key = KeyRights([ORDERS, PLACED], [])

    assert key.may("read", "orders")
    assert not key.may("read", "orders", EVERY_TYPE)
    assert key.may("publish", "orders", EVERY_TYPE)


def test_a_scope_narrows_what_the_grants_allow_and_never_widens_it():
    key = KeyRights([ANYTHING], ["read:orders-*", "publish:orders-*"])

    assert key.may("read", "orders-eu")
    assert not key.may("read", "payments")
    assert not key.may("publish", "orders-eu")


def test_a_key_with_a_read_scope_cannot_publish():
    key = KeyRights([ORDERS, ANYTHING], ["read:orders"])

    assert key.may("read", "orders")
    assert not key.may("publish", "orders")


def test_a_key_has_its_scopes_and_the_scope_to_read_the_catalog():
    key = KeyRights([], ["registry:read"])

    assert key.has("registry:read")
    assert key.has("catalog:read")
    assert not key.has("registry:write")
    assert not key.has("streams:read")


def test_rights_are_the_same_after_many_other_checks_and_the_cache_is_bounded():
    key = KeyRights([ORDERS, PLACED], [])
    for _ in range(2):
        assert key.may("publish", "orders", "order-placed")
        assert not key.may("publish", "payments", "order-placed")
        for number in range(1000):
            assert key.may("publish", "orders", f"type-{number}")
            assert not key.may("publish", "x" * 1000 + str(number))

    assert len(key._known) <= key_rights._MOST_KNOWN


def test_a_key_whose_service_has_no_grants_may_touch_no_stream():
    assert not KeyRights([], []).may("read", "orders")


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("orders", "orders", True),
        ("orders", "orders-eu", False),
        ("orders-*", "orders-", True),
        ("*-events", "inference-events", True),
        ("a*a", "a", False),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("*", "", True),
        ("*", "anything.at:all", True),
        ("or.ers", "orders", False),
        ("**", "*", True),
    ],
)
def test_a_star_stands_for_any_characters_and_nothing_else_does(pattern, name, fits):
    assert Pattern(pattern).matches(name) is fits


@given(st.lists(st.text("ab", max_size=3), min_size=1, max_size=6), st.lists(st.text("ab", max_size=3), max_size=6))
def test_a_pattern_fits_every_name_made_by_replacing_its_stars(parts, fillings):
    name = parts[0]
    for place, part in enumerate(parts[1:]):
        name += (fillings[place] if place < len(fillings) else "") + part

    assert Pattern("*".join(parts)).matches(name)


def test_a_pattern_of_many_stars_is_matched_in_bounded_time():
    pattern = Pattern("a*" * 49 + "b")

    with that_ends():
        assert not pattern.matches("a" * 8000)


@pytest.mark.parametrize(
    "scope", ["everything", "publish", "publish:", "read:or ders", "admin:*", "read:" + "x" * 101, ""]
)
def test_an_unknown_or_malformed_scope_is_refused(scope):
    with pytest.raises(BadScope, match="is no scope"):
        key_rights.check_scopes([scope])


def test_scopes_are_stored_without_duplicates_and_in_order():
    assert key_rights.check_scopes(["read:b", "metrics:read", "read:b"]) == ["metrics:read", "read:b"]
