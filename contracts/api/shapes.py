"""What the registry takes and gives, as the OpenAPI document describes it. Nothing is checked or written with these."""

from typing import Any

from rest_framework import serializers
from rest_framework.fields import BooleanField, CharField, DictField, IntegerField, JSONField, ListField


class Shape(serializers.Serializer[Any]):
    """What a JSON object holds."""


class Reference(Shape):
    """A version of another subject, and the name by which `$ref` calls it."""

    name = CharField()
    subject = CharField()
    version = IntegerField(help_text="-1 is the latest when a schema is registered.")


class SchemaBody(Shape):
    """A schema to be registered, looked up or compared."""

    schema = CharField(help_text="The JSON Schema, as a text.")
    schemaType = CharField(help_text="JSON.")
    references = Reference(many=True, required=False)
    metadata = DictField(required=False, help_text="Kept and given back; `properties` can be asked for.")
    ruleSet = DictField(required=False, help_text="Kept and given back.")


class Schema(Shape):
    """A schema."""

    schema = CharField(help_text="The JSON Schema, as a text.")
    schemaType = CharField()
    guid = CharField()
    references = Reference(many=True, required=False)
    metadata = DictField(required=False)
    ruleSet = DictField(required=False)
    maxId = IntegerField(required=False, help_text="The highest id, when it is asked for.")


class Registered(Shape):
    """A version of a subject."""

    id = IntegerField(help_text="The schema's global id.")
    version = IntegerField()
    guid = CharField()
    schema = CharField()
    schemaType = CharField()
    references = Reference(many=True, required=False)
    metadata = DictField(required=False)
    ruleSet = DictField(required=False)
    ts = IntegerField(help_text="When it was activated, in milliseconds since 1970.")
    deleted = BooleanField(required=False, help_text="True of one that is hidden.")


class Version(Registered):
    """A version of a subject."""

    subject = CharField()


class VersionOfSchema(Shape):
    """A subject and the number of a version."""

    subject = CharField()
    version = IntegerField()


class ContextId(Shape):
    """An id and where it holds."""

    # REST framework takes the fields off the class, so its own attribute of this name stays.
    context = CharField()  # type: ignore[assignment]
    id = IntegerField()


class Difference(Shape):
    """A way in which two schemas do not fit."""

    rule = CharField()
    direction = CharField(help_text="BACKWARD: the new schema reads what was written before. FORWARD: the other way.")
    old_pointer = CharField(help_text="JSON Pointer (RFC 6901) into the earlier schema.")
    new_pointer = CharField(help_text="JSON Pointer into the new one.")
    version = IntegerField(help_text="The earlier version.")
    description = CharField()
    fix = CharField(help_text="The smallest change of the new schema that helps.")
    decided = BooleanField(help_text="False when it was too hard to tell, which counts as a break.")
    witness = JSONField(required=False, help_text="A document that one schema accepts and the other refuses.")


class Compatibility(Shape):
    """Whether a schema may follow."""

    is_compatible = BooleanField()
    messages = ListField(child=CharField(), required=False)
    differences = Difference(many=True, required=False)


class ConfigBody(Shape):
    """Compatibility as it is set."""

    compatibility = CharField(required=False)
    compatibilityPolicy = CharField(required=False, help_text="LENIENT or STRICT.")
    normalize = BooleanField(required=False, help_text="Keep schemas without layout, where a request does not say.")
    compatibilityGroup = CharField(required=False, help_text="Kept and given back, as those below.")
    defaultMetadata = DictField(required=False)
    overrideMetadata = DictField(required=False)
    defaultRuleSet = DictField(required=False)
    overrideRuleSet = DictField(required=False)


class Config(ConfigBody):
    """Compatibility as it is asked for."""

    compatibility = None  # type: ignore[assignment]  # the same is called otherwise here
    compatibilityLevel = CharField()


class ModeBody(Shape):
    """A mode."""

    mode = CharField(help_text="READWRITE, READONLY or READONLY_OVERRIDE.")


class ServerId(Shape):
    """The registry's name."""

    id = CharField()
    scope = DictField()


class ServerVersion(Shape):
    """The registry's version."""

    version = CharField()
    commitId = CharField()


class Refusal(Shape):
    """Why the registry refused. Of an incompatible schema, all that speaks against it is told."""

    error_code = IntegerField()
    message = CharField()
    differences = Difference(many=True, required=False)
