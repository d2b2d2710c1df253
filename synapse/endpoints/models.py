"""Pydantic models of requests and answers of endpoints: bases, types of query parameters, and sentences for errors.

Pydantic alone would open doors that are closed here: its JSON parser keeps the last of two equal keys, and its lax mode
takes `1_000`, ` 7 `, `10.0` and `yes`. So bodies are read by `strict_json` and validated strictly, and texts of a query
become numbers by types of our own.
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
    """The body of an answer. It documents: answers are written without it, and tests hold them to it."""

    model_config = ConfigDict(extra="forbid")


def about(description: str, **constraints: Any) -> Any:
    """Describe a member that is always there."""
    return Field(description=description, **constraints)


def maybe(description: str | None = None, **constraints: Any) -> Any:
    """Describe a member that can be left out."""
    return Field(None, description=description, **constraints)


class Sentence(str):
    """The error sentence of a field, in its annotation, in place of the usual sentence."""


class _Input(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    @classmethod
    def fit(cls, values: Mapping[str, Any], problem: type[Problem]) -> Self:
        """Return the values as the model has them."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
        # Without the error as its context: a problem may be kept, and the error holds what was sent.
        name, metadata = _place(cls, first)
        raise problem(_sentence(name, first, metadata), parameter=name)

    @classmethod
    @cache
    def names(cls) -> dict[str, str]:
        """Return the names under which the fields are sent, and those of the fields."""
        return {field.alias or name: name for name, field in cls.model_fields.items()}


def _place(model: type[_Input], error: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Return the name of the member that does not fit, and what its declaration says; of a member of a member, its."""
    name, *inner = error["loc"]
    field = model.model_fields[model.names()[name]]
    kind = next(iter(get_args(field.annotation)), field.annotation)
    if inner and error["type"] != "extra_forbidden" and isinstance(kind, type) and issubclass(kind, _Input):
        return _place(kind, {**error, "loc": inner})
    return name, field.metadata


class Query(_Input):
    """The parameters of an endpoint that refuses unknown ones. An empty value counts as not given."""

    repeatable: ClassVar[Collection[str]] = ()

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return the parameters of a request.

        Raises:
            BadParameter: when one is unknown, given twice, or cannot be used.
        """
        if not request.raw_query:
            found: Self = _without_any(cls)
            return found
        names = cls.names()
        # As many names as there are pairs, all of them known: nothing is unknown or given twice.
        if request.raw_query.count("&") >= len(request.query) or not request.query.keys() <= names.keys():
            check_parameters(request, *names, repeatable=cls.repeatable)
        given: dict[str, Any] = {name: text for name, text in request.query.items() if text and name in names}
        for name in cls.repeatable:
            given[name] = [text for text in request.values(name) if text]
        return cls.fit(given, BadParameter)


Q = TypeVar("Q", bound=Query)


@cache
def _without_any(model: type[Q]) -> Q:
    return model.fit({}, BadParameter)


class Body(_Input):
    """The members of a JSON object that an endpoint takes. One that is null counts as not given.

    Attributes:
        optional: Whether an empty body is one without members.
        nullable: The members to which null is a value.
    """

    optional: ClassVar[bool] = False
    nullable: ClassVar[Collection[str]] = ()

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return the body of a request.

        Raises:
            UnsupportedMediaType: when it is not JSON.
            BadRequest: when it cannot be read, or is no object.
            BadParameter: when it has a member that nobody would look at, or one that cannot be used.
        """
        return cls.of_members({} if cls.optional and not request.body.strip() else json_object(request))

    @classmethod
    def of_members(cls, value: Mapping[str, Any]) -> Self:
        """Return the body with these members.

        Raises:
            BadParameter: when it has a member that nobody would look at, or one that cannot be used.
        """
        known = cls.names()
        for name in value:
            if name not in known:
                others = f"; {', '.join(known)} are" if known else ""
                raise BadParameter(f"“{name[:100]}” is not known here{others}.", parameter=name[:100])
        return cls.fit(cls.given(value), BadParameter)

    @classmethod
    def given(cls, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return the members that count as given."""
        return {name: each for name, each in value.items() if each is not None or name in cls.nullable}


def json_object(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request brings.

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
    """Refuse a query with a parameter that the route has not, or with one that is given twice.

    The answer would look like one to the question that was meant. Names that begin with “_” mean nothing: clients add
    them to get around caches.

    Args:
        known: the route's parameters.
        repeatable: those of them that can be given several times.

    Raises:
        BadParameter: when there is one.
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


# Digits of ASCII and nothing else; longer numbers than any of ours are not even read.
_MOST_DIGITS = 18


def _whole(text: Any) -> Any:
    if isinstance(text, str):
        if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
            raise PydanticCustomError("int_type", "not a whole number")
        return int(text)
    return text


# A whole number in a query. Its limits stand in the field.
QueryInt = Annotated[int, BeforeValidator(_whole)]


def _sentence(name: str, error: Mapping[str, Any], metadata: Collection[Any]) -> str:
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
# The text about an invalid value, by Pydantic's name for the error.
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
