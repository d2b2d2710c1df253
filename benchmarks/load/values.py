"""The requests of a load, and its results, as values."""

from dataclasses import dataclass

# A placeholder in a body or a key for a number that differs in each request: the second at which the run begins, and a
# count.
NUMBER = "@@@@@@@@@@@@@@@@@@"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request, sent again and again. `key` is the API key and `idempotency_key` the Idempotency-Key, "" for
    none. The body or the Idempotency-Key may contain `NUMBER` once.
    """

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
