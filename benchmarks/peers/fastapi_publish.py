"""The service that a good developer would write for one event type: FastAPI, Pydantic, redis.asyncio, uvicorn.

It checks what the contract of `inference-complete` asks for, stores the same fields as Synapse, and answers the same.
FastAPI writes answers of a declared type with Pydantic's Rust serializer, its fastest way.
"""

import json
import os
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field
from redis import asyncio as redis
from redis.exceptions import RedisError, ResponseError

STREAM = os.environ["PEER_STREAM"]
ISO_8601 = (
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?"
    r"(Z|[+-]([01]\d|2[0-3]):[0-5]\d)?$"
)

app = FastAPI()
client = redis.from_url(os.environ["PEER_REDIS_URL"], decode_responses=True)

Short = Annotated[str, Field(min_length=1, max_length=200)]


class InferenceComplete(BaseModel):
    """A model answered a request."""

    model_config = ConfigDict(extra="allow", strict=True)

    event_type: Literal["inference-complete"]
    request_id: Short
    model_name: Short
    latency_ms: Annotated[int | float, Field(ge=0)]
    confidence: Annotated[float, Field(ge=0, le=1)]
    version: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    user_id: Short | None = None
    tokens_used: Annotated[int, Field(ge=0)] | None = None
    cost: Annotated[float, Field(ge=0)] | None = None
    success: bool | None = None
    timestamp: Annotated[str, Field(pattern=ISO_8601)] | None = None
    source: Short | None = None
    correlation_id: Short | None = None


class Published(BaseModel):
    """Where an event was stored."""

    id: str
    entry_id: str
    message_id: str
    stream: str
    event_type: str
    contract_version: int


class Message(BaseModel):
    id: str
    data: dict[str, str]


class Messages(BaseModel):
    stream: str
    count: int
    messages: list[Message]


class Info(BaseModel):
    stream: str
    length: int
    groups: int
    first_entry: Message | None
    last_entry: Message | None


class Health(BaseModel):
    status: str
    service: str


@app.post("/events/inference-events", status_code=201)
async def publish(event: InferenceComplete) -> Published:
    fields = {name: _storable(value) for name, value in event.model_dump(exclude_none=True).items()}
    if event.timestamp is None:
        fields["timestamp"] = datetime.now(UTC).isoformat()
    if event.source is None:
        fields["source"] = "anonymous"
    fields |= {"event": event.event_type, "synapse_version": 1, "synapse_added": "es"}
    id_ = await client.xadd(STREAM, fields)
    return Published(
        id=id_, entry_id=id_, message_id=id_, stream=STREAM, event_type=event.event_type, contract_version=1
    )


@app.get("/streams/inference-events/messages")
async def messages(count: Annotated[int, Query(ge=1, le=1000)] = 10) -> Messages:
    found = [Message(id=id_, data=fields) for id_, fields in await client.xrevrange(STREAM, count=count)]
    return Messages(stream=STREAM, count=len(found), messages=found)


@app.get("/streams/inference-events/info")
async def info() -> Info:
    try:
        found = await client.xinfo_stream(STREAM)
    except ResponseError:
        raise HTTPException(404, "There is no such stream.") from None
    return Info(
        stream=STREAM,
        length=found["length"],
        groups=found["groups"],
        first_entry=_message(found["first-entry"]),
        last_entry=_message(found["last-entry"]),
    )


@app.get("/health")
async def health() -> Health:
    try:
        await client.ping()
    except RedisError:
        raise HTTPException(503, "Redis cannot be reached.") from None
    return Health(status="healthy", service="peer")


def _storable(value: Any) -> str | int | float:
    return value if type(value) in (str, int, float) else json.dumps(value)


def _message(entry: Any) -> Message | None:
    return Message(id=entry[0], data=entry[1]) if entry else None
