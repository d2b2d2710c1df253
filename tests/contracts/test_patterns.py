"""A pattern that engines which backtrack would take exponential time for is told from the ordinary ones."""

import json
import random
import shutil
import string
import subprocess

import pytest

from synapse.compatibility import validators
from synapse.errors.contracts import BadSchema
from synapse.schema import ecma_patterns, jsonschema_engine, regex_safety, validator
from tests.chaos.profile import FULL
from tests.conftest import need
from tests.patience import that_ends
from tests.tables import for_each

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


@for_each("pattern", EXPONENTIAL)
def test_a_pattern_that_takes_exponential_time_is_found(pattern):
    assert regex_safety.is_exponential(pattern)


@for_each("pattern", ORDINARY)
def test_an_ordinary_pattern_is_not_taken_for_an_exponential_one(pattern):
    assert not regex_safety.is_exponential(pattern)


PLACES = {
    "/properties/a/pattern": {"properties": {"a": {"pattern": "(a+)+$"}}},
    "/$defs/default/pattern": {"$defs": {"default": {"pattern": "(a+)+$"}}},
    "/items/1/pattern": {"items": [{}, {"pattern": "(a+)+$"}]},
    "/anyOf/0/not/pattern": {"anyOf": [{"not": {"pattern": "(a+)+$"}}]},
    "/patternProperties/(a+)+~1": {"patternProperties": {"(a+)+/": {}}},
}


@for_each("place, document", PLACES.items())
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


# Groups of the long patterns, and the seconds of a processor that one may take: fewer in the ordinary run.
LONG, MOST_SECONDS = (8000, 10.0) if FULL else (2000, 2.0)


@for_each("pattern", ["(a?)" * LONG, "(" + "a?" * 2 * LONG + ")+", "(" + "a|b" * 2 * LONG + ")+", "ab" * 4 * LONG])
def test_a_long_pattern_is_judged_in_time(pattern):
    with that_ends(within=MOST_SECONDS):
        regex_safety.is_exponential(pattern)


@for_each(
    "pattern, said",
    [
        ("^{[a-z]+}$", "is written \\{"),
        ("a|{b}", "is written \\{"),
        ("^a{,3}$", "write {0,3}"),
        ("^[\\w-.]+$", "write the hyphen as \\-"),
        ("^[a-\\d]+$", "write the hyphen as \\-"),
        ("^.{1,100000}$", "100000 places, and it takes more than the validator's limit of 14 MiB"),
        ("^\\p{L}{1,1000}$", "1000 places, and it takes more than the validator's limit of 14 MiB"),
        ("^(\\p{L}|[\\p{N}\\p{M}]){1,500}$", "500 places"),
        ("(" * 300 + "a" + ")" * 300, "nested too deeply"),
        ("^[^\\P{Script=Foobar}]$", "does not know the property “\\P{Script=Foobar}”"),
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
        ("^\\p{CWKCF}$", "does not know the property"),
        ("(?<$a>b)", "without “$”"),
    ],
)
def test_a_pattern_is_refused_with_the_reason(pattern, said):
    with pytest.raises(BadSchema) as refused:
        validator.compile_schema({"properties": {"v": {"pattern": pattern}}})

    assert said in refused.value.detail
    assert refused.value.members["pointer"] == "/properties/v/pattern"


@for_each(
    "pattern",
    [
        *("^\\Aabc\\z$", "a\\Z", "(?i)abc", "^(?i:a)b$", "(?-u:a)", "(?P<year>[0-9]{4})", "^[[:alpha:]]+$"),
        *("^a++$", "^a**$", "^a{2}{3}$", "^a???$", "^+a", "$*", "\\b+"),
        *("^\\x{41}$", "^\\U00000041$", "^\\b{start}a$", "^\\<a$", "a\\>", "^(?<a.b>c)"),
        *("^\\pL$", "^\\p{Greek}$", "^\\p{IsGreek}$", "^\\p{lu}$", "^\\P{alpha}$", "^\\p{Script=greek}$"),
        *("^[]a]$", "^]$", "^}$", "^[[a]]$", "^[a-z&&[^b]]$"),
    ],
)
@for_each("place", ["pattern", "patternProperties"])
def test_a_pattern_that_means_something_else_in_ecma_262_is_refused(pattern, place):
    document = {"pattern": pattern} if place == "pattern" else {"patternProperties": {pattern: {}}}

    with pytest.raises(BadSchema, match="is no ECMA 262") as refused:
        regex_safety.refuse_foreign(document)

    assert refused.value.members["pointer"].startswith(f"/{place}")


