"""The conditions of a filter, joined by `&&`, `||`, `!` and `?:`.

Each condition is a program of the library. One without an answer, such as a comparison of a text with a number, is
false: for itself, and not for the whole filter, as it would be in one program. So `!` and `||` behave as people expect.
"""

from collections.abc import Callable
from typing import Any

from synapse.errors.streams import BadFilterExpression
from synapse.filters.library import is_panic, load_cel
from synapse.filters.tokens import Token

Condition = Callable[[Any], bool]
"""Says whether it holds with the values of a context of the library."""

_RELATIONS = ("==", "!=", "<", "<=", ">", ">=")
_JOINTS = ("&&", "||", "?", ":", ")", "]", "}", ",")


class ConditionReader:
    """Reads the conditions of a filter that the library was able to parse.

    A value that stands alone is refused: no event would meet it.

    Args:
        tokens: those of the filter, with a variable for each property.
        text: the filter as the library parsed it, of which the tokens have their places.
    """

    def __init__(self, tokens: list[Token], text: str) -> None:
        self._tokens = tokens
        self._text = text
        self._at = 0

    def read(self) -> Condition:
        """Return the condition that begins at the current token: the choice, the loosest of all operators."""
        condition = self._any()
        if not self._take("?"):
            return condition
        if_true = self._any()
        self._take(":")
        if_false = self.read()
        return lambda context: if_true(context) if condition(context) else if_false(context)

    def _any(self) -> Condition:
        parts = [self._all()]
        while self._take("||"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda context: any(part(context) for part in parts)

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._take("&&"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda context: all(part(context) for part in parts)

    def _one(self) -> Condition:
        end = self._end_of_operand(self._at)
        operand = self._tokens[self._at : end]
        # `!` binds more tightly than a comparison: in `!a == b`, it belongs to the a.
        if operand[0].is_("!") and not self._compares(operand):
            self._at += 1
            negated = self._one()
            return lambda context: not negated(context)
        if operand[0].is_("(") and self._closing(self._at) == end - 1:
            self._at += 1
            inner = self.read()
            self._at = end
            return inner
        if len(operand) == 1 and operand[0].kind in ("text", "number"):
            raise BadFilterExpression(
                f"{operand[0].text[:50]} is a value and no condition. Compare it with a property.", at=operand[0].start
            )
        self._at = end
        return _program(self._text[operand[0].start : operand[-1].start + len(operand[-1].text)])

    def _take(self, operator: str) -> bool:
        is_next = self._tokens[self._at].is_(operator)
        self._at += is_next
        return is_next

    def _end_of_operand(self, at: int) -> int:
        while not (self._tokens[at].kind == "end" or self._tokens[at].is_(*_JOINTS)):
            at = self._closing(at) + 1
        return at

    def _closing(self, at: int) -> int:
        """Return the place of the bracket that closes the one at a place; of another token, its own place."""
        depth = 0
        while True:
            depth += self._tokens[at].nesting
            if depth <= 0:
                return at
            at += 1

    @staticmethod
    def _compares(operand: list[Token]) -> bool:
        depth = 0
        for token in operand:
            depth += token.nesting
            if not depth and (token.is_(*_RELATIONS) or (token.kind == "name" and token.text == "in")):
                return True
        return False


def _program(text: str) -> Condition:
    execute = load_cel().compile(text).execute

    def holds(context: Any) -> bool:
        try:
            return execute(context) is True
        except Exception:
            # No answer: values of other types, no such place in a list, a number that is too large.
            return False
        except BaseException as error:
            if is_panic(error):
                return False
            raise

    return holds
