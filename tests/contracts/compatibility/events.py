"""Documents to try schemas with."""

import random
from collections.abc import Iterator
from typing import Any

from synapse.compatibility.budget import Budget, OutOfBudget
from synapse.compatibility.documents import Library
from synapse.compatibility.prover import Prover
from synapse.compatibility.witness import Sampler
from tests.contracts.compatibility.schemas import NAMES, SCALARS, VALUES


def documents_for(*schemas: dict[str, Any], seed: int = 0, count: int = 150) -> Iterator[Any]:
    """Return documents: made towards each of the schemas, the same with small changes, and any others."""
    made = [document for schema in schemas for document in _towards(schema)]
    yield from variations(made, random.Random(seed), count)


def variations(made: list[Any], chance: random.Random, count: int) -> Iterator[Any]:
    """Return documents, the same with small changes, and any others."""
    yield from made
    yield from VALUES
    for _ in range(count):
        yield _any(chance, 3)
        if made:
            yield _changed(chance, chance.choice(made))


def _towards(schema: dict[str, Any]) -> list[Any]:
    prover = Prover(Budget(50_000), tells_integers=True)
    try:
        root = prover.shapes.of([Library(schema, {}).main.root])
        sampler = Sampler(prover)
        return list(sampler.values(root))
    except (OutOfBudget, RecursionError):
        return []


def _any(chance: random.Random, depth: int) -> Any:
    kind = chance.random()
    if depth == 0 or kind < 0.3:
        return chance.choice(SCALARS)
    if kind < 0.55:
        return [_any(chance, depth - 1) for _ in range(chance.randrange(4))]
    return {chance.choice([*NAMES, "z", "ba"]): _any(chance, depth - 1) for _ in range(chance.randrange(4))}


def _changed(chance: random.Random, document: Any) -> Any:
    if isinstance(document, dict) and chance.random() < 0.9:
        changed = dict(document)
        name = chance.choice([*changed, *NAMES, "z"])
        if name in changed and chance.random() < 0.4:
            del changed[name]
        else:
            changed[name] = _changed(chance, changed[name]) if name in changed else _any(chance, 1)
        return changed
    if isinstance(document, list) and chance.random() < 0.9:
        changed_list = list(document)
        if changed_list and chance.random() < 0.5:
            index = chance.randrange(len(changed_list))
            changed_list[index] = _changed(chance, changed_list[index])
        else:
            changed_list.insert(chance.randrange(len(changed_list) + 1), _any(chance, 1))
        return changed_list
    return _any(chance, 1)
