"""The rules: the ways in which a reader's schema can refuse a document that a writer's schema accepts.

The placeholders `{reader}` and `{writer}` become "the new schema" and "the old schema", depending on the direction.
Each rule has two fixes, because only the new schema can be changed: one for when it is the reader (BACKWARD), and one
for when it is the writer (FORWARD). docs/compatibility.md lists the rules with examples.
"""

from enum import Enum


class Rule(Enum):
    """One rule. `is_lenient`: the LENIENT policy permits the difference."""

    # Values of any type
    TYPE_NARROWED = (
        "{writer} allows {types} here; {reader} does not.",
        "Allow {types} here as well.",
        "Do not allow {types} here.",
    )
    VALUES_NARROWED = (
        "{writer} allows {values} here; {reader} lists its values and this is not one of them.",
        "Add {values} to the values listed here.",
        "Do not allow {values} here; list the values that {reader} knows.",
    )
    NOTHING_ACCEPTED = (
        "{writer} allows a value here; {reader} allows none.",
        "Replace `false` by a schema that accepts what is written here.",
        "Do not allow a value here.",
    )

    # Numbers
    MINIMUM_RAISED = (
        "{reader} accepts only numbers {reader_bound}; {writer} allows lower ones{writer_bound}.",
        "Lower the minimum to what {writer} allows{writer_bound}.",
        "Accept only numbers {reader_bound}.",
    )
    MAXIMUM_LOWERED = (
        "{reader} accepts only numbers {reader_bound}; {writer} allows higher ones{writer_bound}.",
        "Raise the maximum to what {writer} allows{writer_bound}.",
        "Accept only numbers {reader_bound}.",
    )
    MULTIPLE_OF_NARROWED = (
        "{reader} accepts only multiples of {value}; {writer} allows other numbers.",
        "Remove “multipleOf”, or choose one that divides what {writer} allows.",
        "Set “multipleOf” to {value}.",
    )

    # Strings
    MIN_LENGTH_RAISED = (
        "{reader} wants at least {value} characters; {writer} allows fewer.",
        "Lower “minLength” to {other}.",
        "Set “minLength” to {value}.",
    )
    MAX_LENGTH_LOWERED = (
        "{reader} accepts at most {value} characters; {writer} allows more.",
        "{change}.",
        "Set “maxLength” to {value}.",
    )
    PATTERN_ADDED = (
        "{reader} wants the pattern “{value}”, which {writer} does not ask for.",
        "Remove the pattern “{value}”.",
        "Set “pattern” to “{value}”.",
    )
    FORMAT_ADDED = (
        "{reader} wants the format “{value}”, which {writer} does not ask for.",
        "Remove the format “{value}”.",
        "Set “format” to “{value}”.",
    )
    CONTENT_ADDED = (
        "{reader} wants the content “{value}”, which {writer} does not ask for.",
        "Remove “contentEncoding” and “contentMediaType”.",
        "Ask for the same content as {reader}.",
    )

    # Arrays
    MIN_ITEMS_RAISED = (
        "{reader} wants at least {value} items; {writer} allows fewer.",
        "Lower “minItems” to {other}.",
        "Set “minItems” to {value}.",
    )
    MAX_ITEMS_LOWERED = (
        "{reader} accepts at most {value} items; {writer} allows more.",
        "{change}.",
        "Set “maxItems” to {value}.",
    )
    UNIQUE_ITEMS_ADDED = (
        "{reader} wants all items to differ; {writer} does not.",
        "Remove “uniqueItems”.",
        "Set “uniqueItems” to true.",
    )
    ITEM_REMOVED_FROM_CLOSED_ARRAY = (
        "{writer} allows an item at position {value}; {reader} ends before it.",
        "Accept an item at position {value}.",
        "Allow no item at position {value}.",
    )
    CONTAINS_ADDED = (
        "{reader} wants at least {value} items that match “contains”; {writer} does not promise them.",
        "Remove “contains”, or lower “minContains”.",
        "Ask for the same “contains” as {reader}.",
    )
    MAX_CONTAINS_LOWERED = (
        "{reader} accepts at most {value} items that match “contains”; {writer} allows more.",
        "Raise or remove “maxContains”.",
        "Ask for the same “contains” and “maxContains” as {reader}.",
    )

    # Objects
    REQUIRED_PROPERTY_ADDED = (
        "{reader} requires “{name}”; documents of {writer} may lack it.",
        "Make “{name}” optional: remove it from “required”.",
        "Require “{name}”: add it to “required”.",
    )
    PROPERTY_ADDED_TO_OPEN_OBJECT = (
        "{reader} declares the optional property “{name}”; {writer} is open and allows any value under that name.",
        "Accept any value for “{name}”, or choose the LENIENT policy.",
        "Declare “{name}” as {reader} does, or choose the LENIENT policy.",
        True,
    )
    PROPERTY_ADDED_NOT_COVERED = (
        "{reader} declares “{name}”; what {writer} allows under names that it does not declare does not fit.",
        "Accept for “{name}” all that {writer} allows there.",
        "Declare “{name}” as {reader} does.",
    )
    PROPERTY_REMOVED_FROM_CLOSED_OBJECT = (
        "{writer} declares “{name}”; {reader} does not, and accepts no other properties.",
        "Keep “{name}”, or choose the LENIENT policy.",
        "Remove “{name}”, or choose the LENIENT policy.",
        True,
    )
    PROPERTY_REMOVED_NOT_COVERED = (
        "{writer} declares “{name}”; {reader} does not, and what it accepts under other names does not fit.",
        "Keep “{name}”, or accept its values under other names.",
        "Declare “{name}” so that it fits what {reader} accepts under other names.",
    )
    ADDITIONAL_PROPERTIES_NARROWED = (
        "{writer} allows properties that it does not declare, and {reader} does not accept all of them.",
        "Accept additional properties as {writer} allows them, or choose the LENIENT policy.",
        "Narrow “additionalProperties” to what {reader} accepts, or choose the LENIENT policy.",
        True,
    )
    PATTERN_PROPERTY_ADDED = (
        "{reader} has a schema for names that match “{name}”; what {writer} allows under such names does not fit.",
        "Remove the pattern “{name}”, or accept under it all that {writer} allows.",
        "Declare the pattern “{name}” as {reader} does.",
    )
    PATTERN_PROPERTY_REMOVED = (
        "{writer} allows names that match “{name}”; {reader} does not have the pattern, and refuses what it allowed.",
        "Keep the pattern “{name}”.",
        "Remove the pattern “{name}”.",
    )
    PROPERTY_NAMES_NARROWED = (
        "{reader} does not accept all names of properties that {writer} allows.",
        "Remove or widen “propertyNames”.",
        "Set “propertyNames” as {reader} does.",
    )
    MIN_PROPERTIES_RAISED = (
        "{reader} wants at least {value} properties; {writer} allows fewer.",
        "Lower “minProperties” to {other}.",
        "Set “minProperties” to {value}.",
    )
    MAX_PROPERTIES_LOWERED = (
        "{reader} accepts at most {value} properties; {writer} allows more.",
        "{change}.",
        "Set “maxProperties” to {value}.",
    )
    DEPENDENCY_ADDED = (
        "{reader} wants “{other}” wherever “{name}” is; {writer} does not.",
        "Do not make “{other}” depend on “{name}”.",
        "Require “{other}” wherever “{name}” is.",
    )

    # Combinations
    ANY_OF_NARROWED = (
        "{writer} allows values that fit none of the alternatives of {reader}.",
        "Add an alternative that accepts what {writer} allows.",
        "Allow only what fits one of the alternatives of {reader}.",
    )
    ONE_OF_NARROWED = (
        "{writer} allows values that fit none, or more than one, of the “oneOf” of {reader}.",
        "Add an alternative that accepts what {writer} allows, and make the alternatives exclude each other.",
        "Allow only what fits exactly one of the alternatives of {reader}.",
    )
    NOT_EXTENDED = (
        "{writer} allows values that “not” excludes in {reader}.",
        "Remove or narrow “not”.",
        "Exclude the same values as {reader}.",
    )

    # What cannot be known
    REFERENCE_NOT_FOLLOWED = (
        "{reader} uses “{name}” in a way that is only known when a document is read.",
        "Use “$ref” to a fixed place, and “additionalProperties” or “items” for what is left over.",
        "Leave this part as {reader} has it.",
    )
    CANNOT_DECIDE = (
        "Whether all that {writer} allows is accepted by {reader} cannot be decided: {reason}.",
        "Make the schema simpler here: fewer alternatives, told apart by a required constant, and references that end.",
        "Make the schema simpler here: fewer alternatives, told apart by a required constant, and references that end.",
    )

    def __init__(self, description: str, fix_of_reader: str, fix_of_writer: str, is_lenient: bool = False) -> None:
        self.description, self.fix_of_reader, self.fix_of_writer = description, fix_of_reader, fix_of_writer
        self.is_lenient = is_lenient

    def is_refused(self) -> bool:
        """Say whether both policies refuse the difference."""
        return not self.is_lenient

    def is_any(self) -> bool:
        """Return True: selects all rules, where a predicate is expected."""
        return True


LENIENT = frozenset(rule.name for rule in Rule if rule.is_lenient)
"""The rules whose differences the LENIENT policy permits; all others apply under both policies."""
