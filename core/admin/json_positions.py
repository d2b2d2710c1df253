"""Where in a JSON text a value stands. Pure."""

import json
import re
from collections.abc import Iterator

_TOKEN = re.compile(r'[ \t\r\n]*("(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+)')


def line_of(text: str, pointer: str) -> int | None:
    """Return the line, from 1, of the value that a JSON Pointer (RFC 6901) names; of an object's member, its name's.

    Of a value that is not there it is the line of the nearest one around it. None when the text is not JSON.
    """
    wanted = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    try:
        place = _find(_tokens(text), wanted)
    except (StopIteration, ValueError):
        return None
    return text.count("\n", 0, place) + 1


def _find(tokens: Iterator[tuple[int, str]], wanted: list[str]) -> int:
    """Return the place of the value, or of the member that holds it, by walking down to it."""
    place, word = next(tokens)
    best = place
    for part in wanted:
        if word not in ("{", "["):
            return best
        found = _enter(tokens, word, part)
        if found is None:
            return best
        best, word = found
    return best


def _enter(tokens: Iterator[tuple[int, str]], opening: str, part: str) -> tuple[int, str] | None:
    """Go on to the value of a part; return its place (of a member, its name's) and its first word."""
    index = 0
    while True:
        place, word = next(tokens)
        if word in "}]":
            return None
        if word in ",":
            continue
        name = str(index)
        start = place
        if opening == "{":
            name = _string(word)
            _expect(next(tokens)[1], ":")
            _, word = next(tokens)
        if name == part:
            return start, word
        _skip(tokens, word)
        index += 1


def _skip(tokens: Iterator[tuple[int, str]], word: str) -> None:
    depth = word in ("{", "[")
    left = int(depth)
    while left:
        _, word = next(tokens)
        left += (word in ("{", "[")) - (word in ("}", "]"))


def _expect(word: str, wanted: str) -> None:
    if word != wanted:
        raise ValueError(f"{wanted} expected")


def _string(word: str) -> str:
    name = json.loads(word, strict=False)
    if not isinstance(name, str):
        raise ValueError("a name expected")
    return name


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    position = 0
    while match := _TOKEN.match(text, position):
        yield match.start(1), match[1]
        position = match.end()
