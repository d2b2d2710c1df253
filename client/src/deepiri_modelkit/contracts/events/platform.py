"""The events of `platform-events`: actions of users and of the platform's own systems."""

from typing import Literal

from pydantic import Field

from deepiri_modelkit.contracts.events.base import BaseEvent
from deepiri_modelkit.contracts.events.fields import Identifier, JsonObject, Prose, ShortText, Word


class UserActionEvent(BaseEvent):
    """A user did something on the platform."""

    event_type: Literal["user-action"]
    action: Identifier = Field(description="What the user did, for example `task-created`.")
    user_id: Identifier | None = Field(
        default=None, description="User who acted; `anonymous` when nobody is signed in."
    )
    service: Identifier | None = Field(default=None, description="Service that the action was performed in.")
    organization_id: Identifier | None = Field(default=None, description="Organisation that the event belongs to.")
    data: JsonObject | None = Field(default=None, description="Details of the event; any keys.")


class SystemEvent(BaseEvent):
    """The platform did something by itself, without a user."""

    event_type: Literal["system-event"]
    action: Identifier = Field(description="What happened, for example `backup-finished`.")
    service: Identifier | None = Field(default=None, description="Service that it happened in.")
    severity: Word | None = Field(default=None, description="How serious it is, in the publisher's own scale.")
    message: Prose | None = Field(default=None, description="Explanation for people.")
    user_id: Identifier | None = Field(default=None, description="User on whose behalf it happened.")
    organization_id: Identifier | None = Field(default=None, description="Organisation that the event belongs to.")
    data: JsonObject | None = Field(default=None, description="Details of the event; any keys.")


class ServiceStatusEvent(BaseEvent):
    """The health of a service changed."""

    event_type: Literal["service-status"]
    service: Identifier = Field(description="Service whose health changed.")
    status: ShortText | None = Field(
        default=None,
        description="Its health now, for example `healthy`, `degraded` or `down`; some tell it in `action` or `data`.",
    )
    previous_status: ShortText | None = Field(default=None, description="Its health until now.")
    message: Prose | None = Field(default=None, description="Explanation for people.")
    action: Identifier | None = Field(default=None, description="What brought the change about, for example `deploy`.")
    user_id: Identifier | None = Field(default=None, description="User on whose behalf it happened.")
    organization_id: Identifier | None = Field(default=None, description="Organisation that the event belongs to.")
    data: JsonObject | None = Field(default=None, description="Details of the event; any keys.")
