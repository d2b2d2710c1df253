"""The grammar of patterns: ECMA 262 (2024), 22.2.1, with the flag `u`.

JSON Schema recommends such patterns (2020-12 core, 6.4), because validators in every language use a schema. The parser
is written by hand, because the existing ones are programs in JavaScript. It differs from the grammar in one point: it
accepts a needless backslash before punctuation, as in `\\@` and `\\-`, because engines without the flag read it alike,
and many schemas have it. It does not accept `\\<` and `\\>`, which mean the ends of a word in other engines.

The validator's regex engine, written in Rust, reads `.`, `\\b` and `\\B` differently. `engine_form` rewrites them so
that they mean what ECMA 262 says.
"""

import re
import string
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote

_SYNTAX_CHARACTERS = frozenset("^$\\.*+?()[]{}|/")
HARMLESS_ESCAPES = frozenset(string.punctuation) - frozenset("<>")
"""Where the grammar is departed from: what engines read alike after a backslash, although it needs none."""
_CONTROL_ESCAPES = {"f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09, "v": 0x0B}
_COUNTS = re.compile(r"\{([0-9]+)(?:(,)([0-9]*))?\}")
_GROUP_START = re.compile(r"\((?:\?(?:(?P<look>=|!|<=|<!)|:|<(?P<name>[^>]*)>))?")
_CODE_POINT = re.compile(r"u(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{4}))|x([0-9A-Fa-f]{2})|c([A-Za-z])")
PROPERTY = re.compile(r"[pP]\{(?:(\w+)=)?(\w+)\}", re.ASCII)
# The engine knows the scripts, but would accept their names in any spelling.
_SCRIPT = re.compile(r"[A-Z][a-z]+(?:_[A-Z][a-z]+)*|SignWriting")
_CATEGORY_NAMES = """
    C Cc Cf Close_Punctuation Cn Co Combining_Mark Connector_Punctuation Control Cs Currency_Symbol Cased_Letter
    Dash_Punctuation Decimal_Number Enclosing_Mark Final_Punctuation Format Initial_Punctuation L LC Letter
    Letter_Number Line_Separator Ll Lm Lo Lowercase_Letter Lt Lu M Mark Math_Symbol Mc Me Mn Modifier_Letter
    Modifier_Symbol N Nd Nl No Nonspacing_Mark Number Open_Punctuation Other Other_Letter Other_Number
    Other_Punctuation Other_Symbol P Paragraph_Separator Pc Pd Pe Pf Pi Po Private_Use Ps Punctuation S Sc Separator
    Sk Sm So Space_Separator Spacing_Mark Surrogate Symbol Titlecase_Letter Unassigned Uppercase_Letter Z Zl Zp Zs
    cntrl digit punct
"""
_PROPERTY_NAMES = """
    AHex ASCII ASCII_Hex_Digit Alpha Alphabetic Any Assigned Bidi_C Bidi_Control Bidi_M Bidi_Mirrored CI CWCF CWCM
    CWKCF CWL CWT CWU Case_Ignorable Cased Changes_When_Casefolded Changes_When_Casemapped Changes_When_Lowercased
    Changes_When_NFKC_Casefolded Changes_When_Titlecased Changes_When_Uppercased DI Dash Default_Ignorable_Code_Point
    Dep Deprecated Dia Diacritic EBase EComp EMod EPres Emoji Emoji_Component Emoji_Modifier Emoji_Modifier_Base
    Emoji_Presentation ExtPict Ext Extended_Pictographic Extender Gr_Base Gr_Ext Grapheme_Base Grapheme_Extend Hex
    Hex_Digit IDC IDS IDSB IDST IDS_Binary_Operator IDS_Trinary_Operator ID_Continue ID_Start Ideo Ideographic Join_C
    Join_Control LOE Logical_Order_Exception Lower Lowercase Math NChar Noncharacter_Code_Point Pat_Syn Pat_WS
    Pattern_Syntax Pattern_White_Space QMark Quotation_Mark RI Radical Regional_Indicator SD STerm Sentence_Terminal
    Soft_Dotted Term Terminal_Punctuation UIdeo Unified_Ideograph Upper Uppercase VS Variation_Selector White_Space
    XIDC XIDS XID_Continue XID_Start space
"""
_GENERAL_CATEGORIES = frozenset(_CATEGORY_NAMES.split())
_BINARY_PROPERTIES = frozenset(_PROPERTY_NAMES.split())
# The replacements for escapes of other languages.
_INSTEAD = {
    **dict.fromkeys("AzZG", "write ^ and $ for the beginning and the end"),
    **dict.fromkeys("UoN", "write the code point as \\u{41}"),
    **dict.fromkeys("<>", "write \\b for the ends of a word, and < and > without a backslash"),
    "a": "write \\x07",
    "e": "write \\x1B",
    "h": "write [ \\t]",
    "R": "write (?:\\r\\n|[\\n\\r])",
}

LOOK_AROUND = "look-around is not taken, because it cannot be matched in linear time"
REFERENCE = "references to groups are not taken, because they cannot be matched in linear time"
SURROGATE = "half of a surrogate pair stands for no character: write the code point, as \\u{1F600}"
_SURROGATES = frozenset({"Cs", "Surrogate"})
_UNKNOWN_PROPERTIES = frozenset({"CWKCF", "Changes_When_NFKC_Casefolded"})
_ENGINE_FORMS = {".": r"[^\n-\n\r-\r\u2028-\u2029]", r"\b": r"(?-u:\b)", r"\B": r"(?-u:\B)"}
"""Forms that the engine reads as ECMA 262 reads the keys: each character but line terminators (12.3), and an end of a
word of `\\w` (22.2.2.4). No author writes so: it takes pains in the first, and the others are not of the grammar."""
# The forms in texts and, quoted, in references. All contain a hyphen.
_AUTHOR_FORMS = tuple(
    pair for theirs, ours in _ENGINE_FORMS.items() for pair in ((ours, theirs), (quote(ours), quote(theirs)))
)
_MAY_DIFFER = re.compile(r"\.|\\[bB]")


class NotEcma(ValueError):
    """A pattern does not conform to the grammar. The text says where, and what to write instead."""


def parts_beyond_the_engine(pattern: str) -> list[str]:
    """Return the reasons why the engine does not accept a pattern that conforms to the grammar, one for each such part.

    Raises:
        NotEcma: when the pattern does not conform to the grammar.
    """
    return _Parser(pattern).parse()


def engine_form(pattern: str, *, with_flags: bool = True) -> str:
    """Return a pattern in the form in which the engine matches what ECMA 262 says.

    The result is the pattern itself if that makes no difference, or if the pattern does not conform to the grammar.
    Without flags, `\\b` and `\\B` stay unchanged, because the meta-schemas of drafts 4 to 7 refuse the engine's form.
    """
    if not _MAY_DIFFER.search(pattern):
        return pattern
    form = _engine_form(pattern, with_flags=with_flags)
    return pattern if form == pattern else form


def author_form(text: str) -> str:
    """Return a text from the engine with patterns as their authors wrote them."""
    if "-" in text:
        for ours, theirs in _AUTHOR_FORMS:
            text = text.replace(ours, theirs)
    return text


def author_path(path: Iterable[str | int]) -> tuple[str | int, ...]:
    """Return a path into a schema with the names of `patternProperties` as their author wrote them."""
    return tuple([author_form(step) if type(step) is str and "-" in step else step for step in path])


@lru_cache(maxsize=4096)
def _engine_form(pattern: str, *, with_flags: bool) -> str:
    reader = _Parser(pattern)
    try:
        if reader.parse():
            return pattern
    except NotEcma:
        return pattern
    written, end = "", 0
    for start, part in reader.differing:
        written += pattern[end:start] + (_ENGINE_FORMS[part] if with_flags or part == "." else part)
        end = start + len(part)
    return written + pattern[end:]


class _Parser:
    """Parses a pattern from left to right. Groups are counted rather than parsed recursively, because a pattern may
    have thousands.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.beyond: list[str] = []
        # The parts that the engine reads differently, and where they begin.
        self.differing: list[tuple[int, str]] = []
        self.can_repeat = False
        # Whether each open group may be repeated; look-around may not.
        self.is_open: list[bool] = []
        self.names: set[str] = set()
        self.groups = 0
        self.references: list[str | int] = []

    def parse(self) -> list[str]:
        """Parse the pattern. Return the reasons why the engine does not accept it although it conforms to the
        grammar.
        """
        while self.at < len(self.pattern):
            self.can_repeat = self._parse_term()
        if self.is_open:
            raise NotEcma("a group is not closed; a parenthesis of the text is written \\(")
        for name in self.references:
            if not (name in self.names if isinstance(name, str) else name <= self.groups):
                raise NotEcma(f"it refers to the group “{name}”, which it does not have")
        return self.beyond

    def _parse_term(self) -> bool:
        """Parse one term. Return whether it can be repeated."""
        letter = self.pattern[self.at]
        match letter:
            case "(":
                self._open_group()
                return False
            case "*" | "+" | "?" | "{":
                self._parse_repetition()
                return False
            case "[":
                self._parse_class()
                return True
            case "\\":
                escape = self.pattern[self.at : self.at + 2]
                is_anchor = escape in (r"\b", r"\B")
                if is_anchor:
                    self.differing.append((self.at, escape))
                self._parse_escape(in_class=False)
                return not is_anchor
            case "]" | "}":
                raise NotEcma(self._lone_bracket(letter))
        if letter == ".":
            self.differing.append((self.at, letter))
        self.at += 1
        if letter == ")":
            if not self.is_open:
                raise NotEcma("a group is closed that was not opened; the parenthesis is written \\)")
            return self.is_open.pop()
        return letter not in "|^$"

    def _open_group(self) -> None:
        found = _GROUP_START.match(self.pattern, self.at)
        self.at = found.end() if found else self.at + 1
        if found is None or self.pattern.startswith("?", self.at):
            raise NotEcma(self._foreign_group())
        self.is_open.append(not found["look"])
        if found["look"]:
            self.beyond.append(LOOK_AROUND)
            return
        name = found["name"]
        if name is not None:
            if not name.replace("$", "_").isidentifier() or name in self.names:
                raise NotEcma(f"“{name}” cannot be the name of a group, or names two")
            self.names.add(name)
            if "$" in name:
                self.beyond.append("the name of a group is taken without “$”")
        self.groups += found[0] != "(?:"

    def _foreign_group(self) -> str:
        rest = self.pattern[self.at : self.at + 40]
        if rest.startswith(("?P<", "?'")):
            return "a group is named (?<name>…)"
        if re.match(r"\?[a-zA-Z^-]+[:)]", rest):
            return "there are no flags in a pattern before ECMA 262 of 2025: write both cases, as [aA]"
        return f"“({rest[:3]}” begins no group"

    def _lone_bracket(self, letter: str) -> str:
        reason = f"“{letter}” that closes nothing is written \\{letter}"
        if self.pattern.endswith(":]", 0, self.at):
            return f"{reason}; there are no POSIX classes: write [A-Za-z] and the like"
        return f"{reason}; a class ends at the first “]” and holds no other class" if letter == "]" else reason

    def _parse_repetition(self) -> None:
        found = _COUNTS.match(self.pattern, self.at)
        if self.pattern[self.at] == "{" and found is None:
            if re.compile(r"\{,[0-9]+\}").match(self.pattern, self.at):
                raise NotEcma("a repetition has a lower bound: write {0,3} in place of {,3}")
            raise NotEcma("a brace that repeats nothing is written \\{")
        shown = found[0] if found else self.pattern[self.at]
        if not self.can_repeat:
            raise NotEcma(
                f"“{shown}” has nothing to repeat here; a repetition or an anchor is repeated as a group, (?:…), for "
                "“a++” is possessive in some languages"
            )
        if found and found[3] and _by_size(found[1]) > _by_size(found[3]):
            raise NotEcma(f"the bounds of the repetition “{shown}” are the wrong way round")
        self.at += len(shown)
        if self.pattern.startswith("?", self.at):
            self.at += 1

    def _parse_class(self) -> None:
        start = self.at
        self.at += 1
        if self.pattern.startswith("^", self.at):
            self.at += 1
        if self.pattern.startswith("]", self.at):
            self.beyond.append(
                "“[^]” (any character) is written [\\s\\S]"
                if self.pattern[self.at - 1] == "^"
                else "“[]” matches no character; a bracket in a class is written \\]"
            )
        while not self.pattern.startswith("]", self.at):
            first = self._class_atom(start)
            if not self.pattern.startswith("-", self.at) or self.pattern.startswith("-]", self.at):
                continue
            self.at += 1
            last = self._class_atom(start)
            if first is None or last is None:
                raise NotEcma("a range cannot begin or end with a class: write the hyphen as \\-")
            if first > last:
                raise NotEcma(f"the range “{chr(first)}-{chr(last)}” is the wrong way round")
        self.at += 1

    def _class_atom(self, start: int) -> int | None:
        if self.at >= len(self.pattern):
            raise NotEcma(f"the class “{self.pattern[start : start + 20]}” is not closed; a bracket is written \\[")
        if self.pattern[self.at] == "\\":
            return self._parse_escape(in_class=True)
        self.at += 1
        return ord(self.pattern[self.at - 1])

    def _parse_escape(self, *, in_class: bool) -> int | None:
        """Parse an escape. Return the code point that it stands for, None when it stands for a class or an
        assertion.
        """
        self.at += 1
        letter = self.pattern[self.at : self.at + 1]
        if letter in ("x", "u", "c"):
            return self._code_point()
        if letter in ("p", "P"):
            self._parse_property()
            return None
        if letter == "k" or (letter.isdecimal() and letter != "0"):
            self._parse_reference(letter, in_class=in_class)
            return None
        self.at += 1
        if letter in _CONTROL_ESCAPES:
            return _CONTROL_ESCAPES[letter]
        if letter == "0" and not self.pattern[self.at : self.at + 1].isdecimal():
            self.beyond.append("“\\0” is written \\x00")
            return 0
        if letter and letter in "dDsSwW":
            return None
        if letter == "b" or (letter == "B" and not in_class):
            if in_class:
                self.beyond.append("“[\\b]” (backspace) is written [\\x08]")
                return 0x08
            if self.pattern.startswith("{", self.at):
                raise NotEcma("“\\b{” is not the end of a word: write \\b")
            return None
        if letter in _SYNTAX_CHARACTERS or letter in HARMLESS_ESCAPES or (in_class and letter == "-"):
            return ord(letter)
        instead = _INSTEAD.get(letter, "leave out the backslash where the character is meant")
        raise NotEcma(f"“\\{letter}” is no escape: {instead}" if letter else "it ends with a backslash")

    def _code_point(self) -> int:
        found = _CODE_POINT.match(self.pattern, self.at)
        if found is None:
            raise NotEcma(
                f"“\\{self.pattern[self.at : self.at + 6]}” is no code point: write \\x41, \\u0041 or \\u{{1F600}}"
            )
        self.at = found.end()
        if found[4]:
            return ord(found[4]) % 32
        braced = (found[1] or "").lstrip("0")
        point = int(found[2] or found[3] or braced[:8] or "0", 16)
        if point > 0x10FFFF:
            raise NotEcma(f"“\\{found[0][:12]}” is beyond the last code point, \\u{{10FFFF}}")
        if 0xD800 <= point <= 0xDFFF:
            self.beyond.append(SURROGATE)
            low = re.compile(r"\\u([dD][c-fC-F][0-9A-Fa-f]{2})").match(self.pattern, self.at)
            if found[2] and point < 0xDC00 and low:
                self.at = low.end()
                return 0x10000 + ((point - 0xD800) << 10) + int(low[1], 16) - 0xDC00
        return point

    def _parse_property(self) -> None:
        found = PROPERTY.match(self.pattern, self.at)
        if found is None:
            raise NotEcma("“\\p” names a property in braces, as \\p{L} and \\p{Script=Greek}")
        self.at = found.end()
        kind, value = found.groups()
        match kind:
            case None:
                is_known = value in _GENERAL_CATEGORIES or value in _BINARY_PROPERTIES
            case "General_Category" | "gc":
                is_known = value in _GENERAL_CATEGORIES
            case "Script" | "sc" | "Script_Extensions" | "scx":
                is_known = _SCRIPT.fullmatch(value) is not None
            case _:
                is_known = False
        if not is_known:
            raise NotEcma(
                f"“\\{found[0]}” names no property as Unicode spells it: a category is written \\p{{Lu}}, a script "
                "\\p{Script=Greek}"
            )
        if value in _SURROGATES:
            self.beyond.append(SURROGATE)
        if value in _UNKNOWN_PROPERTIES:
            self.beyond.append(f"the validator does not know the property “{value}”")

    def _parse_reference(self, letter: str, *, in_class: bool) -> None:
        found = re.compile(r"k<([^>]*)>|([1-9][0-9]*)").match(self.pattern, self.at)
        if found is None or in_class:
            raise NotEcma(f"“\\{letter}” is no escape here: a group is referred to as \\k<name> or \\1")
        self.at = found.end()
        self.references.append(int(found[2][:9]) if found[2] else found[1])
        self.beyond.append(REFERENCE)


def _by_size(digits: str) -> tuple[int, str]:
    """Return the sort key that orders decimal numbers of any length."""
    digits = digits.lstrip("0")
    return len(digits), digits
