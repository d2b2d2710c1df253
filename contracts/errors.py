"""What can be wrong with a contract.

Problem
├── BadSchema            the text is not a JSON Schema that can be a contract
├── UnknownContract      no contract has this subject
├── UnknownVersion       the contract has no such version
└── WrongState           a version cannot make this step from the state it is in
"""

from core.problems import Problem


class BadSchema(Problem):
    """The text is not a JSON Schema that can be a contract. `pointer` says where, when that is known."""

    status = 422
    slug = "bad-schema"
    title = "This is not a JSON Schema that can be a contract"

    def __init__(self, detail: str, *, pointer: str | None = None) -> None:
        super().__init__(detail)
        if pointer is not None:
            self.members["pointer"] = pointer


class UnknownContract(Problem):
    """No contract has this subject."""

    status = 404
    slug = "unknown-contract"
    title = "No contract has this subject"


class UnknownVersion(Problem):
    """The contract has no such version."""

    status = 404
    slug = "unknown-version"
    title = "The contract has no such version"


class WrongState(Problem):
    """A version cannot make this step from the state it is in."""

    status = 409
    slug = "wrong-state"
    title = "The version is not in a state for this"
