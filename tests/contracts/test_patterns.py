"""A pattern that engines which backtrack would take exponential time for is told from the ordinary ones."""

import json
import random
import shutil
import string
import subprocess

import pytest

from synapse.errors.contracts import BadSchema
from synapse.schema import ecma_patterns, regex_safety, validator
from tests.conftest import need
from tests.patience import that_ends

EXPONENTIAL = [
    "(a+)+$",
    "^(a+)+$",
    "(a*)*$",
    "(?:a+){2,}$",
    "(?<run>a+)+$",
    "(a|aa)+$",
    "^(\\w+\\s?)*$",
    "^(\\s*\\w+)*$",
    "([a-z]+-?)*$",
    "(aa?)+$",
    "(ab|a|b)+$",
    "(\\d+|[0-9]x)+$",
    "(ab?c?|a)+$",
    "(?:a|a)*$",
    "(a?b?)*$",
    "(a+b?)+$",
    "(\\d{1,3},?)+$",
    "((a+)b?)*$",
    "(a|b+)*$",
    "(\\p{L}+)+$",
    "^\\w+([.-]?\\w+)*@\\w+([.-]?\\w+)*(\\.\\w{2,3})+$",
]
ORDINARY = [
    "^[a-z]+(-[a-z]+)*$",
    "^([a-z]+\\.)+[a-z]+$",
    "^(\\d{3},?)+$",
    "^(foo|bar|baz|barn)+$",
    "^([A-Z][a-z]+|[A-Z][0-9])+$",
    "^(ab|ac)+$",
    "^[\\w.-]+@([\\w-]+\\.)+[\\w-]{2,}$",
    "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
    "^(\\d+|\\d+-\\d+)(,(\\d+|\\d+-\\d+))*$",
    "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    "^(?:0|[1-9]\\d*)(?:\\.(?:0|[1-9]\\d*)){2}(?:-[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?$",
    "^P(?:\\d+[YMWD])*(?:T(?:\\d+[HMS])+)?$",
    "^(/[^/]+)*/?$",
    "^[^\\s]+(\\s[^\\s]+)*$",
    "^\\p{Lu}\\P{N}*$",
    "^a+b+$",
    ".*",
    "^x-",
]


@pytest.mark.parametrize("pattern", EXPONENTIAL)
def test_a_pattern_whose_turns_can_be_cut_in_several_ways_is_found(pattern):
    assert regex_safety.is_exponential(pattern)


@pytest.mark.parametrize("pattern", ORDINARY)
def test_an_ordinary_pattern_is_not(pattern):
    assert not regex_safety.is_exponential(pattern)


PLACES = {
    "/properties/a/pattern": {"properties": {"a": {"pattern": "(a+)+$"}}},
    "/$defs/default/pattern": {"$defs": {"default": {"pattern": "(a+)+$"}}},
    "/items/1/pattern": {"items": [{}, {"pattern": "(a+)+$"}]},
    "/anyOf/0/not/pattern": {"anyOf": [{"not": {"pattern": "(a+)+$"}}]},
    "/patternProperties/(a+)+~1": {"patternProperties": {"(a+)+/": {}}},
}


@pytest.mark.parametrize(("place", "document"), PLACES.items())
def test_an_exponential_pattern_is_refused_with_its_place(place, document):
    with pytest.raises(BadSchema, match="exponential time") as refused:
        regex_safety.refuse_exponential(document)

    assert refused.value.members["pointer"] == place


def test_strings_that_are_no_patterns_are_not_checked():
    regex_safety.refuse_exponential(
        {
            "properties": {"pattern": {"const": {"pattern": "(a+)+$"}}},
            "enum": [{"pattern": "(a+)+$"}],
            "title": "(a+)+$",
        }
    )


@pytest.mark.parametrize(
    "pattern", ["(a?)" * 8000, "(" + "a?" * 16000 + ")+", "(" + "a|b" * 16000 + ")+", "ab" * 30000]
)
def test_a_long_pattern_is_judged_in_time(pattern):
    with that_ends():
        regex_safety.is_exponential(pattern)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("^{[a-z]+}$", "is written \\{"),
        ("a|{b}", "is written \\{"),
        ("^a{,3}$", "write {0,3}"),
        ("^[\\w-.]+$", "write the hyphen as \\-"),
        ("^[a-\\d]+$", "write the hyphen as \\-"),
        ("^.{1,100000}$", "100000 places"),
        ("^[^]$", "[\\s\\S]"),
        ("^(?:[a-z]|\\ud83d[\\ude00-\\ude4f])+$", "surrogate pair"),
        *((f"^[^\\p{{{name}}}]+$", "surrogate pair") for name in ("Cs", "gc=Cs", "General_Category=Surrogate")),
        ("^a(?=b)$", "look-around"),
        ("^(?<!a)b$", "look-around"),
        ("^(a)\\1$", "references to groups"),
        ("^(a$", "a group is not closed"),
        ("^\\0$", "\\x00"),
        ("^[\\b]$", "\\x08"),
        ("^[]$", "matches no character"),
    ],
)
def test_a_pattern_is_refused_with_the_reason(pattern, said):
    with pytest.raises(BadSchema) as refused:
        validator.compile_schema({"properties": {"v": {"pattern": pattern}}})

    assert said in refused.value.detail
    assert refused.value.members["pointer"] == "/properties/v/pattern"


