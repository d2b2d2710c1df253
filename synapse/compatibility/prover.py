"""Proves that a reader's schema accepts every value of a shape, or that a shape has no value.

`Prover.within` returns the obstacles that it finds; an empty result is a proof. The proof splits into cases, and
descends into parts. A question that comes up again deeper in the value while it is being answered is assumed to be
proven: a document is finite, so a counterexample cannot lie ever deeper. Results that rest on such an assumption are
not cached on their own. "Empty" is proven, "not empty" only means that no proof was found.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

from synapse.compatibility import arrays, combinations, keywords, objects, scalars, validators
from synapse.compatibility.budget import Budget, OutOfBudget
from synapse.compatibility.equivalence import EquivalenceChecker
from synapse.compatibility.findings import Finding, Findings, nearest_to_compatible, only_lenient
from synapse.compatibility.rules import Rule
from synapse.compatibility.schema_model import Node
from synapse.compatibility.shape import Shape, Shapes

_DEEPEST_CASES = 2
_FEW_CHOICES = 4


class SatisfiabilityChecker:
    """Looks for contradictions in shapes, and caches the results."""

    def __init__(self, prover: "Prover") -> None:
        self._prover = prover
        self._known: dict[Shape, bool] = {}
        self._asked: set[Shape] = set()
        self._cases = 0

    def is_empty(self, shape: Shape) -> bool:
        """Say whether no value can be of this shape."""
        if shape.types == keywords.NOTHING:
            return True
        known = self._known.get(shape)
        if known is not None:
            return known
        if shape in self._asked:
            return False
        prover = self._prover
        # Before the shape is marked as being checked: if the steps run out here, the proof may continue and check it
        # again.
        prover.budget.enter()
        outer, prover.leans_on = prover.leans_on, math.inf
        self._asked.add(shape)
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
        allowed = scalars.all_of(prover, shape)
        if allowed is not None:
            return not allowed
        if all(self.has_no(mask, shape) for mask in keywords.EACH if shape.types & mask):
            return True
        # The accepting schemas may imply one of the refusing schemas.
        if any(not prover.within(shape, node) for node in shape.refused_by):
            return True
        return self._has_no_case(shape)

    def has_no(self, mask: int, shape: Shape) -> bool:
        """Say whether no value of one type can be of this shape."""
        match mask:
            case keywords.NUMBER:
                return scalars.are_impossible(shape)
            case keywords.STRING:
                if shape.longest is not None and shape.shortest > shape.longest:
                    return True
                return shape.longest == 0 and any(not validators.text_matches(each, "") for each in shape.patterns)
            case keywords.ARRAY:
                return arrays.are_impossible(self._prover, shape)
            case keywords.OBJECT:
                return objects.are_impossible(self._prover, shape)
        return False

    def _has_no_case(self, shape: Shape) -> bool:
        if self._cases >= (_DEEPEST_CASES if len(shape.choices) <= _FEW_CHOICES else 1):
            return False
        self._cases += 1
        try:
            return any(all(map(self.is_empty, shape.cases(choice))) for choice in shape.choices)
        finally:
            self._cases -= 1


_DEEPEST_CHOICES = 3
"""The limit on choices of the writer that are nested in each other."""

Question = tuple[Shape, Node]


class Prover:
    """The prover for one pair of schemas. `tells_integers`: one of them is of draft 4, in which 1.0 is not an
    integer.
    """

    def __init__(self, budget: Budget, *, tells_integers: bool) -> None:
        self.budget = budget
        self.tells_integers = tells_integers
        self.shapes = Shapes(budget)
        self.equivalence = EquivalenceChecker(budget)
        self.satisfiability = SatisfiabilityChecker(self)
        self._answers: dict[Question, Findings] = {}
        self._asked: dict[Question, tuple[int, int]] = {}
        self.leans_on: float = math.inf
        self.listed: dict[Shape, list[Any] | None] = {}
        self._level = 0
        self._cases = 0

    def within(self, shape: Shape, reader: Node) -> Findings:
        """Return the findings that keep the reader from accepting all values of the shape."""
        if reader.schema is True or self._is_identical(shape, reader):
            return []
        question = shape, reader
        known = self._answers.get(question)
        if known is not None:
            return known
        if question in self._asked:
            return self._assume_proven(question, reader, shape)
        self.budget.enter()
        own, outer = len(self._asked), self.leans_on
        self._asked[question] = own, self._level
        self.leans_on = math.inf
        try:
            findings = self._find_obstacles(shape, reader)
        finally:
            self.budget.leave()
            del self._asked[question]
            leans_on, self.leans_on = self.leans_on, outer
        if findings or leans_on >= own:
            self._answers[question] = findings
        if leans_on < own:
            self.leans_on = min(self.leans_on, leans_on)
        return findings

    def below(self, shape: Shape, reader: Node) -> Findings:
        """Return the findings for a part of the value: a property, an item or a name."""
        self._level += 1
        cases, self._cases = self._cases, 0
        try:
            return self.within(shape, reader)
        finally:
            self._level -= 1
            self._cases = cases

    def excludes(self, shape: Shape, node: Node) -> bool:
        """Say whether it is proven that the node accepts no value of the shape."""
        return not self.shapes.possible(shape.tags, [node]) or self.satisfiability.is_empty(shape.also(node))

    def excludes_below(self, shape: Shape, node: Node) -> bool:
        """Say whether it is proven that the node accepts no value of a part: a property, an item or a name."""
        self._level += 1
        try:
            return self.excludes(shape, node)
        finally:
            self._level -= 1

    def shape(self, nodes: Iterable[Node], refused_by: Iterable[Node] = ()) -> Shape:
        """Return the shape of a value that these nodes accept and refuse."""
        return self.shapes.of(nodes, refused_by)

    def by_cases(self, shape: Shape, reader: Node, otherwise: Findings) -> Findings:
        """Return the best result of splitting the shape by one of its choices and comparing each case, or
        `otherwise`.
        """
        if self._cases >= _DEEPEST_CHOICES:
            return otherwise
        self._cases += 1
        try:
            with self.budget.limit_to_half():
                return self._best_of_cases(shape, reader, otherwise)
        except OutOfBudget:
            return otherwise
        finally:
            self._cases -= 1

    def _best_of_cases(self, shape: Shape, reader: Node, otherwise: Findings) -> Findings:
        results = [otherwise]
        for choice in shape.choices:
            result: Findings = []
            for case in shape.cases(choice):
                self.budget.spend()
                result = [*result, *self._find_obstacles_in_case(case, reader)]
            if not result:
                return result
            results.append(result)
        soft = [result for result in results if only_lenient(result)]
        return nearest_to_compatible(soft) if soft else results[-1]

    def _is_identical(self, shape: Shape, reader: Node) -> bool:
        if reader in shape.nodes:
            return True
        if reader.text is not None and (reader.draft, reader.text) in shape.texts:
            return True
        facets = reader.facets
        if not (facets.groups or facets.conditions or facets.nots or facets.opaque):
            # Comparing the parts decides; checking for equality first would only be more work.
            return False
        return any(self.equivalence.are_same(node, reader) for node in shape.nodes)

    def _assume_proven(self, question: Question, reader: Node, shape: Shape) -> Findings:
        index, level = self._asked[question]
        if level == self._level:
            return [Finding.of(Rule.CANNOT_DECIDE, shape, reader, reason="it goes round in circles")]
        self.leans_on = min(self.leans_on, index)
        return []

    def _find_obstacles(self, shape: Shape, reader: Node) -> Findings:
        if shape.types == keywords.NOTHING:
            return []
        allowed = scalars.all_of(self, shape)
        if allowed is not None and reader.validator is not None:
            return scalars.value_findings(self, shape, allowed, reader)
        own, combined = self._compare_keywords(shape, reader), combinations.within(self, shape, reader)
        # Whether the shape has any value takes longer to check, and matters only if there are findings.
        if not (own or combined) or self.satisfiability.is_empty(shape):
            return []
        # The findings of combined schemas are already split into cases.
        return (self.by_cases(shape, reader, own) if own and shape.choices else own) + combined

    def _find_obstacles_in_case(self, shape: Shape, reader: Node) -> Findings:
        """Return the findings of a case with the reader itself, without the schemas that the reader combines."""
        if shape.types == keywords.NOTHING or self._is_identical(shape, reader):
            return []
        allowed = scalars.all_of(self, shape)
        if allowed is not None and reader.validator is not None:
            return scalars.value_findings(self, shape, allowed, reader)
        own = self._compare_keywords(shape, reader)
        if not own or self.satisfiability.is_empty(shape):
            return []
        return self.by_cases(shape, reader, own) if shape.choices else own

    def _compare_keywords(self, shape: Shape, reader: Node) -> Findings:
        if reader.schema is False:
            return [Finding.of(Rule.NOTHING_ACCEPTED, shape, reader, lambda sampler: sampler.values(shape))]
        return (
            self._type_findings(shape, reader)
            + scalars.value_list_findings(self, shape, reader)
            + self._findings_by_type(shape, reader)
            + combinations.exclusions(self, shape, reader)
        )

    def _type_findings(self, shape: Shape, reader: Node) -> Findings:
        missing = shape.types & ~reader.facets.types
        for mask in keywords.EACH:
            if missing & mask and self.satisfiability.has_no(mask, shape):
                missing &= ~mask
        if not missing:
            return []
        names = ", ".join(f"“{name}”" for name in _missing_names(missing, reader.facets.types))
        return [
            Finding.of(
                Rule.TYPE_NARROWED, shape, reader, lambda sampler: sampler.values(shape, mask=missing), types=names
            )
        ]

    def _findings_by_type(self, shape: Shape, reader: Node) -> Findings:
        facets = reader.facets
        both = shape.types & facets.types
        found: Findings = []
        for mask, look in _LOOKS:
            if both & mask:
                findings = look(self, self._narrow_to_type(shape, mask) if mask in _IN_PARTS else shape, reader)
                if findings and not self.satisfiability.has_no(mask, shape):
                    found += findings
        return found

    def _narrow_to_type(self, shape: Shape, mask: int) -> Shape:
        """Return the shape narrowed to one type, so that choices between types are made."""
        if shape.types & ~mask:
            return shape.also(Node.from_schema({"type": keywords.names_of(mask)}))
        return shape


Look = Callable[[Prover, Shape, Node], Findings]

_LOOKS: tuple[tuple[int, Look], ...] = (
    (keywords.NUMBER, lambda _, shape, reader: scalars.numbers_within(shape, reader)),
    (keywords.STRING, lambda _, shape, reader: scalars.strings_within(shape, reader)),
    (keywords.ARRAY, arrays.within),
    (keywords.OBJECT, objects.within),
)
_IN_PARTS = (keywords.ARRAY, keywords.OBJECT)


def _missing_names(missing: int, accepted: int) -> list[str]:
    """Return the types that the reader lacks: “number”, too, when it knows only integers."""
    if missing & keywords.WHOLE and not missing & keywords.INTEGER and accepted & keywords.INTEGER:
        missing |= keywords.FRACTION
    return keywords.names_of(missing)
