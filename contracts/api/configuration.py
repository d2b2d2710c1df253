"""Facts about the registry, and its settings: compatibility, policy and mode (READONLY or READWRITE), for all subjects
and for single subjects.
"""

from typing import Any

from django.conf import settings as django_settings

from contracts.api import openapi, request_parser
from contracts.api.errors import INVALID_COMPATIBILITY, INVALID_MODE, NO_COMPATIBILITY, NO_MODE, NOT_PERMITTED, Refused
from contracts.api.subjects import check_subject
from contracts.models import Compatibility, Contract, Mode, Policy, RegistrySettings
from contracts.registry import settings
from synapse.http.exchange import Request


@openapi.declare("GET", "/", "Say that a registry is here", openapi.OBJECT, scope=None)
def registry(asked: Request) -> Any:
    """Returns an empty object, as registries do."""
    return {}


@openapi.declare("GET", "/contexts{?offset,limit}", "List the contexts", openapi.TEXTS, scope=None)
def contexts(asked: Request) -> Any:
    """There is one context."""
    return request_parser.page(asked, ["."])


@openapi.declare(
    "GET",
    "/associations/resources/{namespace}/{resource}",
    "List a topic's associations",
    {"type": "array", "items": openapi.OBJECT},
    scope=None,
)
def associations(asked: Request, namespace: str, resource: str) -> Any:
    """There are none; clients then derive the subject from the topic's name."""
    return []


@openapi.declare("GET", "/v1/metadata/id", "Show the registry's name", openapi.ServerId, scope=None)
def registry_id(asked: Request) -> Any:
    """The registry belongs to no cluster."""
    return {"scope": {"path": [], "clusters": {}}, "id": "synapse"}


@openapi.declare("GET", "/v1/metadata/version", "Show the registry's version", openapi.ServerVersion, scope=None)
def registry_version(asked: Request) -> Any:
    """Returns the version of Synapse."""
    return {"version": django_settings.SPECTACULAR_SETTINGS["VERSION"], "commitId": ""}


# Other registries apply these settings. Synapse only stores and returns them, except for `normalize`, which it applies.
KEPT = {
    "normalize": bool,
    "compatibilityGroup": str,
    "defaultMetadata": dict,
    "overrideMetadata": dict,
    "defaultRuleSet": dict,
    "overrideRuleSet": dict,
}

_FORMS = {str: "a text", dict: "a JSON object", bool: "true or false"}
_SETTINGS = ("compatibility", "compatibilityLevel", "compatibilityPolicy", *KEPT)


@openapi.declare("GET", "/config", "Show the compatibility of all subjects", openapi.Config)
def show_config(asked: Request) -> Any:
    """Shows the compatibility of every subject without its own."""
    return _config_json(settings.of_all())


@openapi.declare(
    "PUT", "/config", "Set the compatibility of all subjects", openapi.ConfigBody, request=openapi.ConfigBody
)
def set_config(asked: Request) -> Any:
    """Settings left out of the body stay unchanged. The answer repeats the new settings."""
    values, echo = _parse_settings(asked)
    settings.change(None, by=asked.principal, **values)
    return echo


@openapi.declare("DELETE", "/config", "Take the compatibility of all subjects back", openapi.Config, refusals=[422])
def delete_config(asked: Request) -> Any:
    """Restores BACKWARD and LENIENT. The answer has the settings before that."""
    before = _config_json(settings.of_all())
    settings.change(
        None, by=asked.principal, compatibility=Compatibility.BACKWARD.value, policy=Policy.LENIENT.value, extras={}
    )
    return before


@openapi.declare("GET", "/config/{subject}{?defaultToGlobal}", "Show a subject's compatibility", openapi.Config)
def show_subject_config(asked: Request, subject: str) -> Any:
    """404 for a subject without settings of its own, unless `defaultToGlobal` asks for the general ones instead."""
    owner = Contract.objects.filter(subject=subject).first()
    if owner is not None and _has_settings(owner):
        return _config_json(owner)
    if request_parser.flag(asked, "defaultToGlobal"):
        return _config_json(settings.of_all())
    raise _no_compatibility(subject)


@openapi.declare(
    "PUT", "/config/{subject}", "Set a subject's compatibility", openapi.ConfigBody, request=openapi.ConfigBody
)
def set_subject_config(asked: Request, subject: str) -> Any:
    """Settings left out of the body stay unchanged. The subject need not have a version yet."""
    check_subject(subject)
    values, echo = _parse_settings(asked)
    settings.change_contract(subject, by=asked.principal, **values)
    return echo


@openapi.declare("DELETE", "/config/{subject}", "Take a subject's compatibility back", openapi.Config)
def delete_subject_config(asked: Request, subject: str) -> Any:
    """The settings of all subjects apply to the subject again. The answer has its own settings before that."""
    owner = Contract.objects.filter(subject=subject).first()
    if owner is None or not _has_settings(owner):
        raise _no_compatibility(subject)
    before = _config_json(owner)
    settings.change_contract(subject, by=asked.principal, compatibility="", policy="", extras={})
    return before


