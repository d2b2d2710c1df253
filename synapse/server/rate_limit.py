"""How many requests a caller may make: a bucket of tokens for each address, and one for each key, in Redis.

One round trip counts a request, wherever it arrives; where no rate is set nothing is asked at all. When Redis does not
answer nobody is refused for that: what needs it is refused by itself, and the rest must not depend on it.
The headers are those of draft-ietf-httpapi-ratelimit-headers, 10; the status is that of RFC 6585, 4.
"""

import math
from collections.abc import Mapping
from typing import Literal

from synapse.errors.streams import TooManyRequests, Unavailable
from synapse.formats.durations import Rate
from synapse.redis import Conversation, ReplyError
from synapse.redis.commands.shared_values import Taken, take_token

Kind = Literal["address", "key"]


def take(kind: Kind, whose: str, rate: Rate) -> Conversation[Mapping[str, str]]:
    """Count a request of a caller. Return the headers that tell how much is left, none when nobody could count.

    Raises:
        TooManyRequests: when nothing is left.
    """
    try:
        (taken,) = yield [take_token(kind, whose, count=rate.count, seconds=rate.seconds)]
    except Unavailable:
        return {}
    if isinstance(taken, ReplyError):
        return {}
    headers = _headers(kind, rate, taken)
    if not taken.allowed:
        raise TooManyRequests(kind, rate, after=math.ceil(taken.again), headers=headers)
    return headers


def _headers(kind: Kind, rate: Rate, taken: Taken) -> Mapping[str, str]:
    return {
        "ratelimit-policy": f'"{kind}";q={rate.count};w={rate.seconds}',
        "ratelimit": f'"{kind}";r={taken.left};t={math.ceil(taken.full)}',
    }
