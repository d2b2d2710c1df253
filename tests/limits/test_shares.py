"""Shares: the part of a resource that a caller may hold, and the refusal beyond that."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse.auth.principal import Principal
from synapse.shares import (
    AllInUse,
    CallerId,
    Limits,
    Shares,
    ShareUsedUp,
    caller_of,
)
from synapse.shares.counter import limits
from synapse.shares.resources import (
    RESOURCES,
    Percents,
    Resource,
    read_percents,
)

ROOT = Path(__file__).parents[2]
SEATS = Resource(
    name="seats",
    things="seats",
    total_setting="SEATS",
    default=20,
    highest=100,
    meaning="How many seats.",
    percents=Percents(caller=25, anonymous=20),
    retry_after=3,
)
BILLING, ORDERS = CallerId("service", "billing"), CallerId("service", "orders")
HERE, THERE = CallerId("address", "192.0.2.1"), CallerId("address", "192.0.2.2")


def shares(*, is_open: bool = False, total: int = 20) -> Shares:
    return Shares(SEATS, limits(total, SEATS.percents, is_open=is_open))


def test_a_caller_whose_share_is_used_up_is_refused_and_another_one_is_served():
    seats = shares()
    seats.take(BILLING, 5)

    with pytest.raises(ShareUsedUp) as refusal:
        seats.take(BILLING)
    seats.take(ORDERS)

    assert (refusal.value.status, refusal.value.headers["Retry-After"]) == (429, "3")
    assert refusal.value.members["resource"] == "seats"
    assert (seats.held_by(BILLING), seats.held_by(ORDERS), seats.used, seats.refused) == (5, 1, 6, 1)


def test_a_caller_that_gives_back_may_take_again():
    seats = shares()
    seats.take(BILLING, 5)

    seats.give_back(BILLING)
    seats.take(BILLING)

    assert seats.held_by(BILLING) == 5


def test_a_share_that_is_held_for_a_block_is_given_back_when_the_block_fails():
    seats = shares()

    with pytest.raises(ZeroDivisionError), seats.holding(BILLING, 5):
        raise ZeroDivisionError

    assert (seats.used, seats.held_by(BILLING), seats.largest) == (0, 0, 0)


def test_services_with_keys_are_served_when_anonymous_callers_hold_all_of_their_part():
    seats = shares()
    seats.take(HERE, 2)
    seats.take(THERE, 2)

    with pytest.raises(AllInUse) as refusal:
        seats.take(CallerId("address", "192.0.2.3"))
    seats.take(BILLING)

    assert (refusal.value.status, refusal.value.headers["Retry-After"]) == (503, "3")
    assert seats.anonymous == 4


def test_an_anonymous_address_leaves_half_of_the_anonymous_part_to_others():
    seats = shares()
    seats.take(HERE, 2)

    with pytest.raises(ShareUsedUp):
        seats.take(HERE)
    seats.take(THERE, 2)


def test_an_address_has_half_of_the_whole_where_access_is_open():
    seats = shares(is_open=True)
    seats.take(HERE, 10)

    with pytest.raises(ShareUsedUp):
        seats.take(HERE)
    seats.take(THERE, 10)

    with pytest.raises(AllInUse):
        seats.take(BILLING)


def test_a_trusted_proxy_may_hold_the_whole_for_its_callers():
    seats = shares()

    seats.take(CallerId("proxy", "10.0.0.1"), 20)

    with pytest.raises(AllInUse):
        seats.take(BILLING)


def test_every_caller_may_hold_at_least_one_of_a_small_resource():
    assert limits(1, Percents(caller=25, anonymous=5), is_open=False) == Limits(1, 1, 1, 1)


@given(
    st.booleans(),
    st.integers(1, 40),
    st.lists(st.tuples(st.sampled_from([BILLING, ORDERS, HERE, THERE]), st.integers(1, 9)), max_size=30),
)
def test_the_sums_of_shares_match_the_amounts_taken_and_given_back(is_open, total, wishes):
    seats = shares(is_open=is_open, total=total)
    taken = []

    for caller, amount in wishes:
        try:
            seats.take(caller, amount)
        except (ShareUsedUp, AllInUse):
            continue
        taken.append((caller, amount))
        assert seats.used == sum(amount for _, amount in taken) <= total
        assert seats.anonymous == sum(amount for caller, amount in taken if caller.is_anonymous)
        assert seats.largest == max(seats.held_by(caller) for caller, _ in taken)
    for caller, amount in taken:
        seats.give_back(caller, amount)

    assert (seats.used, seats.anonymous, seats.largest) == (0, 0, 0)


@pytest.mark.parametrize(
    ("principal", "caller"),
    [
        (Principal(kind="service", name="billing", key="abcdefgh", address="192.0.2.1"), BILLING),
        (Principal(kind="service", name="billing", key="ijklmnop"), BILLING),
        (Principal(kind="person", name="ada"), CallerId("person", "ada")),
        (Principal(kind="anonymous", name="anonymous", address="192.0.2.1"), HERE),
        (Principal(kind="anonymous", name="anonymous", address="::ffff:192.0.2.1"), HERE),
        (
            Principal(kind="anonymous", name="anonymous", address="2001:db8:1:2:3::4"),
            CallerId("address", "2001:db8:1:2::/64"),
        ),
    ],
)
def test_a_service_is_one_caller_with_all_its_keys_and_an_ipv6_network_too(principal, caller):
    assert caller_of(principal) == caller


@pytest.mark.parametrize("name", ["billing", "192.0.2.1"])
def test_a_service_and_an_address_of_one_name_are_two_callers(name):
    assert CallerId("service", name) != CallerId("address", name)


def test_shares_can_be_set_for_one_resource_and_the_others_stay():
    assert read_percents(" live-seats=50:10 ,") == {"live-seats": Percents(50, 10)}


@pytest.mark.parametrize(
    "text", ["live-seats", "live-seats=50", "live-seats=0:10", "live-seats=50:101", "seats=50:10", "live-seats=a:b"]
)
def test_invalid_shares_are_refused(text):
    with pytest.raises(ValueError, match="in percent from 1 to 100"):
        read_percents(text)


def test_the_documentation_has_every_resource_with_its_shares():
    text = (ROOT / "docs/reference/settings.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `") and "%" in line]

    assert rows == [
        f"| `{resource.name}` | `{resource.total_setting}` | {resource.percents.caller} % | "
        f"{resource.percents.anonymous} % | {resource.retry_after} s |"
        for resource in RESOURCES.values()
    ]
