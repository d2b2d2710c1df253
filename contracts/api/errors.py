"""Refusals in the registries' format: an HTTP status, and `{"error_code", "message"}`.

The codes are those of Confluent's registry, which all clients know.
"""

from typing import Any

from synapse.errors import contracts as contract_errors
from synapse.problems import Problem

FORBIDDEN = 40301
SUBJECT_NOT_FOUND = 40401
VERSION_NOT_FOUND = 40402
SCHEMA_NOT_FOUND = 40403
SUBJECT_DELETED = 40404
SUBJECT_NOT_DELETED = 40405
VERSION_DELETED = 40406
VERSION_NOT_DELETED = 40407
NO_COMPATIBILITY = 40408
NO_MODE = 40409
INCOMPATIBLE = 40901
INVALID_SCHEMA = 42201
INVALID_VERSION = 42202
INVALID_COMPATIBILITY = 42203
INVALID_MODE = 42204
NOT_PERMITTED = 42205
REFERENCE_EXISTS = 42206
INVALID_SUBJECT = 42208
TOO_LARGE = 42209
INVALID_RULES = 42210
BROKEN = 50001

# The first matching class decides.
_CODES: tuple[tuple[type[Problem], int], ...] = (
    (contract_errors.UnknownContract, SUBJECT_NOT_FOUND),
    (contract_errors.UnknownVersion, VERSION_NOT_FOUND),
    (contract_errors.UnknownSchema, SCHEMA_NOT_FOUND),
    (contract_errors.Incompatible, INCOMPATIBLE),
    (contract_errors.SchemaTooLarge, TOO_LARGE),
    (contract_errors.BadSchema, INVALID_SCHEMA),
    (contract_errors.ReadOnly, NOT_PERMITTED),
    (contract_errors.Referenced, REFERENCE_EXISTS),
)
_MOST_DETAILS = 20
_LONGEST_SCHEMA = 1000


class Refused(Problem, slug="registry-refused", title="The registry refused"):
    """A refusal with one of the codes above, the first three digits of which are the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = code // 100  # type: ignore[misc]  # declared for classes, set here for one instance


def code_of(problem: Problem) -> int:
    """Return a problem's code: the HTTP status if registries have no code for it."""
    if isinstance(problem, Refused):
        return problem.code
    return next((code for kind, code in _CODES if isinstance(problem, kind)), problem.status)


def document(problem: Problem) -> dict[str, Any]:
    """Return the response body for a problem. For incompatible schemas, it lists all differences."""
    if not isinstance(problem, contract_errors.Incompatible):
        place = problem.members.get("pointer") if isinstance(problem, contract_errors.BadSchema) else None
        message = f"{problem.detail} Place: {place}" if place else problem.detail
        return {"error_code": code_of(problem), "message": message}
    subject = problem.members["subject"]
    return {
        "error_code": code_of(problem),
        "message": f'Schema being registered is incompatible with an earlier schema for subject "{subject}", '
        f"details: [{', '.join(_details_of(problem))}]",
        **problem.members,
        "detail": problem.detail,
    }


def messages(differences: Any) -> list[str]:
    """Return differences as lines in the registries' format, at most `_MOST_DETAILS`."""
    return [
        f'{{errorType:"{each["rule"]}", description:"{each["description"]} {each["fix"]}"}}'
        for each in differences[:_MOST_DETAILS]
    ]


def _details_of(problem: contract_errors.Incompatible) -> list[str]:
    old = problem.old_text
    shown = old if len(old) <= _LONGEST_SCHEMA else old[:_LONGEST_SCHEMA] + "…"
    return [
        *messages(problem.differences),
        f"{{oldSchemaVersion: {problem.differences[0]['version']}}}",
        f"{{oldSchema: '{shown}'}}",
        f"{{validateFields: 'false', compatibility: '{problem.members['compatibility']}'}}",
    ]
