"""Finds words that have a plainer or a standard name: `python -m tests.plain_words`, a part of `make lint`.

Reads the documents, the strings, docstrings and comments of Python code, the comments of Lua scripts and of build
files, the templates, the names of tests, and the OpenAPI document as it is built. Code in a document (fences and
backticks) is not read: it holds names that users rely on, and output of programs.
"""

import ast
import io
import os
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
CODE = (
    *("synapse", "core", "contracts", "streams", "bridges", "alerts", "synapse_project"),
    *("chaos", "benchmarks", "client/src"),
)
# Texts of contracts, which installations have registered: another text would be another version.
PUBLISHED = "client/src/deepiri_modelkit/contracts/events/"
BUILD_FILES = ("Makefile", "Dockerfile", "*.yaml", "*.yml", "*.toml", ".env.example", ".ci/*")

# Words to avoid, as regular expressions, and words to use instead. docs/glossary.md defines the terms.
REPLACEMENTS = {
    "settle[sd]?|settling": "acknowledge",
    "owed|owes|owe": "unacknowledged, or backlog",
    "in hand": "in flight",
    "(express )?lanes?|short way": "fast path, or event loop",
    "strangers?": "anonymous caller",
    "park(s|ed|ing)?": "blocked by its key",
    "(come|came|coming|comes) again": "is delivered again, or retried",
    "reap(s|ed|ing)?": "reclaim",
    "the record of": "the audit log",
    "figures?": "statistics, metric, number or value",
    "mistakes?": "error",
    "(go|goes|going|gone|went) on": "continue",
    "whoever|whatever|whomever": "name the subject",
    "said so": "reports, or logs",
    "(lie|lies|lay|lain) in (Redis|the database)": "is stored in",
    "anew": "again",
    "heed(s|ed|ing)?": "respect, or follow",
    "sameness": "equivalence",
    "emptiness": "satisfiability",
    r"personal(?![\s-]+(data|fields))": "PII, or personal data",
    "of one's own|of its own accord": "its own",
    "no longer than that": "name the limit",
    "(stays?|leaves?|left|kept|sent|shown) as (it|they) (is|are|was|were)": "unchanged",
    "what (came|comes|became|becomes) of": "the outcome, or result, of",
    "nobody (tells|told|knows|says|hears)": "unknown, or not reported",
    "all the same": "nevertheless",
    "at a stretch": "in one piece",
    "being worked on": "in progress, or processed",
    "fares?": "status",
    "in the place of": "in place of",
    "let(s|ting)? go": "release",
    "under way": "in flight, or running",
}


def _pattern(words: str) -> re.Pattern[str]:
    spaced = words.replace(" ", r"\s+")
    return re.compile(rf"(?<![\w`./-])(?:{spaced})(?![\w`/-]|\.\w)", re.IGNORECASE)


FORBIDDEN = [
    *((_pattern(words), instead) for words, instead in REPLACEMENTS.items()),
    # A clause in place of a noun at the head of a sentence; questions and headings may begin so.
    (
        re.compile(r"(?:^|(?<=[.;:|] ))(?:Who|What)\b(?![^.;|]*\?)(?=[^.;|]*[.;])", re.MULTILINE),
        "name the subject",
    ),
    # A reference to a neighbour that the reader of one docstring does not see.
    (re.compile(r"^(?:Do|Return|Say|Yield) the same\b", re.MULTILINE), "name the action"),
]


# The first paragraph of a docstring names its subject, and has no clause in place of a noun.
_CLAUSE = re.compile(
    r"\b(?:who|whoever|whatever)\b(?![^.;|]*\?)|\bwhat (?:is|was|are|were|it|of|has|they|there)\b(?![^.;|]*\?)",
    re.IGNORECASE,
)
# A comment on a constant says which number it is.
_VAGUE_COMMENT = re.compile(r"^(?:(?:By|For) )?so (?:many|much|long|often)\b", re.IGNORECASE)
_FILLER = re.compile(
    r"^\s*(?:async )?def (test_(?:what|who|one|it|nor|they|that|there|those|nothing|nobody|whoever)_\w*)", re.MULTILINE
)


class Finding(NamedTuple):
    """One word that has a plainer name: where it is, and what to write."""

    source: str
    line: int
    word: str
    instead: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: “{self.word}”: write {self.instead}"


def find_words(source: str, text: str, first_line: int = 1) -> Iterator[Finding]:
    """Find words that have a plainer name in a text, whose first line is `first_line` of its source."""
    for pattern, instead in FORBIDDEN:
        for found in pattern.finditer(text):
            line = first_line + text.count("\n", 0, found.start())
            yield Finding(source, line, " ".join(found[0].split()), instead)


