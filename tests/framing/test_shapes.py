"""Hundreds of shapes of requests: none is answered twice, and no body is a request."""

from collections import Counter

import orjson

from tests.framing.client import answers_to
from tests.framing.shapes import shapes

SHAPES = shapes()
FIRST = 7_000_000


class Crowd:
    """Sends shapes one after another; notes what is wrong with the answers."""

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

    def stored(self):
        """Return the number of each event that is stored, by its id."""
        return {id_.decode(): int(fields[b"n"]) for id_, fields in self.redis.xrange("orders")}


def faults_directly(shape, statuses):
    expected = len(shape.answers) + shape.goes_on
    if len(statuses) != expected:
        return f"{statuses}: {len(statuses)} answers to {expected} requests"
    if not all(status in allowed for status, allowed in zip(statuses, shape.answers, strict=False)):
        return f"{statuses}: not {shape.answers}"
    return f"{statuses}: the next request failed" if shape.goes_on and statuses[-1] != 200 else ""


def report(title, crowd):
    print(f"\n{title}: {len(SHAPES)} shapes, {crowd.answers} answers, {len(crowd.wrong)} wrong")


def test_each_shape_is_answered_once_and_no_body_is_taken_for_a_request(server, redis):
    crowd = Crowd(server.port, redis)

    for index, shape in enumerate(SHAPES):
        crowd.send(index, shape, faults_directly)

    report("directly", crowd)
    assert crowd.wrong == {}
    expected = Counter(FIRST + index for index, shape in enumerate(SHAPES) for _ in range(shape.stored))
    assert Counter(crowd.stored().values()) == expected
    assert len(SHAPES) >= 200
