"""How deep a YAML text may be, and how much its aliases may add to it, measured before anything is built.

What a text writes out itself is limited by its bytes alone. A few aliases of aliases make a value of any size, and
libyaml's composer ends the whole process when nesting is deep. So this looks at the parser's events only: nothing
recurses, and nothing grows with the size of the value.
"""

import yaml

try:
    # libyaml, where PyYAML was built with it: ten times faster.
    from yaml import CSafeLoader as Loader
except ImportError:
    from yaml import SafeLoader as Loader  # type: ignore[assignment]

from synapse.catalog.file import BadCatalog

__all__ = ["Loader", "check"]

MAX_DEPTH = 100
MAX_ALIASED = 200_000

# How many nodes a value has, and how many levels.
_Extent = tuple[int, int]


def check(text: str) -> None:
    """Hold a text to the limits.

    Raises:
        BadCatalog: when it breaks one, or an alias stands inside what it names.
        yaml.YAMLError: when it is not YAML.
    """
    measure = _Measure()
    for event in yaml.parse(text, Loader=Loader):
        try:
            measure.take(event)
        except ValueError as error:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise BadCatalog(f"line {line}: {error}") from None


class _Measure:
    def __init__(self) -> None:
        # An anchor whose value is still open has no extent yet.
        self._anchors: dict[str, _Extent | None] = {}
        self._aliased = 0
        self._open: list[tuple[str | None, _Extent]] = []

    def take(self, event: yaml.Event) -> None:
        """Take in the next event; ValueError says which limit it breaks."""
        if isinstance(event, yaml.CollectionStartEvent):
            self._open.append((event.anchor, (1, 1)))
            if event.anchor:
                self._anchors[event.anchor] = None
            if len(self._open) > MAX_DEPTH:
                raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            self._add(*self._open.pop())
        elif isinstance(event, yaml.ScalarEvent):
            self._add(event.anchor, (1, 1))
        elif isinstance(event, yaml.AliasEvent):
            # One without an anchor is the composer's to refuse.
            extent = self._anchors.get(event.anchor or "", (1, 1))
            if extent is None:
                raise ValueError(f"the alias *{event.anchor} stands inside what it names")
            self._aliased += extent[0]
            if self._aliased > MAX_ALIASED:
                raise ValueError(f"its aliases add more than {MAX_ALIASED} values")
            self._add(None, extent)

    def _add(self, anchor: str | None, extent: _Extent) -> None:
        """Add a whole value to the one that it stands in."""
        nodes, levels = extent
        if anchor:
            self._anchors[anchor] = extent
        if len(self._open) + levels > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} levels deep, with aliases resolved")
        if self._open:
            name, (outer_nodes, outer_levels) = self._open[-1]
            self._open[-1] = name, (outer_nodes + nodes, max(outer_levels, levels + 1))
