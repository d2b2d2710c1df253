"""Whether a key reaches further than another: patterns against patterns."""

import pytest

from synapse.auth import key_rights
from synapse.auth.key_rights import Granted


def grants(*texts):
    """Return grants: `publish orders`, `read orders/order-placed`."""
    found = []
    for text in texts:
        action, _, place = text.partition(" ")
        stream, _, event_type = place.partition("/")
        found.append(Granted(action=action, stream=stream, event_type=event_type or "*"))
    return found


@pytest.mark.parametrize(
    ("mine", "other", "is_within"),
    [
        ("read orders", "read orders", True),
        ("read orders", "publish orders", False),
        ("read *", "read orders", True),
        ("read orders", "read *", False),
        ("read order*", "read orders-*", True),
        ("read orders-*", "read order*", False),
        ("read *s", "read o*s", True),
        ("read a*b", "read a*", False),
        ("read **", "read *", True),
        ("read *", "read **", True),
        ("read orders/*", "read orders/order-placed", True),
        ("read orders/order-placed", "read orders", False),
        ("read *-*", "read *", False),
    ],
)
def test_a_grant_is_within_another_when_all_that_it_matches_is_matched_by_the_other(mine, other, is_within):
    (wanted,) = grants(other)

    assert key_rights.first_uncovered(grants(mine), [wanted]) == (None if is_within else wanted)


@pytest.mark.parametrize(
    ("scopes", "surely", "at_most"),
    [
        ([], ["read order*", "publish parcels"], ["read order*", "publish parcels"]),
        (["keys:write"], ["read order*", "publish parcels"], ["read order*", "publish parcels"]),
        (["read:orders"], ["read orders"], ["read orders"]),
        (["read:*"], ["read order*"], ["read order*"]),
        (["read:parcels"], [], []),
        (["publish:*", "read:orders"], ["read orders", "publish parcels"], ["read orders", "publish parcels"]),
        # What both stand for is no pattern: what is surely there is nothing, and what may be there all of the grant.
        (["read:*s"], [], ["read order*"]),
    ],
)
def test_scopes_narrow_the_bounds_of_granted_rights(scopes, surely, at_most):
    granted = grants("read order*", "publish parcels")

    assert key_rights.lower_bound(granted, scopes) == grants(*surely)
    assert key_rights.upper_bound(granted, scopes) == grants(*at_most)
