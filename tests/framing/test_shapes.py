"""Hundreds of shapes of requests, directly and through proxies: none is answered twice, and no body is a request."""

from collections import Counter
from contextlib import ExitStack

import orjson
import pytest

from synapse.server.fast_path import FastPath
from synapse.server.http_protocol import HttpProtocol
from tests.chaos.profile import FULL
from tests.connection import request
from tests.framing.client import answers_to
from tests.framing.proxies import running_haproxy, running_nginx
from tests.framing.shapes import event, shapes

SHAPES = shapes()
# A shape that comes byte by byte costs ten others: sent on the fast path in each run, and everywhere in the full one.
FEW_SHAPES = SHAPES if FULL else [shape for shape in SHAPES if shape.pieces != "byte by byte"]
FIRST, FIRST_OTHER = 7_000_000, 8_000_000
JSON = "content-type: application/json"
PROXIES = {"nginx": running_nginx, "HAProxy": running_haproxy}


class Crowd:
    """Sends shapes one after another, and after each an event of another client; notes wrong answers."""

    def __init__(self, port, redis):
        self.port, self.redis = port, redis
        self.wrong, self.ids, self.answers = {}, {}, 0

    def send(self, index, shape, faults):
        number = FIRST + index
        try:
            found = answers_to(shape.sent(number), self.port, method=shape.method)
        except (TimeoutError, AssertionError) as error:
            self.wrong[shape.name] = repr(error)
            return
        statuses = [answer.status for answer in found]
        self.answers += len(statuses)
        for answer in found:
            if answer.status == 201:
                self.ids[orjson.loads(answer.body)["id"]] = shape.name
        if fault := faults(shape, statuses):
            self.wrong[shape.name] = fault

    def send_other(self, index, shape):
        """Publish somebody else's event, on another connection."""
        number = FIRST_OTHER + index
        publishing = request("POST", "/events/orders", event(number), JSON, "connection: close")
        try:
            (answer,) = answers_to([publishing], self.port)
            self.ids[orjson.loads(answer.body)["id"]] = number
        except (TimeoutError, AssertionError, ValueError, KeyError) as error:
            self.wrong[f"somebody else, after {shape.name}"] = repr(error)

    def stored(self):
        """Return the number of each event that is stored, by its id."""
        return {id_.decode(): int(fields[b"n"]) for id_, fields in self.redis.xrange("orders")}


def faults_directly(shape, statuses):
    expected = 1 if shape.ends != "nowhere" else 2
    if len(statuses) != expected:
        return f"{statuses}: {len(statuses)} answers to {expected} requests"
    if statuses[0] not in shape.statuses:
        return f"{statuses}: not one of {shape.statuses}"
    return "" if statuses[1:] in ([], [200]) else f"{statuses}: the next request failed"


def faults_behind_a_proxy(shape, statuses):
    if shape.is_refused:
        # The proxy may mend a shape, and pass on what is behind it as the request of its own that it is then.
        return "" if statuses else "no answer"
    return faults_directly(shape, statuses[:1] if shape.ends == "here" else statuses)


def report(title, crowd):
    print(f"\n{title}: {crowd.answers} answers, {len(crowd.wrong)} wrong")


@pytest.mark.parametrize("way", ["on the fast path", "by the front door"])
def test_each_shape_is_answered_once_and_no_body_is_taken_for_a_request(way, server, redis, monkeypatch):
    if way == "by the front door":
        monkeypatch.setattr(FastPath, "cycle", lambda *_: None)
    crowd = Crowd(server.port, redis)
    sent = SHAPES if way == "on the fast path" else FEW_SHAPES

    for index, shape in enumerate(sent):
        crowd.send(index, shape, faults_directly)

    report(f"directly, {way}", crowd)
    assert crowd.wrong == {}
    expected = Counter(FIRST + index for index, shape in enumerate(sent) for _ in range(shape.stored))
    assert Counter(crowd.stored().values()) == expected
    assert len(sent) >= 200


# That none of them is taken for two requests is what keeps clients behind a proxy apart: the test above holds it.
@pytest.mark.nightly
@pytest.mark.parametrize("proxy", PROXIES)
def test_odd_requests_through_a_proxy_do_not_change_the_answers_of_other_clients(
    proxy, server, redis, tmp_path, monkeypatch
):
    connections, begin = [], HttpProtocol.connection_made
    monkeypatch.setattr(HttpProtocol, "connection_made", lambda *given: connections.append(1) or begin(*given))
    with ExitStack() as stack:
        crowd = Crowd(stack.enter_context(PROXIES[proxy](tmp_path, server.port)), redis)

        for index, shape in enumerate(FEW_SHAPES):
            crowd.send(index, shape, faults_behind_a_proxy)
            crowd.send_other(index, shape)

    report(f"through {proxy}, over {len(connections)} connections", crowd)
    assert crowd.wrong == {}
    # Otherwise the one had nothing to do with the other.
    assert len(connections) < crowd.answers / 2
    stored = crowd.stored()
    # What is stored was answered, each to whoever sent it.
    assert stored.keys() == crowd.ids.keys()
    others = {id_: number for id_, number in crowd.ids.items() if isinstance(number, int)}
    assert {id_: stored[id_] for id_ in others} == others
    hidden = {-FIRST - index for index, shape in enumerate(FEW_SHAPES) if not shape.is_refused}
    assert hidden.isdisjoint(stored.values())
