"""What is registered: a text, what it refers to, and what clients want kept with it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from contracts import schemas
from contracts.models import Schema, guid_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """That a schema's `$ref` calls a version of another contract by a name."""

    name: str
    subject: str
    version: int

    def as_dict(self) -> dict[str, Any]:
        """Return the reference as it is kept, and as registries show it."""
        return {"name": self.name, "subject": self.subject, "version": self.version}


@dataclass(frozen=True, kw_only=True)
class Content:
    """A schema to be registered or looked for: its text, its references, and metadata and rules kept beside it."""

    text: str
    references: Sequence[Reference] = ()
    metadata: Mapping[str, Any] | None = field(default=None)
    rule_set: Mapping[str, Any] | None = field(default=None)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The schema itself.

        Raises:
            BadSchema: when the text is none.
        """
        return schemas.parse(self.text)

    @property
    def has_more(self) -> bool:
        """Whether there are metadata or rules."""
        return self.metadata is not None or self.rule_set is not None

    @property
    def reference_list(self) -> list[dict[str, Any]]:
        """The references as they are kept."""
        return [reference.as_dict() for reference in self.references]

    @property
    def digest(self) -> str:
        """What tells it from everything that is not identical. That of a plain text is the text's own."""
        if not self.references and not self.has_more:
            return _sha256(self.text.encode())
        return _sha256(_dumped([self.text, self.reference_list, self.metadata, self.rule_set]))

    @property
    def meaning(self) -> str:
        """What tells it from everything that says something else, whatever the layout and the order of keys."""
        text = schemas.normal_text(self.document)
        references = sorted(self.reference_list, key=lambda reference: str(reference["name"]))
        return _sha256(_dumped([text, references]) if references else text.encode())

    def has_more_like(self, schema: Schema) -> bool:
        """Say whether a schema has the same metadata and rules."""
        return bool(schema.metadata == self.metadata and schema.rule_set == self.rule_set)

    def kept(self) -> Schema:
        """Return the one schema with this content, made when there is none: its primary key is the global id."""
        digest = self.digest
        values = {
            "text": self.text,
            "guid": guid_of(digest),
            "meaning": self.meaning,
            "references": self.reference_list,
            "metadata": self.metadata,
            "rule_set": self.rule_set,
        }
        found, _ = Schema.objects.get_or_create(digest=digest, defaults=values)
        return found


def content_of(schema: Schema) -> Content:
    """Return what a kept schema says."""
    return Content(
        text=schema.text,
        references=[Reference(**reference) for reference in schema.references],
        metadata=schema.metadata,
        rule_set=schema.rule_set,
    )


def _dumped(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
