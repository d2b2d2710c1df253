"""A change that waited for another decides by the result of that one: on SQLite and on PostgreSQL."""

import json
import os
import subprocess
import sys

import pytest

from synapse_project.environment import SETTINGS
from tests.chaos.profile import FULL
from tests.contracts.test_registering_at_once import ROOT, on_postgresql, on_sqlite

FIRST, SECOND = {"title": "first"}, {"title": "second"}


SCENES = (
    "a_page_is_saved_while_a_version_is_registered",
    "a_page_is_saved_while_the_rules_change",
    "a_draft_is_discarded_while_it_is_activated",
    "a_draft_is_activated_while_another_is_written",
    "a_version_is_deleted_for_good_twice",
    "a_draft_is_saved_beside_another",
    "two_set_different_extras",
)


# SQLite has one lock for all. Locks of rows are PostgreSQL's, which is asked in the full run.
@pytest.fixture(params=[on_sqlite, *([on_postgresql] if FULL else [])], scope="module")
def at_once(request, tmp_path_factory):
    """Play the scenes of `changing_at_once` on a database of the kind, each on an empty one: what came of each."""
    folder = tmp_path_factory.mktemp("at-once")
    own = {setting.name for setting in SETTINGS}
    inherited = {name: text for name, text in os.environ.items() if name not in own}
    with request.param(folder) as url:
        environment = inherited | {
            "DJANGO_SETTINGS_MODULE": "synapse_project.settings",
            "SYNAPSE_AUTH": "open",
            "SYNAPSE_VAR": str(folder),
            "DATABASE_URL": url,
            "ALLOWED_HOSTS": "testserver,localhost",
            "PYTHONPATH": str(ROOT),
        }
        program = [sys.executable, "tests/contracts/changing_at_once.py", *SCENES]
        ran = subprocess.run(program, cwd=ROOT, env=environment, check=True, timeout=600, stdout=subprocess.PIPE)
    return json.loads(ran.stdout)


def test_saving_a_page_takes_no_number_back(at_once):
    found = at_once["a_page_is_saved_while_a_version_is_registered"]

    assert found["states"] == [[1, "active"], [2, "active"]]
    assert (found["active"], found["description"], found["next"]) == (SECOND, "in words", 200)


def test_saving_a_page_takes_no_rule_back(at_once):
    found = at_once["a_page_is_saved_while_the_rules_change"]

    assert (found["compatibility"], found["description"]) == ("FULL", "in words")


def test_a_draft_that_became_a_version_is_not_discarded(at_once):
    found = at_once["a_draft_is_discarded_while_it_is_activated"]

    assert (found["states"], found["active"]) == ([[1, "active"]], FIRST)


def test_a_draft_changed_after_it_was_shown_is_not_activated(at_once):
    found = at_once["a_draft_is_activated_while_another_is_written"]

    assert found == {"location": True, "active": None}


def test_a_version_that_another_deleted_for_good_is_not_found(at_once):
    assert at_once["a_version_is_deleted_for_good_twice"] == [404, 40402]


def test_a_draft_that_another_wrote_is_not_replaced_unasked(at_once):
    assert at_once["a_draft_is_saved_beside_another"] == ["there is another", json.dumps(FIRST)]


def test_settings_set_by_two_transactions_at_once_are_both_kept(at_once):
    assert at_once["two_set_different_extras"] == {"compatibilityGroup": "major", "defaultMetadata": {"owner": "us"}}
