"""Is there a value of a shape at all? "Empty" is a proof, "not empty" only means that none was found."""

import math
from typing import TYPE_CHECKING

from synapse.compatibility import (
    arrays,
    finite_values,
    json_types,
    objects,
    scalars,
    validators,
)
from synapse.compatibility.shape import Shape

if TYPE_CHECKING:
    from synapse.compatibility.prover import Prover

_DEEPEST_CASES = 2
_FEW_CHOICES = 4


class Emptiness:
    """Looks for contradictions, and remembers."""

    def __init__(self, prover: "Prover") -> None:
        self._prover = prover
        self._known: dict[Shape, bool] = {}
        self._asked: set[Shape] = set()
        self._cases = 0

    def is_empty(self, shape: Shape) -> bool:
        """Say whether no value can be of this shape."""
        if shape.types == json_types.NOTHING:
            return True
        known = self._known.get(shape)
        if known is not None:
            return known
        if shape in self._asked:
            return False
        prover = self._prover
        outer, prover.leans_on = prover.leans_on, math.inf
        self._asked.add(shape)
        prover.budget.enter()
        try:
            answer = self._is_empty(shape)
        finally:
            prover.budget.leave()
            self._asked.discard(shape)
            leaned, prover.leans_on = prover.leans_on, min(outer, prover.leans_on)
        if leaned == math.inf:
            self._known[shape] = answer
        return answer

    def _is_empty(self, shape: Shape) -> bool:
        prover = self._prover
        allowed = finite_values.all_of(prover, shape)
        if allowed is not None:
            return not allowed
        if all(self.has_no(mask, shape) for mask in json_types.EACH if shape.types & mask):
            return True
        if shape.refused_by and self._is_refused(shape):
            return True
        return self._has_no_case(shape)

    def has_no(self, mask: int, shape: Shape) -> bool:
        """Say whether no value of one type can be of this shape."""
        match mask:
            case json_types.NUMBER:
                return scalars.are_impossible(shape)
            case json_types.STRING:
                return _has_no_strings(shape)
            case json_types.ARRAY:
                return arrays.are_impossible(self._prover, shape)
            case json_types.OBJECT:
                return objects.are_impossible(self._prover, shape)
        return False

    def _is_refused(self, shape: Shape) -> bool:
        """Say whether a schema that accepts the value implies one that refuses it."""
        return any(not self._prover.within(shape, node) for node in shape.refused_by)

    def _has_no_case(self, shape: Shape) -> bool:
        if self._cases >= (_DEEPEST_CASES if len(shape.choices) <= _FEW_CHOICES else 1):
            return False
        self._cases += 1
        try:
            return any(all(map(self.is_empty, shape.cases(choice))) for choice in shape.choices)
        finally:
            self._cases -= 1


def _has_no_strings(shape: Shape) -> bool:
    if shape.longest is not None and shape.shortest > shape.longest:
        return True
    return shape.longest == 0 and any(not validators.text_matches(pattern, "") for pattern in shape.patterns)
