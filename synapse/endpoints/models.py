"""Pydantic models of requests and answers of endpoints: bases, types of query parameters, and error sentences.

Pydantic alone would be too lenient: its JSON parser keeps the last of two equal keys, and its lax mode accepts `1_000`,
` 7 `, `10.0` and `yes`. So `strict_json` parses bodies, which are validated strictly, and the types here convert the
texts of a query to numbers.
"""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_args
from urllib.parse import parse_qsl

from annotated_types import Ge, Le
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from synapse.formats import strict_json
from synapse.http.exchange import JSON, Request
from synapse.problems import BadParameter, BadRequest, Problem, UnsupportedMediaType


class Answer(BaseModel):
    """The base of models of answers. They are documentation: answers are written without them, and tests compare the
    two.
    """

    model_config = ConfigDict(extra="forbid")


def about(description: str, **constraints: Any) -> Any:
    """Declare a required member with its description."""
    return Field(description=description, **constraints)


def maybe(description: str | None = None, **constraints: Any) -> Any:
    """Declare an optional member with its description."""
    return Field(None, description=description, **constraints)


class Sentence(str):
    """An error sentence in the annotation of a field, which replaces the usual one."""


class _Input(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    @classmethod
    def validate_values(cls, values: Mapping[str, Any], problem: type[Problem]) -> Self:
        """Validate values, and raise the problem for the first invalid one."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
        # Raised outside the except block: a problem may be kept, and with the error as its context it would keep the
        # input.
        name, metadata = _locate(cls, first)
        raise problem(_error_sentence(name, first, metadata), parameter=name)

    @classmethod
    @cache
    def names(cls) -> dict[str, str]:
        """Return the names of the fields, by the names of the members in requests."""
        return {field.alias or name: name for name, field in cls.model_fields.items()}


def _locate(model: type[_Input], error: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Return the name of the invalid member and the metadata of its field; for a nested member, those of the innermost
    one.
    """
    name, *inner = error["loc"]
    field = model.model_fields[model.names()[name]]
    kind = next(iter(get_args(field.annotation)), field.annotation)
    if inner and error["type"] != "extra_forbidden" and isinstance(kind, type) and issubclass(kind, _Input):
        return _locate(kind, {**error, "loc": inner})
    return name, field.metadata


class Query(_Input):
    """The parameters of an endpoint that refuses unknown ones. An empty value counts as not given."""

    repeatable: ClassVar[Collection[str]] = ()

    @classmethod
    def from_request(cls, request: Request) -> Self:
        """Parse the query of a request.

        Raises:
            BadParameter: when one is unknown, given twice, or cannot be used.
        """
        if not request.raw_query:
            found: Self = _empty_query(cls)
            return found
        names = cls.names()
        # The full check is needed only if a name is repeated (more pairs than names) or unknown.
        if request.raw_query.count("&") >= len(request.query) or not request.query.keys() <= names.keys():
            check_parameters(request, *names, repeatable=cls.repeatable)
        given: dict[str, Any] = {name: text for name, text in request.query.items() if text and name in names}
        for name in cls.repeatable:
            given[name] = [text for text in request.values(name) if text]
        return cls.validate_values(given, BadParameter)


Q = TypeVar("Q", bound=Query)


@cache
def _empty_query(model: type[Q]) -> Q:
    return model.validate_values({}, BadParameter)


class Body(_Input):
    """The JSON object that is the body of a request. A member that is null counts as not given.

    Attributes:
        optional: Whether an empty body counts as an empty object.
        nullable: The members for which null is a value.
    """

    optional: ClassVar[bool] = False
    nullable: ClassVar[Collection[str]] = ()

    @classmethod
    def from_request(cls, request: Request) -> Self:
        """Parse the body of a request.

        Raises:
            UnsupportedMediaType: when it is not JSON.
            BadRequest: when it cannot be read, or is no object.
            BadParameter: when it has an unknown member, or one that cannot be used.
        """
        return cls.from_members({} if cls.optional and not request.body.strip() else json_object(request))

    @classmethod
    def from_members(cls, value: Mapping[str, Any]) -> Self:
        """Validate a JSON object as body.

        Raises:
            BadParameter: when it has an unknown member, or one that cannot be used.
        """
        known = cls.names()
        for name in value:
            if name not in known:
                others = f"; {', '.join(known)} are" if known else ""
                raise BadParameter(f"“{name[:100]}” is not known here{others}.", parameter=name[:100])
        return cls.validate_values(cls.given_members(value), BadParameter)

    @classmethod
    def given_members(cls, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return the members without those that are null and not nullable."""
        return {name: each for name, each in value.items() if each is not None or name in cls.nullable}


def json_object(request: Request) -> dict[str, Any]:
    """Parse the body of a request as a JSON object.

    Raises:
        UnsupportedMediaType: when it is not JSON.
        BadRequest: when it cannot be read, or is no object.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise UnsupportedMediaType(f"Send the request with Content-Type {JSON}.")
    try:
        value = strict_json.loads(request.body)
    except strict_json.BadJSON as error:
        raise BadRequest(str(error)) from None
    if not isinstance(value, dict):
        raise BadRequest("The body is a JSON object.")
    return value


def check_parameters(request: Request, *known: str, repeatable: Collection[str] = ()) -> None:
    """Refuse a query with an unknown parameter, or with one that is given twice.

    Ignoring them would give an answer to another question than the one that was meant. Names that begin with “_” are
    ignored: clients add them to bypass caches.

    Args:
        known: the route's parameters.
        repeatable: those of them that can be given several times.

    Raises:
        BadParameter: when the query has such a parameter.
    """
    if not request.raw_query:
        return
    seen = set()
    for name, _ in parse_qsl(request.raw_query, keep_blank_values=True):
        if name.startswith("_"):
            continue
        if name not in known:
            listed = f"Known are {', '.join(known)}." if known else "This route takes none."
            raise BadParameter(f"There is no parameter “{name[:100]}” here. {listed}", parameter=name[:100])
        if name in seen and name not in repeatable:
            raise BadParameter(f"“{name}” is given more than once. Send it once.", parameter=name)
        seen.add(name)


# Longer numbers are refused before they are converted: no parameter accepts so large ones.
_MOST_DIGITS = 18


def _parse_integer(text: Any) -> Any:
    if isinstance(text, str):
        if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
            raise PydanticCustomError("int_type", "not a whole number")
        return int(text)
    return text


# An integer in a query. The field declares its limits.
QueryInt = Annotated[int, BeforeValidator(_parse_integer)]


def _error_sentence(name: str, error: Mapping[str, Any], metadata: Collection[Any]) -> str:
    is_of_item = any(isinstance(part, int) for part in error["loc"])
    usual = _SENTENCES.get("list_type" if is_of_item else error["type"], "“{name}” cannot be used.")
    if error["type"] != "missing":
        usual = next((each for each in metadata if isinstance(each, Sentence)), usual)
    least = next((each.ge for each in metadata if isinstance(each, Ge)), None)
    most = next((each.le for each in metadata if isinstance(each, Le)), None)
    context = error.get("ctx", {})
    expected = context.get("expected", "").replace("'", "")
    return usual.format(name=name, least=least, most=most, expected=expected, longest=context.get("max_length"))


_WHOLE_NUMBER = "“{name}” is a whole number from {least} to {most}."
# The sentences about invalid values, by Pydantic's type of the error.
_SENTENCES = {
    "missing": "“{name}” is missing.",
    "string_too_short": "“{name}” is missing.",
    "string_too_long": "“{name}” is at most {longest} characters.",
    "too_long": "“{name}” has at most {longest} items.",
    "string_type": "“{name}” is a text.",
    "bool_type": "“{name}” is true or false.",
    "list_type": "“{name}” is a list of texts.",
    "dict_type": "“{name}” is a JSON object.",
    "literal_error": "“{name}” is {expected}.",
    "int_type": _WHOLE_NUMBER,
    "greater_than_equal": _WHOLE_NUMBER,
    "less_than_equal": _WHOLE_NUMBER,
}
