"""Errors of contracts.

Problem
├── BadSchema: SchemaTooLarge, SchemaTooCostly, UnresolvedReference
├── WrongState: DraftExists, DraftChanged, AlreadyDeleted, NotDeletedYet
├── Referenced: InUse
├── UnknownContract, UnknownVersion, UnknownSchema
└── Incompatible, ReadOnly, SandboxBusy, TooCostly, NoPythonCode
"""

from collections.abc import Mapping, Sequence
from typing import Any

from synapse.problems import Problem


class BadSchema(Problem, status=422, slug="bad-schema", title="This is not a JSON Schema that can be a contract"):
    """The text is not a JSON Schema that can be a contract. `pointer` is a JSON Pointer to the error, None when
    unknown.
    """

    def __init__(self, detail: str, *, pointer: str | None = None) -> None:
        super().__init__(detail)
        if pointer is not None:
            self.members["pointer"] = pointer


class SchemaTooLarge(BadSchema, slug="schema-too-large", title="The schema is larger than the limit"):
    """The schema, or the data stored with it, exceeds the size limit."""


class SchemaTooCostly(BadSchema, slug="schema-too-costly", title="Checking the schema takes too much time or memory"):
    """Checking, comparing or testing the schema takes more processor time or memory than a request may take."""

    def __init__(self, seconds: int, megabytes: int) -> None:
        super().__init__(
            f"Working on this schema took more than {seconds} s of a processor's time or {megabytes} MiB of memory, "
            "and was ended. Write the schema with fewer alternatives, shorter patterns and fewer references, or test "
            "it on fewer events."
        )


class UnresolvedReference(
    BadSchema, slug="unresolved-reference", title="The schema refers to a schema that does not exist"
):
    """The schema has a reference to a schema that is neither in it nor in the registry."""


class UnknownContract(Problem, status=404, slug="unknown-contract", title="No contract has this subject"):
    """No contract has this subject."""


class UnknownVersion(Problem, status=404, slug="unknown-version", title="The contract has no such version"):
    """The contract has no such version."""


class UnknownSchema(Problem, status=404, slug="unknown-schema", title="No contract has this schema"):
    """No contract has this schema."""


class WrongState(
    Problem, status=409, slug="wrong-state", title="The version is in a state in which this is not possible"
):
    """The version is in a state in which this action is not possible."""


class DraftExists(WrongState, slug="draft-exists", title="The contract has a draft of another text"):
    """The contract has a draft with another text, and the request does not ask to replace it."""


class DraftChanged(WrongState, slug="draft-changed", title="The draft was changed meanwhile"):
    """The draft changed after it was shown to the person that approved it."""


class AlreadyDeleted(WrongState, slug="already-deleted", title="The version is deleted already"):
    """The version is deleted already; a second, permanent deletion is possible."""


class NotDeletedYet(
    WrongState, slug="not-deleted-yet", title="The version must be deleted before it can be deleted permanently"
):
    """A version must be deleted before it can be deleted permanently."""


class Incompatible(
    Problem, status=409, slug="incompatible", title="The schema is not compatible with an earlier version"
):
    """The schema is not compatible with an earlier version, as the contract's mode requires.

    Each of `differences` has the rule, the places in both schemas, the other version, a document that proves the
    difference, and the smallest fix. `old_text` is the schema of the first version with a difference.
    """

    def __init__(
        self,
        detail: str,
        differences: Sequence[Mapping[str, Any]],
        *,
        subject: str,
        mode: str,
        policy: str,
        old_text: str = "",
    ) -> None:
        super().__init__(detail, subject=subject, compatibility=mode, policy=policy, differences=list(differences))
        self.differences = differences
        self.old_text = old_text


class ReadOnly(Problem, status=422, slug="read-only", title="The contract may not be changed"):
    """The contract, or the whole registry, may not be changed."""


class Referenced(Problem, status=422, slug="referenced", title="A schema refers to the version"):
    """A schema refers to the version, so it cannot be deleted."""


class InUse(Referenced, slug="contract-in-use", title="The contract is in use"):
    """A definition uses the contract: without the contract, events would not be checked any more."""


class NoPythonCode(Problem, status=422, slug="no-python-code", title="No Python code can be made of the schema"):
    """No Python code can be made of the schema."""


class TooCostly(Problem, status=422, slug="too-costly", title="Checking the event would take too much work"):
    """Checking the event against its schema could exceed the limit on the work for one event."""

    def __init__(self) -> None:
        super().__init__(
            "Checking this event against its contract could take more than 0.2 s of a processor's time. Send fewer "
            "values or shorter texts in one event, or change the contract: registering a version reports its cost."
        )


class SandboxBusy(Problem, status=503, slug="busy", title="Too many schemas or costly events are being checked"):
    """The sandbox is busy with schemas or events of other callers, or its process was killed."""

    retry_after = 5

    def __init__(self) -> None:
        super().__init__(
            f"Other schemas or costly events are being checked. Send the request again in {self.retry_after} s."
        )
