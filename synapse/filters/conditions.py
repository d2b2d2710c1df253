"""The conditions of a filter, joined by `&&`, `||`, `!` and `?:`.

Each condition is a program of the library. A condition without an answer, such as a comparison of a text with a number,
is false. In one program, it would make the whole filter false; so `!` and `||` behave as people expect.
"""

from collections.abc import Callable
from typing import Any

from synapse.errors.streams import BadFilterExpression
from synapse.filters.library import is_panic, load_cel
from synapse.filters.tokens import Token

Condition = Callable[[Any], bool]
"""A function that says whether the condition holds for the variables in a context of the library."""

_RELATIONS = ("==", "!=", "<", "<=", ">", ">=")
_JOINTS = ("&&", "||", "?", ":", ")", "]", "}", ",")


class ConditionReader:
    """Reads the conditions of a filter that the library was able to parse.

    A value alone is refused as a condition, since no event would meet it.

    Args:
        tokens: the tokens of the filter, with a variable in place of each property.
        text: the text of these tokens, which the library parsed.
    """

    def __init__(self, tokens: list[Token], text: str) -> None:
        self._tokens = tokens
        self._text = text
        self._at = 0

    def read_choice(self) -> Condition:
        """Read the condition at the current token: a choice (`?:`), whose precedence is the lowest, or one
        without it.
        """
        condition = self._read_alternatives()
        if not self._skip_if("?"):
            return condition
        if_true = self._read_alternatives()
        self._skip_if(":")
        if_false = self.read_choice()
        return lambda context: if_true(context) if condition(context) else if_false(context)

    def _read_alternatives(self) -> Condition:
        parts = [self._read_conjunction()]
        while self._skip_if("||"):
            parts.append(self._read_conjunction())
        return parts[0] if len(parts) == 1 else lambda context: any(part(context) for part in parts)

    def _read_conjunction(self) -> Condition:
        parts = [self._read_operand()]
        while self._skip_if("&&"):
            parts.append(self._read_operand())
        return parts[0] if len(parts) == 1 else lambda context: all(part(context) for part in parts)

    def _read_operand(self) -> Condition:
        end = self._end_of_operand(self._at)
        operand = self._tokens[self._at : end]
        # `!` has a higher precedence than comparisons: `!a == b` is `(!a) == b`.
        if operand[0].is_operator("!") and not self._has_comparison(operand):
            self._at += 1
            negated = self._read_operand()
            return lambda context: not negated(context)
        if operand[0].is_operator("(") and self._matching_bracket(self._at) == end - 1:
            self._at += 1
            inner = self.read_choice()
            self._at = end
            return inner
        if len(operand) == 1 and operand[0].kind in ("text", "number"):
            raise BadFilterExpression(
                f"{operand[0].text[:50]} is a value and no condition. Compare it with a property.", at=operand[0].start
            )
        self._at = end
        return _compile_condition(self._text[operand[0].start : operand[-1].start + len(operand[-1].text)])

    def _skip_if(self, operator: str) -> bool:
        is_next = self._tokens[self._at].is_operator(operator)
        self._at += is_next
        return is_next

    def _end_of_operand(self, at: int) -> int:
        while not (self._tokens[at].kind == "end" or self._tokens[at].is_operator(*_JOINTS)):
            at = self._matching_bracket(at) + 1
        return at

    def _matching_bracket(self, at: int) -> int:
        """Return the index of the bracket that closes the one at index `at`; for another token, `at` itself."""
        depth = 0
        while True:
            depth += self._tokens[at].nesting
            if depth <= 0:
                return at
            at += 1

    @staticmethod
    def _has_comparison(operand: list[Token]) -> bool:
        depth = 0
        for token in operand:
            depth += token.nesting
            if not depth and (token.is_operator(*_RELATIONS) or (token.kind == "name" and token.text == "in")):
                return True
        return False


def _compile_condition(text: str) -> Condition:
    execute = load_cel().compile(text).execute

    def holds(context: Any) -> bool:
        try:
            return execute(context) is True
        except Exception:
            # No answer: values of other types, an index beyond a list, a number that is too large.
            return False
        except BaseException as error:
            if is_panic(error):
                return False
            raise

    return holds
