"""The requests of a load, and its results, as values."""

from dataclasses import dataclass

# Stands in a body or a key for a number that is another one in each request: the second that a run begins, and a count.
NUMBER = "@@@@@@@@@@@@@@@@@@"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request, sent again and again. `key`: the API key that it shows, `idempotency_key`: its Idempotency-Key,
    "" for none. Its body or its Idempotency-Key may have `NUMBER` in one place."""

    url: str
    method: str = "GET"
    body: bytes = b""
    kind: str = "application/json"
    key: str = ""
    idempotency_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The results of a generator. `errors` counts answers of 400 and more, and connections that failed."""

    requests: int
    seconds: float
    errors: int
    p50_ms: float
    p99_ms: float
