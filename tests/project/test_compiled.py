"""The processes of a run compile the test modules of a fresh checkout together, each of them once."""

import sys
from types import SimpleNamespace

import pytest

from tests.compiled import compile_share


@pytest.fixture
def config(pytestconfig, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    return SimpleNamespace(
        workerinput={"workerid": "gw0", "workercount": 3},
        args=[str(tmp_path)],
        getini=pytestconfig.getini,
        stash=pytestconfig.stash,
    )


def compiled_by(config, worker, folder):
    before = set(folder.rglob("*.pyc"))
    config.workerinput["workerid"] = worker
    compile_share(config)
    return set(folder.rglob("*.pyc")) - before


def test_each_module_is_compiled_by_one_process(config, tmp_path):
    for number in range(7):
        (tmp_path / f"test_{number}.py").write_text("def test_it():\n    assert True\n")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "test_other.py").write_text("not Python")

    shares = [len(compiled_by(config, worker, tmp_path)) for worker in ("gw0", "gw1", "gw2")]

    assert shares == [3, 2, 2]


def test_a_module_that_did_not_change_is_not_compiled_again(config, tmp_path):
    (tmp_path / "test_it.py").write_text("def test_it():\n    assert True\n")
    (compiled,) = compiled_by(config, "gw0", tmp_path)
    compiled.write_bytes(b"kept")

    compile_share(config)

    assert compiled.read_bytes() == b"kept"


def test_a_module_that_cannot_be_compiled_is_left_to_the_collection(config, tmp_path):
    (tmp_path / "test_a.py").write_text("def test_it(:\n")
    (tmp_path / "test_always_true.py").write_text("assert (1, 'one')\n")
    (tmp_path / "test_b.py").write_text("def test_it():\n    assert True\n")
    config.workerinput["workercount"] = 1

    (compiled,) = compiled_by(config, "gw0", tmp_path)

    assert compiled.name.startswith("test_b.")


def test_a_folder_in_which_nothing_can_be_kept_is_passed_over(config, tmp_path):
    (tmp_path / "test_it.py").write_text("def test_it():\n    assert True\n")
    (tmp_path / "__pycache__").write_text("a file")

    compile_share(config)

    assert not list(tmp_path.rglob("*.pyc"))
