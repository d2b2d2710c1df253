"""Declare an endpoint once: routes, authorisation, parsing and documentation follow from the declaration."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Generic, NamedTuple, TypeVar

from synapse.auth.permission import KNOWN, Requirement
from synapse.auth.principal import Principal
from synapse.catalog.stream_definitions import Snapshot, StreamDefinition
from synapse.endpoints.models import Body, Query
from synapse.errors.streams import UnknownStream
from synapse.http.entity_tags import with_tag
from synapse.http.exchange import JSON, Direct, Handler, Identify, Request, Response, json_response
from synapse.redis import Conversation

Q = TypeVar("Q")
B = TypeVar("B")
# The documentation of an answer: a model or a JSON schema, in a `Meaning` if it needs a description.
Documented = Any


class Call(NamedTuple, Generic[Q, B]):
    """A request that passed its endpoint's checks.

    Attributes:
        request: The request itself.
        query: Its query parameters, if the endpoint has a model of them.
        body: Its body, if the endpoint has a model of it.
        stream: The stream that the path names, if the endpoint is `of_stream`.
        catalog: All definitions.
    """

    request: Request
    query: Q
    body: B
    stream: StreamDefinition
    catalog: Snapshot

    @property
    def by(self) -> Principal:
        """The caller."""
        return self.request.principal

    @property
    def params(self) -> Mapping[str, str]:
        """The values of the named parts of the path."""
        return self.request.params


class Example(NamedTuple):
    """An example for the documentation: of a request, or with a `status` of an answer."""

    name: str
    value: Any
    status: int | None = None
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLoop:
    """How the event loop answers an endpoint. The default is to run its conversation.

    Attributes:
        handler: Answers instead of the conversation.
        direct: The handler's fast path.
        waits: Whether the answer may be slow, and the caller may disconnect meanwhile.
        is_endless: Whether the answer lasts as long as the connection.
        identify: Authenticates the caller, if more than a key is needed.
        is_websocket: Whether handshakes of WebSocket are accepted.
        queue: The name of a queue in which large requests wait for their turn.
        size: Returns the part of that queue's capacity that a request takes; 0: it does not wait.
    """

    handler: Handler | None = None
    direct: Direct | None = None
    waits: bool = False
    is_endless: bool = False
    identify: Identify | None = None
    is_websocket: bool = False
    queue: str = ""
    size: Callable[[Request], int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Endpoint:
    """The declaration of a method and a path.

    Attributes:
        name: The name in generated clients.
        tag: Its group in the documentation.
        handler: Takes a call and returns the answer, or a conversation that does.
        returns: Answers by status, or by status and media type.
        status: The status of a successful answer.
        problems: Descriptions of refusals, by status.
        requires: The rights that the caller needs.
        query: The model of its query parameters. Without one, the query is ignored.
        body: The model of its body. Without one, the body is ignored.
        of_stream: Whether the path names a stream, which must be defined.
        takes_request: Whether the handler takes the unchecked request and the catalog, and parses the request itself.
        reveals: Returns the ids of the events in an answer, by stream; reads by people are recorded in the audit log.
        stores: Returns the name of the stream in which events are stored, for the argument of the handler.
        on_event_loop: How the event loop answers it; None: only Django answers it.
        documented_body: The documentation of a body without a model: schemas by media type.
        parameters: Further documented parameters (OpenAPI, Parameter Object).
        examples: Examples of requests and answers.
        headers: The headers of each successful answer.
        media_types: The media types of answers that `returns` declares by status alone.
        refusal: The model of its refusals, if they are not problem documents.
        has_entity_tag: Whether answers have an ETag, so that clients can ask whether a cached one is current.
    """

    method: str
    path: str
    name: str
    tag: str
    summary: str
    description: str
    handler: Callable[..., Any]
    returns: Mapping[int | tuple[int, str], Documented]
    status: int
    problems: Mapping[int, str]
    requires: Requirement = KNOWN
    query: type[Query] | None = None
    body: type[Body] | None = None
    of_stream: bool = False
    takes_request: bool = False
    reveals: Callable[[Any], Mapping[str, Sequence[str]]] | None = None
    stores: Callable[[Any], str] | None = None
    on_event_loop: EventLoop | None = None
    documented_body: Mapping[str, Any] = field(default_factory=dict)
    parameters: Sequence[Mapping[str, Any]] = ()
    examples: Sequence[Example] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    media_types: Sequence[str] = (JSON,)
    refusal: Documented = None
    has_entity_tag: bool = False

    @property
    def is_conversation(self) -> bool:
        """Whether the handler is a conversation with Redis."""
        return self.takes_request or inspect.isgeneratorfunction(self.handler)

    def check_request(self, request: Request, catalog: Snapshot) -> Call[Any, Any]:
        """Check the caller's rights, then parse the request for its handler.

        Raises:
            Problem: when it is refused.
        """
        name = request.params.get("stream", "")
        if not self.requires.is_checked_later:
            self.requires.demand(request.principal, name, request.params.get("event_type"))
        stream = catalog.streams.get(name)
        if self.of_stream and stream is None:
            raise UnknownStream(name)
        query = None if self.query is None else self.query.from_request(request)
        body = None if self.body is None else self.body.from_request(request)
        return Call(request, query, body, stream, catalog)  # type: ignore[arg-type]  # of those that are `of_stream` it is there

    def __call__(self, request: Request, catalog: Snapshot) -> Conversation[Response]:
        """Answer a request whose handler is a conversation."""
        return (yield from self.answer(self.check_request(request, catalog)))

    def answer(self, call: Call[Any, Any]) -> Conversation[Response]:
        """Answer a checked request whose handler is a conversation."""
        return self.make_response((yield from self.handler(call)), call.request)

    def parse_request(self, request: Request, catalog: Snapshot) -> tuple[Any, StreamDefinition | None]:
        """Return the argument for the handler, and the stream in which events will be stored, None for none.

        Raises:
            Problem: when the request is refused.
        """
        taken = request if self.takes_request else self.check_request(request, catalog)
        return taken, None if self.stores is None else catalog.streams.get(self.stores(taken))

    def answer_parsed(self, taken: Any, catalog: Snapshot) -> Conversation[Response]:
        """Return the conversation that answers a parsed request."""
        found: Conversation[Response] = self.handler(taken, catalog) if self.takes_request else self.answer(taken)
        return found

    def make_response(self, answer: Any, request: Request) -> Response:
        """Return the HTTP response for the answer of the handler."""
        if not isinstance(answer, Response):
            answer = json_response(answer, status=self.status, headers=self.headers)
        return with_tag(request, answer) if self.has_entity_tag else answer


# The description of a status, unless an endpoint gives its own.
MEANINGS = {
    400: "The request cannot be used. If one parameter or member is the cause, `parameter` names it.",
    401: "A key is required, and the request has none or an invalid one.",
    403: "The caller may not do this; `missing` names the right.",
    404: "There is no such stream or entry.",
    406: "The header Accept refuses every form of the answer with a quality of 0.",
    409: "Redis holds something else under the stream's name, or the request conflicts with the present state.",
    413: "The body, or an event in it, is too large.",
    415: "The content type is not supported.",
    422: "The content breaks a contract, or does not name its type.",
    426: "The request is no WebSocket handshake of a supported version.",
    501: "This server does not answer this route: it is served on the event loop only.",
    503: "Redis cannot be used now.",
}


# The description of a status for an endpoint with a JSON object as body.
_OF_BODY = {
    413: "The request is too large.",
    415: "The request is not JSON.",
}
# The statuses that follow from the attributes of an endpoint.
_PROBLEMS = {"query": (400,), "body": (400, *_OF_BODY), "of_stream": (404, 409)}


def endpoint(
    method: str,
    path: str,
    summary: str,
    returns: Documented,
    *,
    tag: str,
    problems: Sequence[int] | Mapping[int, str] = (),
    on_event_loop: bool | EventLoop = False,
    name: str = "",
    **declared: Any,
) -> Callable[[Callable[..., Any]], Endpoint]:
    """Declare the decorated function as the handler of an endpoint. Its name and docstring become those of the
    operation.

    Args:
        returns: A model of the answer of status 200, or a mapping as `Endpoint.returns`.
        problems: Statuses of further refusals, or a mapping to their descriptions. Those that follow from the other
            arguments are added: 400 from a query; 400, 413 and 415 from a body; 404 and 409 from a stream; 503 from a
            conversation.
        on_event_loop: Whether the event loop also answers it, or how.
        name: The name of the operation, if it is not that of the function.
        declared: Further attributes of `Endpoint`.
    """
    loop = EventLoop() if on_event_loop is True else on_event_loop or None
    own = problems if isinstance(problems, Mapping) else {status: MEANINGS[status] for status in problems}

    def declare(handler: Callable[..., Any]) -> Endpoint:
        usual = [status for each, statuses in _PROBLEMS.items() if declared.get(each) for status in statuses]
        if inspect.isgeneratorfunction(handler) or declared.get("takes_request"):
            usual.append(503)
        answers = returns if isinstance(returns, Mapping) else {200: returns}
        first = next(iter(answers))
        of_body = _OF_BODY if declared.get("body") else {}
        meanings = {**{status: MEANINGS[status] for status in usual}, **of_body, **own}
        return Endpoint(
            method=method,
            path=path,
            name=name or handler.__name__,
            tag=tag,
            summary=summary,
            description=inspect.cleandoc(handler.__doc__ or ""),
            handler=handler,
            returns=answers,
            status=first if isinstance(first, int) else first[0],
            problems=dict(sorted(meanings.items())),
            on_event_loop=loop,
            **declared,
        )

    return declare


def endpoints_of(*modules: ModuleType) -> tuple[Endpoint, ...]:
    """Return the endpoints that modules declare, in order."""
    found = (value for module in modules for value in vars(module).values() if isinstance(value, Endpoint))
    return tuple(dict.fromkeys(found))


def by_path(endpoints: Iterable[Endpoint]) -> dict[str, dict[str, Endpoint]]:
    """Return endpoints by path and method; paths with fewer named parts first, since others may match the same URL."""
    found: dict[str, dict[str, Endpoint]] = {}
    for each in sorted(endpoints, key=lambda each: each.path.count("{")):
        found.setdefault(each.path, {})[each.method] = each
    return found
