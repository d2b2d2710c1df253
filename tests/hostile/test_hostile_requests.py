"""The hostile list, sent to both servers byte by byte: each is answered as it should be, and nothing is the worse."""

import httpx
import pytest

from tests.hostile.cases import EVENT, Case, bodies, heads, paths, schemas
from tests.hostile.conforming import KNOWN
from tests.hostile.conftest import calls
from tests.publish.test_bad_bodies import BODIES

pytestmark = pytest.mark.process

MIB = 1024 * 1024
MOST_GROWTH = 50 * MIB
CASES = [*bodies.CASES, *heads.CASES, *paths.CASES]


class Known(dict):
    """The value of a path parameter: an existing resource, or else a name that does not exist."""

    def __missing__(self, part):
        return KNOWN.get(part, "none")


GOOD = Case(name="an event", body=EVENT, status=201)


def expected(server, case):
    return case.alone if server.name == "Django alone" and case.alone is not None else case.status


@pytest.mark.product("server")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_hostile_request_gets_its_expected_status(server, case):
    answer = server.ask(case)

    assert answer.status == expected(server, case), answer.body[:500]
    assert "a=b" not in answer.headers.get("set-cookie", "")


def test_every_route_that_takes_a_body_bears_every_bad_one(front_door, hub):
    document = httpx.get(f"{hub.url}/openapi.json", timeout=120).json()
    routes = [
        (method.upper(), path.format_map(Known()))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "requestBody" in operation and not path.startswith("/events/")
    ]
    assert len(routes) > 15

    broken = {}
    for method, target in routes:
        for name, (body, _, _) in BODIES.items():
            status = front_door.ask(Case(name=name, method=method, target=target, body=body, status=400)).status
            if not 200 <= status < 500:
                broken[f"{method} {target}: {name}"] = status

    assert broken == {}


def test_schemas_are_refused_and_nothing_is_fetched(server, nobody):
    hostile = schemas.cases(nobody.getsockname()[1])

    statuses = {case.name: server.ask(case).status for case in hostile}

    assert {name: status for name, status in statuses.items() if not 400 <= status < 500} == {}
    assert calls(nobody) == 0


def test_afterwards_the_servers_answer_as_before_and_hold_no_more_memory(server):
    before = server.peak_memory()
    for case in CASES:
        server.ask(case)

    growth = server.peak_memory() - before

    assert server.ask(GOOD).status == 201
    assert growth <= MOST_GROWTH
    name, seconds = max(server.slowest.items(), key=lambda item: item[1])
    print(f"{server.name}: +{growth / MIB:.1f} MiB; slowest {seconds:.3f} s ({name})")
