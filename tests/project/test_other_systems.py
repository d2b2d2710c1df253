"""Differences of systems other than Linux that can be tested here: limits that are refused, and zombies."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from synapse.runtime import process
from tests.acceptance.hub import ROOT


@pytest.fixture
def zombie():
    ended = subprocess.Popen(["true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    yield ended.pid
    ended.wait()


@pytest.fixture(params=["the system's own way", pytest.param("ps", marks=pytest.mark.process)])
def way(request, monkeypatch):
    """Ask as on this system, and as where there is no /proc."""
    if request.param == "ps":
        monkeypatch.setattr(process, "_PROCESSES", Path("/nowhere"))


def test_a_process_that_ended_and_was_not_waited_for_is_not_alive(zombie, way):
    assert not process.is_alive(zombie)


def test_a_running_process_is_alive_for_any_owner(way):
    assert process.is_alive(os.getpid())
    assert process.is_alive(1)


@pytest.mark.parametrize("pid", [2**22 + 1, 2**31, 10**20])
def test_a_number_that_no_process_has_is_not_alive(pid, way):
    assert not process.is_alive(pid)


@pytest.mark.parametrize(
    ("highest", "soft", "wanted"),
    [
        (10_240, 256, 10_240),  # macOS calls more unlimited than it gives
        (24_576, 256, 24_576),
        (resource.RLIM_INFINITY, 256, resource.RLIM_INFINITY),
        (10_240, 20_000, 20_000),  # what is more already stays
    ],
)
def test_as_many_descriptors_are_taken_as_the_system_gives(monkeypatch, highest, soft, wanted):
    limits = [soft, resource.RLIM_INFINITY]

    def set_limit(_, new):
        if highest != resource.RLIM_INFINITY and not 0 <= new[0] <= highest:
            raise ValueError("current limit exceeds maximum limit")
        limits[:] = new

    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", set_limit)

    process.raise_descriptor_limit()

    assert limits == [wanted, resource.RLIM_INFINITY]


def test_python_code_is_written_where_the_system_refuses_a_limit_to_memory():
    program = """
import resource, runpy
own = resource.setrlimit
def refuse(number, limits):
    if number == resource.RLIMIT_AS:
        raise ValueError("current limit exceeds maximum limit")
    own(number, limits)
resource.setrlimit = refuse
runpy.run_module("synapse.schema.codegen.program", run_name="__main__")
"""
    asked = '{"schema": {"type": "object", "properties": {"n": {"type": "integer"}}}, "class_name": "Order"}'

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, input=asked, capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "class Order(" in done.stdout
