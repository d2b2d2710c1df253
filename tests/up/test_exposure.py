"""The message at the start about who may access the installation."""

import pytest

from synapse.redis.address import is_loopback
from synapse_project import startup


def test_the_banner_of_open_access_warns_and_says_how_to_require_keys():
    said = startup.auth_banner("open", "127.0.0.1")

    assert "OPEN: every program on this machine may publish, read and change everything, without a key." in said
    assert "make run SYNAPSE_AUTH=required" in said
    assert "manage.py issue_key SERVICE" in said


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "hub.internal"])
def test_the_banner_of_access_open_to_a_network_names_the_host(host):
    banner = startup.auth_banner("open", host)

    assert f"every client that reaches this machine over the network (HOST is {host})" in banner


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_a_loopback_address_is_recognised(host):
    assert is_loopback(host)


def test_closed_says_how_to_get_a_key():
    assert "manage.py issue_key SERVICE" in startup.auth_banner("required", "0.0.0.0")
