"""The message at the start about who may access the installation."""

import pytest

from synapse.redis.address import is_loopback
from synapse_project import startup


def test_open_is_said_loudly_with_the_way_to_close_it():
    said = startup.auth_banner("open", "127.0.0.1")

    assert "OPEN: every program on this machine may publish, read and change everything, without a key." in said
    assert "make run SYNAPSE_AUTH=required" in said
    assert "manage.py issue_key SERVICE" in said


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "hub.internal"])
def test_open_to_a_network_is_said_to_be(host):
    banner = startup.auth_banner("open", host)

    assert f"every client that reaches this machine over the network (HOST is {host})" in banner


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_a_loopback_address_is_this_machine(host):
    assert is_loopback(host)


def test_closed_says_how_to_get_a_key():
    assert "manage.py issue_key SERVICE" in startup.auth_banner("required", "0.0.0.0")