@pytest.mark.parametrize(
    "pattern",
    [
        *("^\\Aabc\\z$", "a\\Z", "(?i)abc", "^(?i:a)b$", "(?-u:a)", "(?P<year>[0-9]{4})", "^[[:alpha:]]+$"),
        *("^a++$", "^a**$", "^a{2}{3}$", "^a???$", "^+a", "$*", "\\b+"),
        *("^\\x{41}$", "^\\U00000041$", "^\\b{start}a$", "^\\<a$", "a\\>", "^(?<a.b>c)"),
        *("^\\pL$", "^\\p{Greek}$", "^\\p{IsGreek}$", "^\\p{lu}$", "^\\P{alpha}$", "^\\p{Script=greek}$"),
        *("^[]a]$", "^]$", "^}$", "^[[a]]$", "^[a-z&&[^b]]$"),
    ],
)
@pytest.mark.parametrize("place", ["pattern", "patternProperties"])
def test_a_pattern_that_means_something_else_in_ecma_262_is_refused(pattern, place):
    document = {"pattern": pattern} if place == "pattern" else {"patternProperties": {pattern: {}}}

    with pytest.raises(BadSchema, match="is no ECMA 262") as refused:
        regex_safety.refuse_foreign(document)

    assert refused.value.members["pointer"].startswith(f"/{place}")


@pytest.mark.parametrize(
    "pattern",
    [
        *(
            "^\\\\Abc$",
            "^(?:i|a)$",
            "(?<year>[0-9]{4})",
            "^\\(?i:$",
            "^[A-Za-z]$",
            "^\\{a\\}$",
            "^x{2}$",
            "[\\w.-]",
            "^$",
        ),
        *(
            "^\\@\\-\\_\\#\\'$",
            "^[\\@\\-\\_]$",
            "^a{2}?(?:b{3}){4}$",
            "^[[a]$",
            "^[a&&b]$",
            "^\\p{Script=Greek}\\P{Lu}$",
            "()+|",
        ),
    ],
)
def test_a_pattern_that_looks_like_one_of_another_language_is_taken(pattern):
    document = {"pattern": pattern}

    validator.compile_schema(document)
    regex_safety.refuse_foreign(document)


# What is put together at random to patterns, of which about a third is of the grammar.
PIECES = [
    *("a", "b", "z", "é", "0", "9", "-", ",", ":", "=", "!", "<", ">", "_", "&&", "(", ")", ")", "(?:", "(?=", "(?<!"),
    *(
        "[",
        "[^",
        "]",
        "]",
        "[a-z]",
        "[^\\d]",
        "{",
        "}",
        "{2}",
        "{2,}",
        "{1,3}",
        "{3,1}",
        "{,2}",
        "*",
        "+",
        "?",
        "|",
        "^",
        "$",
    ),
    *(
        "\\",
        "\\d",
        "\\W",
        "\\b",
        "\\B",
        "\\n",
        "\\cA",
        "\\c",
        "\\0",
        "\\00",
        "\\1",
        "\\x41",
        "\\x4",
        "\\u0041",
        "\\u{1F600}",
    ),
    *(
        "\\u{110000}",
        "\\ud83d\\ude00",
        "\\ud83d",
        "\\p{L}",
        "\\P{Lu}",
        "\\p{lu}",
        "\\pL",
        "\\p{Script=Greek}",
        "\\p{Greek}",
    ),
    *(
        "\\p{sc=Grek}",
        "\\p{gc=Nd}",
        "\\p{Alpha}",
        "\\/",
        "\\.",
        "\\]",
        "\\-",
        "\\A",
        "\\z",
        "\\e",
        "\\k<n>",
        "(?<n>",
        "(?P<n>",
        "(?#",
    ),
]
PROPERTIES = sorted(ecma_patterns._GENERAL_CATEGORIES | ecma_patterns._BINARY_PROPERTIES)
NODE = """
const patterns = JSON.parse(require("fs").readFileSync(0))
const is = pattern => { try { new RegExp(pattern, "u"); return true } catch { return false } }
console.log(JSON.stringify(patterns.map(is)))
"""


def test_the_grammar_is_that_of_javascript_with_the_flag_u(monkeypatch):
    chance = random.Random(262)
    patterns = ["".join(chance.choices(PIECES, k=chance.randint(1, 6))) for _ in range(8000)]
    patterns += [f"\\p{{{name}}}" for name in PROPERTIES] + [f"^\\{letter}" for letter in string.printable]

    need(shutil.which("node"), "Node")
    asked = subprocess.run(["node", "-e", NODE], input=json.dumps(patterns), capture_output=True, text=True, check=True)
    said = json.loads(asked.stdout)

    monkeypatch.setattr(ecma_patterns, "HARMLESS_ESCAPES", frozenset())
    assert sum(said) > 1500
    assert [text for text, is_right in zip(patterns, said, strict=True) if is_of_the_grammar(text) != is_right] == []


def is_of_the_grammar(pattern: str) -> bool:
    try:
        ecma_patterns.parts_beyond_the_engine(pattern)
    except ecma_patterns.NotEcma:
        return False
    return True


@pytest.mark.parametrize(
    "pattern", ["(" * 30_000, "(?:" * 20_000 + ")" * 20_000, "[" * 60_000, "a{" + "9" * 60_000 + "}"]
)
def test_a_long_pattern_is_read_in_time(pattern):
    with that_ends():
        is_of_the_grammar(pattern)