def check_document(source: str, text: str) -> Iterator[Finding]:
    """Find words in Markdown outside code and the targets of links."""
    text = re.sub(r"^( *)```.*?^\1```", _blank, text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`]*`", _blank, text)
    return find_words(source, re.sub(r"\]\([^)\n]*\)|^\[[^\]\n]*\]: .*", "]", text))


def check_python(source: str, text: str) -> Iterator[Finding]:
    """Find words in docstrings, in comments, and in strings of several words: helps, labels, errors and log lines."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield from find_words(source, _without_code(node.value), node.lineno)
        if isinstance(node, _DOCUMENTED) and (docstring := ast.get_docstring(node)):
            line = 1 if isinstance(node, ast.Module) else node.body[0].lineno
            yield from _find_clauses(source, docstring.split("\n\n")[0], line)
    for first_line, comment in _comments(text):
        yield from check_comment(source, comment, first_line)


def check_comment(source: str, text: str, first_line: int = 1) -> Iterator[Finding]:
    """Find words in a comment."""
    yield from find_words(source, _without_code(text), first_line)
    for found in _VAGUE_COMMENT.finditer(text):
        yield Finding(source, first_line, found[0], "which number, or which time, it is")


def check_hash_comments(source: str, text: str) -> Iterator[Finding]:
    """Find words in the comments of a file in which `#`, or `--` in Lua, begins one."""
    mark = "--" if source.endswith(".lua") else "#"
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.match(rf"\s*{mark}+ (.*)", line):
            yield from find_words(source, _without_code(found[1]), number)


def check_test_names(source: str, text: str) -> Iterator[Finding]:
    """Find names of tests that begin with a pronoun or another filler in place of their subject."""
    for found in _FILLER.finditer(text):
        yield Finding(
            source, 1 + text.count("\n", 0, found.start(1)), found[1], "a sentence that begins with its subject"
        )


def check_template(source: str, text: str) -> Iterator[Finding]:
    """Find words in the text of a template, outside tags and code."""
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<(script|style|code|pre)\b.*?</\1>", _blank, text, flags=re.DOTALL)
    return find_words(source, re.sub(r"<[^>]*>", _blank, text))


def check_openapi(document: Any, path: str = "") -> Iterator[Finding]:
    """Find words in the summaries, descriptions and titles of the API's document."""
    members = enumerate(document) if isinstance(document, list) else document.items()
    for name, member in members:
        if name in {"summary", "description", "title"} and isinstance(member, str):
            yield from find_words(f"openapi.json{path}/{name}", re.sub(r"`[^`\n]*`", "``", member))
        elif isinstance(member, dict | list):
            yield from check_openapi(member, f"{path}/{name}")


def check_everything() -> Iterator[Finding]:
    """Find words in all that the project tells its readers."""
    for source in _tracked("*.md"):
        yield from check_document(source, (ROOT / source).read_text())
    for source in _tracked(*(f"{folder}/*.py" for folder in CODE)):
        if "/migrations/" not in source and not source.startswith(PUBLISHED):
            yield from check_python(source, (ROOT / source).read_text())
    for source in _tracked("tests/*.py", "client/tests/*.py"):
        yield from check_test_names(source, (ROOT / source).read_text())
    for source in _tracked("*.lua", *BUILD_FILES):
        yield from check_hash_comments(source, (ROOT / source).read_text())
    for source in _tracked(*(f"{folder}/*.html" for folder in CODE)):
        yield from check_template(source, (ROOT / source).read_text())
    yield from check_openapi(_openapi_document())


def main() -> int:
    """Print each finding, and return the exit status: 1 when there is one."""
    findings = sorted(set(check_everything()))
    for finding in findings:
        print(finding)
    if findings:
        print(f"{len(findings)} words have a plainer name: see tests/plain_words.py and docs/glossary.md.")
    return bool(findings)


_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _find_clauses(source: str, text: str, first_line: int) -> Iterator[Finding]:
    for found in _CLAUSE.finditer(_without_code(text)):
        yield Finding(
            source, first_line + text.count("\n", 0, found.start()), " ".join(found[0].split()), "name the subject"
        )


def _without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "``", text)


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield the comments of Python code, each with its first line; those on neighbouring lines are one."""
    begun, block = 0, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT or re.match(r"#\s*(?:noqa|type:|pragma)", token.string):
            continue
        if block and token.start[0] != begun + len(block):
            yield begun, "\n".join(block)
            block = []
        begun = begun if block else token.start[0]
        block.append(token.string.lstrip("# "))
    if block:
        yield begun, "\n".join(block)


def _blank(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")


def _tracked(*patterns: str) -> Iterable[str]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


def _openapi_document() -> Any:
    import django
    import orjson

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from synapse_project.api_docs import document

    return orjson.loads(document().body)


if __name__ == "__main__":
    sys.exit(main())
