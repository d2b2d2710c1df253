"""References that the validator itself cannot bear, or gives a meaning of its own.

One that leads back to where it is without going down into the value, and references to references so many times over
that one value is looked at without end. Such schemas are not compared, and their validators not asked. (A tree whose
branches are trees is fine: it goes down.)
"""

from collections.abc import Iterator

from synapse.compatibility import keywords
from synapse.compatibility.budget import Budget
from synapse.compatibility.documents import Library
from synapse.compatibility.schema_model import Node

_MOST_LOOKS = 20_000
"""How many times schemas may be applied to one value."""


def trouble_with(library: Library, budget: Budget) -> str | None:
    """Return what is wrong with the references of a schema and of those that it refers to, or `None`.

    Raises:
        OutOfBudget: when it takes too long to say.
    """
    if not any(document.has_references for document in library.documents):
        return None
    looks: dict[Node, int] = {}
    seen = dict.fromkeys(document.root for document in library.documents)
    waiting = list(seen)
    while waiting:
        node = waiting.pop()
        if node not in looks and not _count(node, looks, budget):
            return f"a “$ref” leads back to itself at “{node.at}”"
        if looks[node] > _MOST_LOOKS:
            return f"references are followed too many times over at “{node.at}”"
        new = [it for it in (*_parts(node), *_in_place(node)) if it not in seen]
        seen.update(dict.fromkeys(new))
        waiting += new
    return None


def _count(start: Node, looks: dict[Node, int], budget: Budget) -> bool:
    """Count how many schemas are applied where `start` is; false when there is no end to it."""
    path: dict[Node, Iterator[Node]] = {start: iter(_in_place(start))}
    while path:
        budget.spend()
        node = next(reversed(path))
        following = next(path[node], None)
        if following is None:
            looks[node] = 1 + sum(looks[it] for it in _in_place(node))
            del path[node]
        elif following in path:
            return False
        elif following not in looks:
            path[following] = iter(_in_place(following))
    return True


def _in_place(node: Node) -> list[Node]:
    facets = node.facets
    found = [*facets.conjuncts, *facets.nots]
    found += [member for group in facets.groups for member in group.members]
    for condition in facets.conditions:
        found += [it for it in (condition.when, condition.then, condition.otherwise) if it is not None]
    return found


def _parts(node: Node) -> list[Node]:
    if not isinstance(node.schema, dict):
        return []
    return [node.below(at, schema) for _, at, schema in keywords.subschemas(node.schema)]
