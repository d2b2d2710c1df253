"""The content of a version: a schema's text, its references, and the metadata and rules of clients."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from contracts.models import Schema, guid_of
from core import catalog_version
from synapse.schema import validator


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A schema's reference to a version of another contract, under the name in its `$ref`."""

    name: str
    subject: str
    version: int

    def as_dict(self) -> dict[str, Any]:
        """Return the reference as it is stored and as registries show it."""
        return {"name": self.name, "subject": self.subject, "version": self.version}


@dataclass(frozen=True, kw_only=True)
class Content:
    """A schema to register or look up: its text, its references, and the metadata and rules stored with it."""

    text: str
    references: Sequence[Reference] = ()
    metadata: Mapping[str, Any] | None = field(default=None)
    rule_set: Mapping[str, Any] | None = field(default=None)

    @cached_property
    def document(self) -> dict[str, Any]:
        """Return the parsed schema.

        Raises:
            BadSchema: when the text is not a schema.
        """
        return validator.parse_schema(self.text)

    @property
    def has_more(self) -> bool:
        """Say whether there are metadata or rules."""
        return self.metadata is not None or self.rule_set is not None

    @property
    def reference_list(self) -> list[dict[str, Any]]:
        """Return the references as they are stored."""
        return [reference.as_dict() for reference in self.references]

    @property
    def digest(self) -> str:
        """Return the SHA-256 (hex) of the whole content: of the text alone if there is nothing else."""
        if not self.references and not self.has_more:
            return _sha256(self.text.encode())
        return _sha256(_dump([self.text, self.reference_list, self.metadata, self.rule_set]))

    @property
    def meaning(self) -> str:
        """Return a SHA-256 (hex) that ignores layout and the order of keys, so that equivalent contents share it."""
        text = validator.normal_text(self.document)
        references = sorted(self.reference_list, key=lambda reference: str(reference["name"]))
        return _sha256(_dump([text, references]) if references else text.encode())

    def has_more_like(self, schema: Schema) -> bool:
        """Say whether a schema has equal metadata and rules."""
        return bool(schema.metadata == self.metadata and schema.rule_set == self.rule_set)

    def store(self) -> Schema:
        """Return the stored schema with this content, after creating it if necessary. Its primary key is the global
        id.
        """
        return Schema.objects.filter(digest=self.digest).first() or store_contents([self])[self.digest]


def store_contents(contents: Iterable[Content]) -> dict[str, Schema]:
    """Return the stored schemas with these contents by digest, after creating missing ones with one statement."""
    wanted = {content.digest: content for content in contents}
    found = Schema.objects.in_bulk(list(wanted), field_name="digest")
    missing = [
        Schema(
            text=content.text,
            digest=digest,
            guid=guid_of(digest),
            meaning=content.meaning,
            references=content.reference_list,
            metadata=content.metadata,
            rule_set=content.rule_set,
        )
        for digest, content in wanted.items()
        if digest not in found
    ]
    if missing:
        catalog_version.bump()
        found |= {schema.digest: schema for schema in Schema.objects.bulk_create(missing)}
    return found


def content_of(schema: Schema) -> Content:
    """Return the content of a stored schema."""
    return Content(
        text=schema.text,
        references=[Reference(**reference) for reference in schema.references],
        metadata=schema.metadata,
        rule_set=schema.rule_set,
    )


def _dump(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
