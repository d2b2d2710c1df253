"""The hostile list, sent to both servers byte by byte: each is answered as it should be, and nothing is the worse."""

import httpx
import pytest

from tests.chaos.profile import FULL
from tests.hostile.cases import EVENT, Case, bodies, heads, paths, schemas
from tests.hostile.conftest import KNOWN, calls
from tests.publish.test_bad_bodies import BODIES

pytestmark = pytest.mark.process

MIB = 1024 * 1024
MOST_GROWTH = 50 * MIB
# Every route gets one bad body of so many, each route others than the one before.
BODIES_IN = 1 if FULL else 4
CASES = [*bodies.CASES, *heads.CASES, *paths.CASES]


class Known(dict):
    """The value of a path parameter: an existing resource, or else a name that does not exist."""

    def __missing__(self, part):
        return KNOWN.get(part, "none")


GOOD = Case(name="an event", body=EVENT, status=201)


def expected(server, case):
    return case.alone if server.name == "Django alone" and case.alone is not None else case.status


def test_hostile_requests_get_their_statuses_and_the_server_holds_no_more_memory_and_answers_as_before(server):
    assert server.ask(GOOD).status == 201
    before = server.peak_memory()

    answers = [(case, server.ask(case)) for case in CASES]

    wrong = [(case, answer) for case, answer in answers if answer.status != expected(server, case)]
    assert {case.name: (answer.status, answer.body[:500]) for case, answer in wrong} == {}
    assert not [case.name for case, answer in answers if "a=b" in answer.headers.get("set-cookie", "")]
    growth = server.peak_memory() - before
    assert server.ask(GOOD).status == 201
    assert growth <= MOST_GROWTH
    slowest, answer = max(answers, key=lambda each: each[1].seconds)
    print(f"{server.name}: +{growth / MIB:.1f} MiB; slowest {answer.seconds:.3f} s ({slowest.name})")


def test_every_route_that_takes_a_body_bears_bad_ones(front_door, hub):
    document = httpx.get(f"{hub.url}/openapi.json", timeout=120).json()
    routes = [
        (method.upper(), path.format_map(Known()))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "requestBody" in operation and not path.startswith("/events/")
    ]
    assert len(routes) > 15

    broken = {}
    for number, (method, target) in enumerate(routes):
        for name, (body, _, _) in list(BODIES.items())[number % BODIES_IN :: BODIES_IN]:
            status = front_door.ask(Case(name=name, method=method, target=target, body=body, status=400)).status
            if not 200 <= status < 500:
                broken[f"{method} {target}: {name}"] = status

    assert broken == {}


@pytest.mark.product("server")
def test_schemas_are_refused_and_nothing_is_fetched(server, nobody):
    hostile = schemas.cases(nobody.getsockname()[1])

    statuses = {case.name: server.ask(case).status for case in hostile}

    assert {name: status for name, status in statuses.items() if not 400 <= status < 500} == {}
    assert calls(nobody) == 0
