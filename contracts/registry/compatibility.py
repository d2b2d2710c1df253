"""The check whether a schema may follow the existing versions."""

from typing import Any

from contracts.models import Contract, ContractVersion
from contracts.registry import references, settings
from contracts.registry.content import Content
from contracts.registry.lookup import latest_version, numbered_versions
from synapse import sandbox
from synapse.compatibility import CompatibilityResult, Difference, EarlierVersion, Mode
from synapse.errors.contracts import BadSchema, Incompatible
from synapse.schema import validator


def check_compatibility(
    of: Contract, content: Content, *, against: ContractVersion | None = None
) -> CompatibilityResult:
    """Check whether the content may become the contract's next version, under its mode and policy.

    `against` is the only version to compare with, in place of those that the mode names.

    Raises:
        BadSchema: when the content cannot be a contract's schema.
    """
    mode, policy = settings.rules_of(of)
    earlier = _earlier_versions(of, mode) if against is None else [against]
    if mode is Mode.NONE or not earlier:
        return CompatibilityResult(is_compatible=True)
    return sandbox.compare(
        content.document,
        [_as_earlier(version) for version in earlier],
        mode=mode,
        policy=policy,
        references=references.resolve(content.references),
    )


def refuse_unless_compatible(of: Contract, content: Content) -> None:
    """Raise unless the content may become the contract's next version.

    Raises:
        BadSchema: when no later schema could be compared with this one.
        Incompatible: with the differences, when it may not.
    """
    mode, policy = settings.rules_of(of)
    if mode is not Mode.NONE:
        reason = sandbox.obstacle(content.document, references.resolve(content.references))
        if reason is not None:
            raise BadSchema(f"No later version could be compared with this schema, because {reason}.")
    verdict = check_compatibility(of, content)
    if verdict.is_compatible:
        return
    old = numbered_versions(of).filter(number=verdict.differences[0].version).first()
    raise Incompatible(
        _describe_refusal(of, verdict, mode),
        [difference_json(difference) for difference in verdict.differences],
        subject=of.subject,
        mode=mode,
        policy=policy,
        old_text="" if old is None else old.text,
    )


def difference_json(difference: Difference) -> dict[str, Any]:
    """Return a difference as a JSON object, as in API responses."""
    shown: dict[str, Any] = {
        "rule": difference.rule,
        "direction": str(difference.direction),
        "old_pointer": difference.old_pointer,
        "new_pointer": difference.new_pointer,
        "version": difference.version,
        "description": difference.description,
        "fix": difference.fix,
        "decided": difference.decided,
    }
    if difference.has_witness:
        # null can be a witness, so a missing witness is a missing member.
        shown["witness"] = difference.witness
    return shown


def _describe_refusal(of: Contract, verdict: CompatibilityResult, mode: Mode) -> str:
    first = verdict.differences[0]
    count = len(verdict.differences)
    more = f" There is {count - 1} more." if count == 2 else f" There are {count - 1} more." if count > 2 else ""
    return (
        f"The schema is not {mode}-compatible with version {first.version} of “{of.subject}”: "
        f"{first.description} {first.fix}{more}"
    )


def _earlier_versions(of: Contract, mode: Mode) -> list[ContractVersion]:
    if mode.is_transitive:
        return list(numbered_versions(of))
    latest = latest_version(of)
    return [] if latest is None else [latest]


def _as_earlier(version: ContractVersion) -> EarlierVersion:
    schema = version.schema
    if schema is None or version.number is None:
        raise ValueError(f"{version} is no numbered version")
    return EarlierVersion(
        version=version.number, document=validator.load_schema(schema.text), references=references.documents_of(schema)
    )