@for_each(
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
SYNTAX_IN_NODE = """
const patterns = JSON.parse(require("fs").readFileSync(0))
const is = pattern => { try { new RegExp(pattern, "u"); return true } catch { return false } }
console.log(JSON.stringify(patterns.map(is)))
"""
MATCHES_IN_NODE = """
const [patterns, texts] = JSON.parse(require("fs").readFileSync(0))
const matches = pattern => { const found = new RegExp(pattern, "u"); return texts.map(text => found.test(text)) }
console.log(JSON.stringify(patterns.map(matches)))
"""


def ask_node(program, question):
    need(shutil.which("node"), "Node")
    asked = subprocess.run(
        ["node", "-e", program], input=json.dumps(question), capture_output=True, text=True, check=True
    )
    return json.loads(asked.stdout)


def test_the_grammar_is_that_of_javascript_with_the_flag_u(monkeypatch):
    chance = random.Random(262)
    patterns = ["".join(chance.choices(PIECES, k=chance.randint(1, 6))) for _ in range(8000)]
    patterns += [f"\\p{{{name}}}" for name in PROPERTIES] + [f"^\\{letter}" for letter in string.printable]

    said = ask_node(SYNTAX_IN_NODE, patterns)

    monkeypatch.setattr(ecma_patterns, "HARMLESS_ESCAPES", frozenset())
    assert sum(said) > 1500
    assert [text for text, is_right in zip(patterns, said, strict=True) if is_of_the_grammar(text) != is_right] == []


def is_of_the_grammar(pattern: str) -> bool:
    try:
        ecma_patterns.parts_beyond_the_engine(pattern)
    except ecma_patterns.NotEcma:
        return False
    return True


# What a character, a class and an anchor of ECMA 262 could be taken for by an engine of another language.
ATOMS = [
    *(
        "a",
        "_",
        "7",
        "ä",
        "\u017f",
        "\u212a",
        "😀",
        " ",
        ".",
        ".",
        ".",
        "\\.",
        "\\b",
        "\\b",
        "\\b",
        "\\B",
        "\\B",
        "^",
        "$",
    ),
    *(
        "\\d",
        "\\D",
        "\\w",
        "\\W",
        "\\s",
        "\\S",
        "[.]",
        "[^.]",
        "[\\w.]",
        "[^\\w]",
        "[^\\s]",
        "[\\s\\S]",
        "[^\\W\\d]",
        "[a-z]",
    ),
    *("[^a-z]", "[ä-\\u{1F600}]", "[-a]", "[a-]", "[+--]", "[a&&b]", "[~~a]", "[[a]", "[\\]\\[.]", "[\\^a]", "[a^]"),
    *(
        "\\x2e",
        "\\u002e",
        "\\u{2e}",
        "\\u2028",
        "\\u{1F600}",
        "\\cJ",
        "\\t",
        "\\r",
        "\\n",
        "\\v",
        "\\f",
        "[\\cM]",
        "[\\x08]",
    ),
    *(
        "\\/",
        "\\\\",
        "\\$",
        "\\^",
        "\\p{L}",
        "\\P{L}",
        "\\p{ASCII}",
        "[\\p{Nd}_]",
        "[^\\P{L}]",
        "\\p{White_Space}",
        "\\p{scx=Latn}",
    ),
]
CHARACTERS = "ab_7- \n\r\t\v\b\0.$^/\\[]&~{äſ\u212a٣😀\u0085\u00a0\u180e\u200b\u2028\u2029\ufeff"


def random_pattern(chance, depth=2):
    branches = []
    for _ in range(chance.choice((1, 1, 2))):
        terms = ""
        for _ in range(chance.randint(0, 3)):
            is_group = depth > 0 and chance.random() < 0.25
            term = f"(?:{random_pattern(chance, depth - 1)})" if is_group else chance.choice(ATOMS)
            can_repeat = term not in ("^", "$", "\\b", "\\B") and chance.random() < 0.3
            terms += term + (chance.choice(("*", "+", "?", "{1,2}", "{2,}", "*?")) if can_repeat else "")
        branches.append(terms)
    return "|".join(branches)


def test_a_pattern_matches_the_texts_that_it_matches_in_javascript():
    chance = random.Random(262)
    patterns = [*(f"^{atom}$" for atom in ATOMS), *(random_pattern(chance) for _ in range(300))]
    texts = [*CHARACTERS, *("".join(chance.choices(CHARACTERS, k=chance.randint(0, 6))) for _ in range(100))]

    said = ask_node(MATCHES_IN_NODE, [patterns, texts])

    for pattern, matches in zip(patterns, said, strict=True):
        value = validator.compile_schema({"pattern": pattern}, is_registered=True)
        name = validator.compile_schema({"patternProperties": {pattern: False}}, is_registered=True)
        assert [value.accepts(text) for text in texts] == matches, pattern
        assert [not name.accepts({text: None}) for text in texts] == matches, pattern
        assert [validators.text_matches(pattern, text) for text in texts[:40]] == matches[:40], pattern


@for_each("draft", validator.DRAFTS)
def test_a_dot_matches_no_line_terminator_and_a_boundary_is_taken_in_every_draft(draft):
    schema = {"$schema": draft, "pattern": "^.$", "patternProperties": {"^a.\\b": {"type": "integer"}}}
    compiled = validator.compile_schema(schema)

    assert [compiled.accepts(text) for text in ("ä", "\n", "\r", "\u2028", "\u2029")] == [True, *[False] * 4]
    assert [compiled.accepts({name: "text"}) for name in ("ab", "a\rb", "b")] == [False, True, True]


def test_a_violation_shows_the_pattern_as_its_author_wrote_it():
    named = {"patternProperties": {"^.\\bx?$": {"pattern": "^.\\B.$"}}}
    schema = validator.compile_schema(
        {
            "type": "object",
            **named,
            "properties": {"other": {"$ref": "#/patternProperties/%5E.%5Cbx%3F$"}},
            "propertyNames": {"pattern": "^.*$"},
        }
    )

    for event, place in (({"a": "b\r"}, "/a"), ({"other": "b\u2028"}, "/other")):
        found = [schema.findings(event)[0], schema._explainer.explain(event, limit=5)[0]]
        assert {each.as_violation().pointer for each in found} == {place}
        assert all("must match ^.\\B.$, but" in each.as_violation().message for each in found)
        assert {each.schema_path for each in found} == {("patternProperties", "^.\\bx?$", "pattern")}
    (name,) = schema.violations({"\r": "ab"})
    assert name.message.endswith('does not match "^.*$".')


def test_a_schema_whose_patterns_mean_the_same_to_the_engine_is_not_copied():
    schema = {
        "properties": {"pattern": {"pattern": "^[.a-z]+\\.$"}, "v": {"const": {"pattern": "^.$"}}},
        "patternProperties": {"^\\w+$": {"type": "string"}},
        "items": [{"enum": [{"pattern": "\\b"}]}],
    }

    assert jsonschema_engine.for_engine(schema) is schema


def test_a_value_that_looks_like_a_schema_keeps_its_pattern():
    schema = validator.compile_schema({"pattern": "^.$", "properties": {"const": {"const": {"pattern": "^.$"}}}})

    assert schema.accepts({"const": {"pattern": "^.$"}})
    assert not schema.accepts("\r")


def test_a_mark_under_a_pattern_covers_the_names_that_the_pattern_matches():
    schema = validator.compile_schema({"patternProperties": {"^a.\\B$": {"x-pii": True}}})

    assert schema.personal.of_name("aä").is_personal
    assert schema.personal.of_name("a\u2028") is None
    assert schema.personal.of_name("ab") is None


@for_each("pattern", ["(?i)^a.c$", "^\\b{start}a.$", "^.{1,10000}$", "^[[:alpha:].]+$"])
def test_a_pattern_that_was_registered_earlier_is_still_taken(pattern):
    validator.compile_schema({"pattern": pattern}, is_registered=True)


@for_each("pattern", ["(" * 30_000, "(?:" * 20_000 + ")" * 20_000, "[" * 60_000, "a{" + "9" * 60_000 + "}"])
def test_a_long_pattern_is_read_in_time(pattern):
    with that_ends():
        is_of_the_grammar(pattern)


def test_a_reference_to_a_pattern_that_is_missing_is_shown_as_its_author_wrote_it():
    with pytest.raises(BadSchema, match=r"Pointer '/patternProperties/\.%5Cb' does not exist"):
        validator.compile_schema({"properties": {"v": {"$ref": "#/patternProperties/.%5Cb"}}})
