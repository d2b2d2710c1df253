"""`manage.py redis_acl`: print the rule of a Redis user with only the rights that Synapse needs."""

import re
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from core.templatetags.synapse import visible
from streams.management.base import AnsweringCommand
from streams.snapshot import holder
from synapse.redis.acl import rule

_USER = re.compile(r"[A-Za-z0-9._-]{1,100}")
_TO_BE_SET = ">PASSWORD"


class Command(AnsweringCommand):
    help = (
        "Print the rule of a Redis user with the rights that Synapse needs, as a command for redis-cli: put a password "
        "in place of PASSWORD. The streams are those of the catalog; run it again when there are more."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--user", default="synapse", type=_check_user_name, help="the user's name (default: synapse)"
        )
        parser.add_argument(
            "--all-streams",
            action="store_true",
            help="allow every key, so that streams can be added without changing the rule",
        )
        parser.add_argument(
            "--before-7-2", action="store_true", help="leave out what Redis before 7.2 does not know (WAITAOF)"
        )

    def answer(self, options: dict[str, Any]) -> int:
        words = rule(
            options["user"],
            holder.current().streams,
            all_streams=options["all_streams"],
            before_7_2=options["before_7_2"],
        )
        # The password goes behind `on`, before the keys.
        place = words.index("on") + 1
        self.stdout.write(visible(" ".join([*words[:place], _TO_BE_SET, *words[place:]])))
        return 0


def _check_user_name(text: str) -> str:
    if not _USER.fullmatch(text):
        raise ArgumentTypeError("a name has 1 to 100 letters, digits, and . _ -")
    return text
