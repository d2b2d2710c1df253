"""A document that proves a difference: the writer's schema accepts it, and the reader's refuses it."""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import jsonschema_rs

from synapse.compatibility import validators
from synapse.compatibility.budget import Budget, OutOfBudget
from synapse.compatibility.findings import Finding
from synapse.compatibility.result import NO_WITNESS
from synapse.compatibility.samples import Sampler

_MOST_CANDIDATES = 80
_MOST_SHRINKS = 120
_COST_OF_A_CANDIDATE = 2


class Court:
    """Hears both validators about documents."""

    def __init__(self, writer: jsonschema_rs.Validator, reader: jsonschema_rs.Validator, budget: Budget) -> None:
        self._writer = writer
        self._reader = reader
        self._budget = budget

    def is_proof(self, document: Any) -> bool:
        """Say whether the writer's schema accepts the document and the reader's refuses it."""
        self._budget.spend(_COST_OF_A_CANDIDATE)
        accepted = validators.accepts(self._writer, document)
        return accepted is True and validators.accepts(self._reader, document) is False

    def witness(self, finding: Finding, sampler: Sampler) -> Any:
        """Return a small witness for a finding, or `NO_WITNESS` when none is found in time."""
        try:
            return self._first(finding.candidates(sampler))
        except (OutOfBudget, RecursionError):
            return NO_WITNESS

    def _first(self, candidates: Iterator[Any]) -> Any:
        for document in islice(candidates, _MOST_CANDIDATES):
            if self.is_proof(document):
                return self._shrunk(document)
        return NO_WITNESS

    def _shrunk(self, document: Any) -> Any:
        """Return the document without what it can do without."""
        tries = 0
        smaller = _smaller(document)
        while (candidate := next(smaller, NO_WITNESS)) is not NO_WITNESS and tries < _MOST_SHRINKS:
            tries += 1
            try:
                is_proof = self.is_proof(candidate)
            except OutOfBudget:
                break
            if is_proof:
                document, smaller = candidate, _smaller(candidate)
        return document


def _smaller(value: Any) -> Iterator[Any]:
    """Return the value with one part left out, for each part."""
    if isinstance(value, dict):
        for name in value:
            yield {other: it for other, it in value.items() if other != name}
        for name, part in value.items():
            yield from ({**value, name: smaller} for smaller in _smaller(part))
    elif isinstance(value, list):
        yield from (value[:index] + value[index + 1 :] for index in range(len(value)))
        for index, part in enumerate(value):
            yield from ([*value[:index], smaller, *value[index + 1 :]] for smaller in chain(_smaller(part)))
