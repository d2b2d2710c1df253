"""The table of connections: at a limit the one goes that has waited longest, of the caller that has the most."""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from synapse.auth.client_ip import parse_proxies
from synapse.server.connection_table import ConnectionTable
from synapse.shares import (
    AllInUse,
    CallerId,
    Shares,
    ShareUsedUp,
)
from synapse.shares.counter import Limits
from synapse.shares.resources import RESOURCES
from tests.chaos.profile import examples

HERE, THERE, FAR = (CallerId("address", f"192.0.2.{number}") for number in (1, 2, 3))
BILLING, ORDERS = CallerId("service", "billing"), CallerId("service", "orders")
PROXY = CallerId("proxy", "10.0.0.1")


class FakeConnection:
    def __init__(self, *, busy=False):
        self.busy = busy
        self.seat = None

    def waits_for_client(self):
        return not self.busy

    def reclaim(self):
        self.seat = None


class House:
    """Ten connections: a service has four, an address three, all addresses five."""

    def __init__(self):
        limits = Limits(total=10, per_caller=4, per_address=3, anonymous=5)
        self.shares = Shares(RESOURCES["open-connections"], limits)
        self.table = ConnectionTable(self.shares, parse_proxies([]))

    def open(self, caller, count=1, *, busy=False):
        opened = [FakeConnection(busy=busy) for _ in range(count)]
        for connection in opened:
            connection.seat = self.table.admit(connection, caller)
        return opened


def open_ones(connections):
    return [connection.seat is not None for connection in connections]


def test_a_caller_with_its_share_gets_one_more_for_the_one_that_waited_longest():
    house = House()
    first, second, third = house.open(HERE, 3)
    first.seat.use()

    (fourth,) = house.open(HERE)

    assert open_ones([first, second, third, fourth]) == [True, False, True, True]
    assert (house.shares.used, house.shares.reclaimed, house.shares.refused) == (3, 1, 0)


def test_a_connection_that_is_being_answered_stays_and_the_next_one_goes():
    house = House()
    (busy,), (idle, other) = house.open(HERE, busy=True), house.open(HERE, 2)

    house.open(HERE)

    assert open_ones([busy, idle, other]) == [True, False, True]


def test_a_caller_whose_connections_are_all_being_answered_is_refused_and_another_one_gets_in():
    house = House()
    busy = house.open(HERE, 3, busy=True)

    with pytest.raises(ShareUsedUp):
        house.open(HERE)
    house.open(THERE)

    assert open_ones(busy) == [True] * 3
    assert house.shares.refused == 1


def test_a_new_address_gets_in_for_a_connection_of_the_address_with_the_most():
    house = House()
    few, many = house.open(HERE, 2), house.open(THERE, 3)

    house.open(FAR)

    assert open_ones(few) == [True, True]
    assert open_ones(many) == [False, True, True]


def test_services_keep_theirs_when_addresses_hold_all_of_their_part():
    house = House()
    services = house.open(BILLING, 4)
    house.open(HERE, 3), house.open(THERE, 3), house.open(FAR, 3)

    assert open_ones(services) == [True] * 4
    assert house.shares.anonymous == 5


def test_a_connection_beyond_the_limit_replaces_one_of_the_caller_with_the_most():
    house = House()
    most, others = house.open(BILLING, 4), house.open(ORDERS, 3)
    house.open(HERE, 3)

    house.open(THERE)

    assert open_ones(most) == [False, True, True, True]
    assert open_ones(others) == [True] * 3
    assert house.shares.used == 10


def test_when_all_connections_are_being_answered_one_more_is_refused():
    house = House()
    house.open(PROXY, 10, busy=True)

    with pytest.raises(AllInUse):
        house.open(BILLING)


def test_a_trusted_proxy_holds_more_than_a_caller():
    house = House()

    proxied = house.open(PROXY, 9)

    assert open_ones(proxied) == [True] * 9


def test_a_connection_that_shows_a_key_is_the_services_and_leaves_its_address_room():
    house = House()
    for connection in house.open(HERE, 3):
        house.table.identify(connection.seat, BILLING)

    later = house.open(HERE, 3)

    assert open_ones(later) == [True] * 3
    assert (house.shares.held_by(BILLING), house.shares.held_by(HERE)) == (3, 3)


def test_a_connection_that_is_one_too_many_for_its_service_stays_with_its_address():
    house = House()
    house.open(BILLING, 4, busy=True)
    (connection,) = house.open(HERE)

    with pytest.raises(ShareUsedUp):
        house.table.identify(connection.seat, BILLING)

    assert connection.seat.caller == HERE
    assert (house.shares.held_by(BILLING), house.shares.held_by(HERE), house.shares.used) == (4, 1, 5)
    house.table.remove(connection.seat)
    assert house.shares.used == 4


def test_a_service_with_its_share_shows_its_key_on_another_one_for_the_one_that_waited_longest():
    house = House()
    first, *others = house.open(BILLING, 4)
    (connection,) = house.open(HERE)

    house.table.identify(connection.seat, BILLING)

    assert open_ones([first, *others, connection]) == [False, True, True, True, True]


class Histories(RuleBasedStateMachine):
    """After any history, the table and the counters agree, and no limit is passed."""

    def __init__(self):
        super().__init__()
        self.house = House()
        self.opened = []

    @property
    def there(self):
        return [connection for connection in self.opened if connection.seat is not None]

    @rule(caller=st.sampled_from([HERE, THERE, FAR, BILLING, PROXY]), busy=st.booleans())
    def open(self, caller, busy):
        try:
            self.opened += self.house.open(caller, busy=busy)
        except (ShareUsedUp, AllInUse):
            assert any(connection.busy for connection in self.there)

    @rule(data=st.data(), caller=st.sampled_from([BILLING, ORDERS]))
    def identify(self, data, caller):
        anonymous = [connection for connection in self.there if connection.seat.caller.is_anonymous]
        if anonymous:
            connection = data.draw(st.sampled_from(anonymous))
            try:
                self.house.table.identify(connection.seat, caller)
            except ShareUsedUp:
                assert self.house.shares.held_by(caller) == 4

    @rule(data=st.data(), busy=st.booleans())
    def use(self, data, busy):
        if self.there:
            connection = data.draw(st.sampled_from(self.there))
            connection.busy = busy
            connection.seat.use()

    @rule(data=st.data())
    def close(self, data):
        if self.there:
            connection = data.draw(st.sampled_from(self.there))
            self.house.table.remove(connection.seat)
            connection.seat = None

    @invariant()
    def counts_agree(self):
        counts = Counter(connection.seat.caller for connection in self.there)
        shares = self.house.shares
        assert shares.used == counts.total() <= 10
        assert all(shares.held_by(caller) == count <= shares.limits.of(caller) for caller, count in counts.items())
        assert shares.anonymous == sum(count for caller, count in counts.items() if caller.is_anonymous) <= 5


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)
