"""Schemas that are no contract yet, somebody's text or a contract's draft: tested, and saved."""

from collections.abc import Iterator

from contracts import registry, schemas
from contracts.models import Contract, ContractVersion
from contracts.registry import drafting, references
from contracts.schemas import CompiledSchema
from core.principal import Principal
from streams import connections
from streams.backtesting import Tested, back_test
from streams.errors import NothingToTest
from streams.recent import USUAL_EVENTS
from streams.snapshot import holder
from streams.subjects import event_types_of


def of_text(subject: str, text: bytes) -> CompiledSchema:
    """Return a text (UTF-8) as the next schema of a contract; its `$ref` may name what the newest one refers to.

    Raises:
        BadSchema: when it cannot be a contract's schema.
    """
    schemas.parse(text)
    return references.checked(drafting.written(_contract(subject), text.decode()))


def of_draft(subject: str) -> CompiledSchema:
    """Return the draft of the contract with this subject.

    Raises:
        NothingToTest: when it has none.
        BadSchema: when it cannot be a contract's schema any more.
    """
    draft = _draft(subject)
    if draft is None:
        raise NothingToTest(f"“{subject}” has no draft. Give the schema that is to be tested.")
    return references.checked(drafting.written(draft.contract, draft.text))


def back_tests(subject: str, candidate: CompiledSchema, *, by: Principal, last: int = USUAL_EVENTS) -> Iterator[Tested]:
    """Give what the candidate would say of each event type that its subject is about, `last` events of each. What `by`
    may not see is masked before.

    Raises:
        UnknownContract, NothingToTest: when it is about none.
        NotAStream, Unavailable: as their names say.
    """
    for event_type in event_types_of(subject):
        test = back_test(holder.current(), event_type.stream.name, event_type.name, candidate, by=by, last=last)
        yield connections.executor().run(test)


def save(subject: str, text: str, *, replace: bool, by: Principal) -> ContractVersion:
    """Make a text, which refers to no other, the draft of a contract; make the contract if need be.

    Raises:
        DraftExists: when there is a draft with another text, and it is not to be replaced.
        BadSchema: when the text cannot be a contract's schema.
    """
    return registry.draft(subject, text, by=by, references=[], replace=replace)


def _contract(subject: str) -> Contract | None:
    return Contract.objects.filter(subject=subject).first()


def _draft(subject: str) -> ContractVersion | None:
    contract = _contract(subject)
    return None if contract is None else registry.draft_of(contract)