def _parse_settings(asked: Request) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parse the settings in a body. Return the arguments for `settings.change`, and the settings as the response
    repeats them.
    """
    body = request_parser.body(asked)
    if unknown := sorted(name for name, value in body.items() if name not in _SETTINGS and value is not None):
        raise Refused(
            INVALID_COMPATIBILITY,
            f"“{unknown[0][:100]}” is no setting of this registry; nothing was set. It knows {', '.join(_SETTINGS)}.",
        )
    values: dict[str, Any] = {}
    echo: dict[str, Any] = {}
    for name, column, choices in (
        ("compatibility", "compatibility", Compatibility),
        ("compatibilityLevel", "compatibility", Compatibility),
        ("compatibilityPolicy", "policy", Policy),
    ):
        word = body.get(name)
        if word is None:
            continue
        if not isinstance(word, str) or word.upper() not in choices.values:
            raise Refused(INVALID_COMPATIBILITY, f"“{name}” is one of {', '.join(choices.values)}.")
        values[column] = echo[name] = word.upper()
    kept = {name: body[name] for name in KEPT if body.get(name) is not None}
    for name, given in kept.items():
        if not isinstance(given, KEPT[name]):
            raise Refused(INVALID_COMPATIBILITY, f"“{name}” is {_FORMS[KEPT[name]]}.")
    if kept:
        values["more"] = kept
    return values, {**echo, **kept}


def _has_settings(of: Contract) -> bool:
    return bool(of.compatibility or of.policy or of.extras)


def _no_compatibility(subject: str) -> Refused:
    return Refused(NO_COMPATIBILITY, f"The subject “{subject}” has no compatibility of its own.")


def _config_json(of: Contract | RegistrySettings) -> dict[str, Any]:
    everywhere = of if isinstance(of, RegistrySettings) else settings.of_all()
    return {
        "compatibilityLevel": of.compatibility or everywhere.compatibility,
        "compatibilityPolicy": of.policy or everywhere.policy,
        **of.extras,
    }


_IMPORT = "IMPORT"


@openapi.declare("GET", "/mode", "Show the mode of all subjects", openapi.ModeBody)
def show_mode(asked: Request) -> Any:
    """Shows the mode of every subject without its own."""
    return {"mode": settings.of_all().mode}


@openapi.declare("PUT", "/mode{?force}", "Set the mode of all subjects", openapi.ModeBody, request=openapi.ModeBody)
def set_mode(asked: Request) -> Any:
    """READONLY_OVERRIDE also applies to subjects with a mode of their own."""
    mode = _parse_mode(asked)
    settings.change(None, by=asked.principal, mode=mode)
    return {"mode": mode}


@openapi.declare("DELETE", "/mode", "Take the mode of all subjects back", openapi.ModeBody)
def delete_mode(asked: Request) -> Any:
    """Restores READWRITE. The answer has the mode before that."""
    before = settings.of_all().mode
    settings.change(None, by=asked.principal, mode=Mode.READWRITE.value)
    return {"mode": before}


@openapi.declare("GET", "/mode/{subject}{?defaultToGlobal}", "Show a subject's mode", openapi.ModeBody)
def show_subject_mode(asked: Request, subject: str) -> Any:
    """404 for a subject without a mode of its own, unless `defaultToGlobal` asks for the one that applies instead."""
    if request_parser.flag(asked, "defaultToGlobal"):
        return {"mode": settings.mode_of(Contract.objects.filter(subject=subject).first())}
    return {"mode": _find_with_mode(subject).mode}


@openapi.declare("PUT", "/mode/{subject}{?force}", "Set a subject's mode", openapi.ModeBody, request=openapi.ModeBody)
def set_subject_mode(asked: Request, subject: str) -> Any:
    """The subject need not have a version yet."""
    check_subject(subject)
    mode = _parse_mode(asked)
    settings.change_contract(subject, by=asked.principal, mode=mode)
    return {"mode": mode}


@openapi.declare("DELETE", "/mode/{subject}", "Take a subject's mode back", openapi.ModeBody)
def delete_subject_mode(asked: Request, subject: str) -> Any:
    """The mode of all subjects applies to the subject again. The answer has its own mode before that."""
    owner = _find_with_mode(subject)
    settings.change_contract(subject, by=asked.principal, mode="")
    return {"mode": owner.mode}


def _parse_mode(asked: Request) -> str:
    request_parser.flag(asked, "force")
    body = request_parser.body(asked)
    if unknown := sorted(name for name, value in body.items() if name != "mode" and value is not None):
        raise Refused(INVALID_MODE, f"“{unknown[0][:100]}” goes with no mode; nothing was set. Send “mode” alone.")
    word = body.get("mode")
    mode = word.upper() if isinstance(word, str) else ""
    if mode == _IMPORT:
        raise Refused(
            NOT_PERMITTED, "IMPORT would let callers choose ids and versions; here the database alone gives them."
        )
    if mode not in Mode.values:
        raise Refused(INVALID_MODE, f"“mode” is one of {', '.join(Mode.values)}.")
    return mode


def _find_with_mode(subject: str) -> Contract:
    owner = Contract.objects.filter(subject=subject).first()
    if owner is None or not owner.mode:
        raise Refused(NO_MODE, f"The subject “{subject}” has no mode of its own.")
    return owner
