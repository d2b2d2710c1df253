"""No request to the API yields a server error or an answer that the OpenAPI document does not announce.

One request to each operation in the suite, every other one wrong; 5,000 requests when SYNAPSE_TESTS=full. In each
run `tests/documented.py` also holds the answers that tests get to the models of the document.
"""

import pytest

from tests.chaos.profile import FULL

pytestmark = pytest.mark.process


def test_every_answer_is_one_that_the_document_announces(hub):
    # Only where it is used: Schemathesis takes as long to import as a hundred files of tests.
    from tests.hostile.conforming import ask_everything

    report = ask_everything(hub.url, cases=5_000 if FULL else 1)

    assert report.failures == {}, "\n\n".join(report.failures.values())
    assert not [status for status in report.statuses if status >= 500]
    print(f"{report.asked} requests: {dict(sorted(report.statuses.items()))}")
