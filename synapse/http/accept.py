"""Choose the form of a response by the header `Accept` of its request (RFC 9110, 12.5.1)."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from synapse.problems import NotAcceptable

_QUALITY = re.compile(r"0(?:\.[0-9]*)?|1(?:\.0*)?")
# Limits: the headers that are cached (clients send one of a few with each request), and the characters of a header that
# are read.
_KEPT, _MOST_READ = 256, 1000


class MediaRange(NamedTuple):
    """One media range of a header, in lower case: `type/subtype`, `type/*` or `*/*`.

    Attributes:
        parameters: those before the quality, such as `version=1.0.0`.
        quality: from 0 to 1; 0: not acceptable.
    """

    name: str
    parameters: frozenset[tuple[str, str]] = frozenset()
    quality: float = 1.0

    def specificity(self, offer: "MediaRange") -> int:
        """Return the specificity with which the range matches an offered media type: 0 when it does not match."""
        if self.name == offer.name and self.parameters <= offer.parameters:
            return 3 + len(self.parameters)
        if self.name == offer.name.partition("/")[0] + "/*":
            return 2
        return int(self.name == "*/*")


def media_ranges(accept: str) -> Sequence[MediaRange]:
    """Return the media ranges of a header in order, without malformed ones.

    A malformed quality counts as 1, since the client named the media type. Ranges behind the first thousand characters
    are ignored.
    """
    return _parse_ranges(_limit_length(accept))


@lru_cache(maxsize=_KEPT)
def _parse_ranges(accept: str) -> Sequence[MediaRange]:
    found = map(_parse_range, split_unquoted(accept, ","))
    return tuple(each for each in found if each.name.count("/") == 1)


def _limit_length(accept: str) -> str:
    """Return a header, cut after a range if it is too long."""
    return accept if len(accept) <= _MOST_READ else accept[:_MOST_READ].rpartition(",")[0]


def choose(accept: str, offers: Sequence[str]) -> str | None:
    """Return the offered media type that a client prefers; None when it accepts none of them.

    The most specific range that matches an offer decides its quality. The offer with the highest quality is chosen;
    among equal ones the most specifically named, then the first, because clients often end the header with `*/*`.
    Without a media range in the header, it is the first offer.
    """
    return _choose_cached(_limit_length(accept), tuple(offers))


@lru_cache(maxsize=_KEPT)
def _choose_cached(accept: str, offers: tuple[str, ...]) -> str | None:
    ranges = media_ranges(accept)
    if not ranges:
        return offers[0]
    ranks = [_rank(ranges, _parse_range(offer)) for offer in offers]
    best = max(ranks)
    return offers[ranks.index(best)] if best[0] else None


def form_of(accept: str, offers: Sequence[str]) -> str:
    """Return the media type of the answer: the offer that the client prefers, or the first that it does not refuse.

    Clients name the types that they prefer, such as `text/html`, but accept others (RFC 9110, 12.4.1).

    Raises:
        NotAcceptable: when the client refuses all offers with a quality of 0.
    """
    found = choose(accept, offers) or next((each for each in offers if not refuses(accept, each)), None)
    if found is None:
        raise NotAcceptable(offers)
    return found


def refuses(accept: str, offer: str) -> bool:
    """Say whether a header refuses a media type with a quality of 0, by its name or a wildcard."""
    quality, specificity = _rank(media_ranges(accept), _parse_range(offer))
    return bool(specificity) and not quality


def accepts_by_name(accept: str, media_type: str) -> bool:
    """Say whether a header accepts a media type by its name, and not only by a wildcard."""
    quality, specificity = _rank(media_ranges(accept), _parse_range(media_type))
    return quality > 0 and specificity >= 3


def _rank(ranges: Sequence[MediaRange], offer: MediaRange) -> tuple[float, int]:
    """Return the quality of an offer, and the specificity of the range that decides it."""
    specificity, quality = max(((each.specificity(offer), each.quality) for each in ranges), default=(0, 0.0))
    return (quality, specificity) if specificity else (0.0, 0)


def _parse_range(text: str) -> MediaRange:
    name, *parts = (part.strip() for part in split_unquoted(text.lower(), ";"))
    parameters: set[tuple[str, str]] = set()
    for part in parts:
        key, _, value = (each.strip() for each in part.partition("="))
        if key == "q":
            quality = float(value) if _QUALITY.fullmatch(value) else 1.0
            return MediaRange(name, frozenset(parameters), quality)
        # JSON has no charset; some clients name one (RFC 8259, 11).
        if key and not (key == "charset" and name.endswith("json")):
            parameters.add((key, value.strip('"')))
    return MediaRange(name, frozenset(parameters))


def split_unquoted(text: str, separator: str) -> list[str]:
    """Split a text at a character, except within quoted strings (RFC 9110, 5.6.4)."""
    if '"' not in text:
        return text.split(separator)
    parts, begin, is_quoted, is_escaped = [], 0, False, False
    for at, character in enumerate(text):
        if is_escaped:
            is_escaped = False
        elif character == '"':
            is_quoted = not is_quoted
        elif is_quoted:
            is_escaped = character == "\\"
        elif character == separator:
            parts.append(text[begin:at])
            begin = at + 1
    return [*parts, text[begin:]]
