"""No request to the API yields a server error or an answer that the OpenAPI document does not announce.

One request to each operation in the suite, every other one wrong; 5,000 requests when SYNAPSE_TESTS=full.
"""

import pytest

from tests.chaos.profile import FULL
from tests.hostile.conforming import ask_everything

pytestmark = pytest.mark.process


def test_every_answer_is_one_that_the_document_announces(hub):
    report = ask_everything(hub.url, cases=5_000 if FULL else 1)

    assert report.failures == {}, "\n\n".join(report.failures.values())
    assert not [status for status in report.statuses if status >= 500]
    print(f"{report.asked} requests: {dict(sorted(report.statuses.items()))}")
