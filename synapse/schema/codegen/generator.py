"""Generating Python code for a version of a contract in a limited child process, from one bundled schema."""

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


def bundle_schema(document: Document, references: Mapping[str, Document]) -> dict[str, Any]:
    """Return the schema with the schemas that it refers to among its `$defs`, and with JSON Pointers as its only
    references.

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
        # A part could be looked up by its address, which is no longer valid in the bundle.
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
    for each in waiting:  # the list grows during the loop
        added[places[id(each)].rpartition("/")[2]] = rewrite(each, change)
    return {**bundle, "$defs": {**bundle.get("$defs", {}), **added}} if added else bundle


# Generating usually takes two seconds, and longer on a busy machine. A page may wait this long.
LONGEST_SECONDS = 30
# The number of cached modules, and the greatest number of characters of one: at most some 4 MiB.
_MOST_KEPT = 64
_LARGEST_KEPT = 64 * 1024
_WRITER = Path(__file__).with_name("program.py")
_NO_WORD = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Generated code, and the name of its module's file."""

    file_name: str
    text: str


def generate_module(
    subject: str,
    number: int,
    document: Mapping[str, Any],
    references: Mapping[str, Mapping[str, Any]],
    *,
    seconds: float = LONGEST_SECONDS,
) -> Code:
    """Return a module with a Pydantic model of the events that are valid by a version of a contract.

    A separate program without network access generates it, and is ended after `seconds`.

    Raises:
        NoPythonCode: when no code can be generated for the schema, or not in time.
    """
    schema = safety.plain_schema(bundle_schema(document, references))
    asked = orjson.dumps({"schema": schema, "class_name": class_name(subject)})
    code = _cache.get(asked)
    if code is None:
        code = _run_generator(asked, seconds)
        safety.check(code)
        _cache.put(asked, code)
    head = f"# What events must look like: version {number} of the contract {subject!a}.\n"
    return Code(file_name=f"{module_name(subject)}_v{number}.py", text=f"{head}{code.lstrip()}")


class _CodeCache:
    """The most recently requested code, by the input of the generator: a version never changes."""

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
        """Cache code, unless it is so large that a few like it would fill the memory."""
        if len(code) > _LARGEST_KEPT:
            return
        with self._lock:
            self._codes[sha256(asked).digest()] = code
            if len(self._codes) > _MOST_KEPT:
                self._codes.popitem(last=False)


_cache = _CodeCache()


def _run_generator(asked: bytes, seconds: float) -> str:
    """Return the code that the generator writes in a separate process."""
    with tempfile.TemporaryDirectory() as empty:
        try:
            # Isolated mode: neither the current folder nor the environment decides where modules are found.
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
    """Return the name of the model for a subject's events, such as `OrderPlaced` for `orders.order-placed`."""
    words = _words(subject.rpartition(".")[2]) or _words(subject)
    name = "".join(word[:1].upper() + word[1:] for word in words)
    return name if name[:1].isalpha() else f"Event{name}"


def module_name(subject: str) -> str:
    """Return the name of the module for a subject, such as `orders_order_placed` for `orders.order-placed`."""
    name = "_".join(_words(subject)).lower()[:100]
    return name if name[:1].isalpha() else f"event_{name}".rstrip("_")


def _words(text: str) -> list[str]:
    return [word for word in _NO_WORD.split(text) if word]
