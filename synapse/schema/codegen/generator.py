"""Generate Python code for a contract's version in a limited child process, from one bundled schema."""

import re
import subprocess
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

import orjson

from synapse.errors.contracts import NoPythonCode
from synapse.schema.codegen import safety
from synapse.schema.references import CannotFollow, Document, ReferenceResolver, Target, rewrite

_NAMES = ("$id", "id")


def bundled(document: Document, references: Mapping[str, Document]) -> dict[str, Any]:
    """Return the schema with those that it refers to among its `$defs`, and JSON Pointers as its only references.

    Raises:
        NoPythonCode: when a reference cannot be followed, or leads to a published meta-schema.
    """
    resolver = ReferenceResolver(document, references)
    places: dict[int, str] = {id(resolver.root): ""}
    waiting: list[Document] = []

    def place(target: Target, reference: str) -> str:
        if target.document is None:
            raise NoPythonCode(f"Its “$ref” leads to a meta-schema, “{reference[:200]}”.")
        if id(target.document) not in places:
            places[id(target.document)] = f"/$defs/reference_{len(places)}"
            waiting.append(target.document)
        return f"#{places[id(target.document)]}{target.fragment}"

    def change(part: Document) -> Document:
        # By its address, a part could be asked for where it is not.
        made = {key: each for key, each in part.items() if key not in _NAMES or not isinstance(each, str)}
        try:
            followed = {word: resolver.resolve(part, word)[0] for word in resolver.keywords(part)}
        except CannotFollow as error:
            raise NoPythonCode(str(error)) from None
        for word, target in followed.items():
            del made[word]
            made["$ref"] = place(target, part[word])
        return made

    bundle: dict[str, Any] = rewrite(resolver.root, change)
    added = {}
    for each in waiting:  # grows while it is walked
        added[places[id(each)].rpartition("/")[2]] = rewrite(each, change)
    return {**bundle, "$defs": {**bundle.get("$defs", {}), **added}} if added else bundle


# Mostly it takes two, and longer where the machine is busy; a page may wait so long.
LONGEST_SECONDS = 30
# How many modules are kept, and how many characters one may have: some 4 MiB at the most.
_MOST_KEPT = 64
_LARGEST_KEPT = 64 * 1024
_WRITER = Path(__file__).with_name("program.py")
_NO_WORD = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Code, and the name of the file that it is a module in."""

    file_name: str
    text: str


def make(
    subject: str,
    number: int,
    document: Mapping[str, Any],
    references: Mapping[str, Mapping[str, Any]],
    *,
    seconds: float = LONGEST_SECONDS,
) -> Code:
    """Return a module with a Pydantic model of the events that keep a version of a contract.

    A program of its own makes it, without network, and is ended after `seconds`.

    Raises:
        NoPythonCode: when none can be made of this schema, or not in time.
    """
    schema = safety.plain_schema(bundled(document, references))
    asked = orjson.dumps({"schema": schema, "class_name": class_name(subject)})
    code = _cache.get(asked)
    if code is None:
        code = _written(asked, seconds)
        safety.check(code)
        _cache.put(asked, code)
    head = f"# What events must look like: version {number} of the contract {subject!a}.\n"
    return Code(file_name=f"{module_name(subject)}_v{number}.py", text=f"{head}{code.lstrip()}")


class _CodeCache:
    """The code that was asked for last, by what the generator was given: a version never changes."""

    def __init__(self) -> None:
        self._codes: OrderedDict[bytes, str] = OrderedDict()
        self._lock = Lock()

    def get(self, asked: bytes) -> str | None:
        with self._lock:
            code = self._codes.get(sha256(asked).digest())
            if code is not None:
                self._codes.move_to_end(sha256(asked).digest())
            return code

    def put(self, asked: bytes, code: str) -> None:
        """Keep code, unless it is so large that a few like it would fill the memory."""
        if len(code) > _LARGEST_KEPT:
            return
        with self._lock:
            self._codes[sha256(asked).digest()] = code
            if len(self._codes) > _MOST_KEPT:
                self._codes.popitem(last=False)


_cache = _CodeCache()


def _written(asked: bytes, seconds: float) -> str:
    """Return the code that the generator writes in a process of its own."""
    with tempfile.TemporaryDirectory() as empty:
        try:
            # Isolated: neither the folder it runs in nor the environment says where modules are.
            done = subprocess.run(  # noqa: S603  # our own program; the schema goes to its standard input
                [sys.executable, "-I", str(_WRITER)],
                input=asked,
                check=False,
                capture_output=True,
                cwd=empty,
                env={},
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            raise NoPythonCode(f"Writing the code took more than {seconds:g} seconds.") from None
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip() if done.returncode == 1 else "it took too much"
        raise NoPythonCode(f"The code generator gave up: {reason[-300:]}.")
    return done.stdout.decode()


def class_name(subject: str) -> str:
    """Return what the model of a subject's events is called: of `orders.order-placed` it is `OrderPlaced`."""
    words = _words(subject.rpartition(".")[2]) or _words(subject)
    name = "".join(word[:1].upper() + word[1:] for word in words)
    return name if name[:1].isalpha() else f"Event{name}"


def module_name(subject: str) -> str:
    """Return what the module is called: of `orders.order-placed` it is `orders_order_placed`."""
    name = "_".join(_words(subject)).lower()[:100]
    return name if name[:1].isalpha() else f"event_{name}".rstrip("_")


def _words(text: str) -> list[str]:
    return [word for word in _NO_WORD.split(text) if word]
