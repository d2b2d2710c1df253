"""Settings from the environment, each declared once and parsed once. Invalid values are refused with a clear message.

A test checks that `docs/reference/settings.md` matches this list. Every setting can also be read from a file,
`NAME_FILE=/path`, as is usual for container secrets, and from `.env` next to `manage.py`.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import environ

from synapse.auth import api_key
from synapse.auth.client_ip import Proxies
from synapse.delivery import handlers
from synapse.delivery.webhooks import target
from synapse.formats import durations
from synapse.shares.resources import RESOURCES, read_percents
from synapse.tracing.settings import SAMPLERS
from synapse_project import setting_values


class BadSetting(Exception):
    """The value of a setting is not valid. The message is one line that names the setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One environment variable. `parse` converts its text, and raises ValueError with the expected form.

    `when_empty` is the value of an empty variable; without it, an empty variable counts as unset.
    """

    name: str
    meaning: str
    default: Any = ""
    parse: Callable[[str], Any] = str
    shown_default: str = ""
    when_empty: str = ""


DEFAULT_PORT = 8002
_AUTH = setting_values.one_of("required", "open", convert=str.lower)
# RFC 9110, 5.1.
_HEADER_NAME = setting_values.text_matching(r"[A-Za-z0-9!#$%&'+.^_`|~-]+", "names of headers, separated by commas")
_HANDLER = setting_values.text_where(
    handlers.is_allowed_path, "dotted paths of functions, or package.module.*, separated by commas"
)
_ORIGIN = setting_values.text_where(
    setting_values.is_origin, "origins such as http://localhost:5173, separated by commas"
)
_EXPORTER = setting_values.one_of("otlp", "none", convert=str.lower)
_COLLECTOR = setting_values.url("http", "https")

SETTINGS = (
    Setting(
        name="REDIS_URL",
        parse=setting_values.redis_url,
        shown_default="the embedded server",
        meaning="The Redis or Valkey that holds the events.",
    ),
    Setting(
        name="REDIS_HOST",
        parse=setting_values.text_matching(
            r"[A-Za-z0-9._-]+|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*", "a host name or an address, without a port"
        ),
        shown_default="the embedded server",
        meaning="Host of the Redis server, if `REDIS_URL` is not set.",
    ),
    Setting(
        name="REDIS_PORT", default=6379, parse=setting_values.redis_port, meaning="Port of the server at `REDIS_HOST`."
    ),
    Setting(name="REDIS_PASSWORD", meaning="Password of the server at `REDIS_HOST`."),
    Setting(
        name="REDIS_DB",
        default=0,
        parse=setting_values.integer_between(0, 1023),
        meaning="Number of the Redis database on the server at `REDIS_HOST`.",
    ),
    Setting(
        name="DATABASE_URL",
        parse=setting_values.url("sqlite", "postgresql", "postgres"),
        shown_default="SQLite in the data folder",
        meaning="The database of the definitions, as `postgresql://user:password@host/name`.",
    ),
    Setting(name="HOST", default="127.0.0.1", meaning="Address the web server listens on (0.0.0.0 in the image)."),
    Setting(
        name="PORT",
        default=DEFAULT_PORT,
        parse=setting_values.integer_between(1, 65535),
        meaning="Port the web server listens on.",
    ),
    Setting(
        name="SYNAPSE_COOKIE_SUFFIX",
        parse=setting_values.text_matching(r"[A-Za-z0-9_-]{1,40}", "1 to 40 letters, digits, - and _"),
        shown_default="none on port 8002, else `_` and the port",
        meaning="The end of the names of the admin's cookies: two installations on one host need different ones.",
    ),
    Setting(
        name="SECRET_KEY",
        parse=setting_values.secret_key,
        shown_default="made once, kept in the data folder",
        meaning="Django's secret key, at least 50 random characters. Machines that share a database must share it.",
    ),
    Setting(
        name="DEBUG",
        default=False,
        parse=setting_values.boolean,
        meaning="Django's debug mode. Never turn it on where others can reach the server.",
    ),
    Setting(
        name="ALLOWED_HOSTS",
        default=["synapse", ".deepiri.local", "deepiri-synapse-dev"],
        parse=setting_values.names,
        meaning="Host names that requests may use in addition to the loopback ones, separated by commas.",
    ),
    Setting(
        name="SYNAPSE_AUTH",
        parse=_AUTH,
        shown_default="`SYNAPSE_AUTH_DEFAULT`",
        meaning="`required`: callers need a key or a log-in. `open`: everybody may do everything.",
    ),
    Setting(
        name="SYNAPSE_AUTH_DEFAULT",
        default="required",
        parse=_AUTH,
        meaning="The default of `SYNAPSE_AUTH`; `make run` sets it to `open`.",
    ),
    Setting(
        name="SYNAPSE_KEY_ENVIRONMENT",
        default="live",
        parse=setting_values.text_where(api_key.is_environment, api_key.ENVIRONMENT_RULE),
        meaning="The environment in the keys of this installation. It distinguishes them from the keys of others.",
    ),
    Setting(
        name="SYNAPSE_METRICS_TOKEN",
        parse=setting_values.text_matching("[!-~]{16,}", "16 or more printable ASCII characters without spaces"),
        meaning="A token that may read `/metrics` and nothing else, sent as `Authorization: Bearer`.",
    ),
    Setting(
        name="CORS_ALLOWED_ORIGINS",
        default=["http://localhost:5173", "http://localhost:5175", "http://localhost:3000"],
        parse=setting_values.list_of(_ORIGIN),
        meaning="Origins whose pages may call the API from a browser, separated by commas.",
    ),
    Setting(
        name="CORS_ALLOW_HEADERS",
        default=[],
        parse=setting_values.list_of(_HEADER_NAME),
        meaning="Headers that these pages may send beside those of Synapse and of tracing, separated by commas.",
    ),
    Setting(
        name="CSRF_TRUSTED_ORIGINS",
        default=[],
        parse=setting_values.list_of(_ORIGIN),
        meaning="Origins of the admin as browsers see them, if a proxy hides them, separated by commas.",
    ),
    Setting(
        name="SYNAPSE_TRUSTED_PROXIES",
        default=Proxies(),
        parse=setting_values.trusted_proxies,
        shown_default="none",
        meaning="Trusted proxies in front of Synapse: addresses and networks, separated by commas.",
    ),
    Setting(
        name="SYNAPSE_HTTPS",
        default=False,
        parse=setting_values.boolean,
        meaning="Whether all callers use TLS, through a trusted proxy. Turns secure cookies and HSTS on.",
    ),
    Setting(
        name="SYNAPSE_RATE_PER_ADDRESS",
        default=None,
        parse=durations.parse_rate,
        meaning="Requests that one address may send, such as `100/s`, `6000/m` or `10000/h`.",
    ),
    Setting(
        name="SYNAPSE_RATE_PER_KEY",
        default=None,
        parse=durations.parse_rate,
        meaning="Requests that the holder of a key may send, in the same form.",
    ),
    *(
        Setting(
            name=resource.total_setting,
            default=resource.default,
            parse=setting_values.integer_between(1, resource.highest),
            meaning=resource.meaning,
        )
        for resource in RESOURCES.values()
    ),
    Setting(
        name="SYNAPSE_SHARES",
        default={},
        parse=read_percents,
        shown_default="see [Shares](#shares)",
        meaning="The share of a resource for one caller, and for all anonymous callers together, in percent.",
    ),
    Setting(
        name="SYNAPSE_PULL_GROUP_DAYS",
        default=30,
        parse=setting_values.integer_between(1, 3650),
        meaning="Days without a read after which a group that a read opened is deleted.",
    ),
    Setting(
        name="STREAM_MAX_LENGTH",
        default=100_000,
        parse=setting_values.integer_between(1, 10**12),
        meaning="How many events a stream keeps if its definition gives no number.",
    ),
    Setting(
        name="SYNAPSE_LIVE_HEARTBEAT",
        default=15,
        parse=setting_values.integer_between(1, 3600),
        meaning="Seconds between the heartbeats of an idle live connection.",
    ),
    Setting(
        name="SYNAPSE_PUBLIC_URL",
        parse=setting_values.text_where(setting_values.is_origin, "an address such as https://synapse.example.org"),
        meaning="The address at which people reach the admin: links in alerts begin with it, and `dataschema` in "
        "CloudEvents.",
    ),
    Setting(
        name="SYNAPSE_HANDLERS",
        default=[],
        parse=setting_values.list_of(_HANDLER),
        meaning="Functions that bridges may call: dotted paths, or `package.module.*`, separated by commas.",
    ),
    Setting(
        name="SYNAPSE_WEBHOOK_ALLOW",
        default=target.Allowed(),
        parse=lambda text: target.read_allowed(setting_values.names(text)),
        shown_default="none",
        meaning="Hosts and networks that webhooks (over http too) and notifications may reach, although not public.",
    ),
    Setting(
        name="SYNAPSE_ARCHIVE_SIZE",
        default=None,
        parse=setting_values.integer_between(1, 10**9),
        meaning="MiB that archived events may take in the database; beyond it the oldest are deleted.",
    ),
    Setting(
        name="SYNAPSE_SECRETS_KEY",
        default=[],
        parse=setting_values.passphrases,
        shown_default="`SECRET_KEY`",
        meaning="The key that encrypts secrets in the database, 32 characters or more. Older keys follow after commas.",
    ),
    Setting(
        name="SYNAPSE_VAR",
        shown_default="`var` beside `manage.py`",
        meaning="The data folder: embedded Redis, SQLite, generated secrets.",
    ),
    Setting(
        name="SYNAPSE_ADMIN_PASSWORD",
        shown_default="generated and printed once",
        meaning="Password of the user `admin` that `manage.py up` creates if there is no superuser.",
    ),
    Setting(
        name="SYNAPSE_AUDIT_LOG",
        parse=setting_values.file_or_word,
        meaning="A file, or `stderr`, to which each audit entry is also written as a line of JSON.",
    ),
    Setting(
        name="SYNAPSE_FAILED_LOGIN_DAYS",
        default=30,
        parse=setting_values.integer_between(1, 3650),
        meaning="Days for which audit entries of failed log-ins are kept; all other entries stay.",
    ),
    Setting(
        name="SYNAPSE_CATALOG",
        parse=setting_values.file_or_word,
        when_empty=setting_values.NO_FILE,
        shown_default="`catalog/deepiri.yaml`",
        meaning="The catalog file that `manage.py up` applies to a new installation; `none` or nothing: no file.",
    ),
    Setting(
        name="SYNAPSE_REDIS_TIMEOUT",
        default=0.9,
        parse=setting_values.milliseconds,
        shown_default="900",
        meaning="Milliseconds to wait for an answer of Redis before a request is refused with 503.",
    ),
    Setting(
        name="SYNAPSE_WORKERS",
        default=1,
        parse=setting_values.integer_between(1, 64),
        meaning="Web server processes.",
    ),
    Setting(
        name="OTEL_SDK_DISABLED",
        default=False,
        parse=setting_values.boolean,
        meaning="Whether tracing, and sending metrics, is off, although other `OTEL_*` variables turn it on.",
    ),
    Setting(
        name="OTEL_TRACES_EXPORTER",
        parse=_EXPORTER,
        shown_default="`otlp` if an endpoint is set",
        meaning="`otlp`: spans are sent to a collector. `none`: nothing is traced.",
    ),
    Setting(
        name="OTEL_METRICS_EXPORTER",
        default="none",
        parse=_EXPORTER,
        meaning="`otlp`: the metrics are sent to a collector, too.",
    ),
    Setting(
        name="OTEL_EXPORTER_OTLP_ENDPOINT",
        parse=_COLLECTOR,
        shown_default="http://localhost:4318",
        meaning="The collector's address; `/v1/traces` and `/v1/metrics` follow it.",
    ),
    Setting(
        name="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        parse=_COLLECTOR,
        meaning="The whole address for spans, in place of `OTEL_EXPORTER_OTLP_ENDPOINT`.",
    ),
    Setting(
        name="OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        parse=_COLLECTOR,
        meaning="The whole address for metrics, in place of `OTEL_EXPORTER_OTLP_ENDPOINT`.",
    ),
    Setting(
        name="OTEL_EXPORTER_OTLP_PROTOCOL",
        default="http/protobuf",
        parse=setting_values.one_of("http/protobuf"),
        meaning="The protocol to the collector; there is no other choice.",
    ),
    Setting(
        name="OTEL_TRACES_SAMPLER",
        default="parentbased_always_on",
        parse=setting_values.one_of(*SAMPLERS),
        meaning="Which traces are sampled.",
    ),
    Setting(
        name="OTEL_TRACES_SAMPLER_ARG",
        default=1.0,
        parse=setting_values.ratio,
        shown_default="1",
        meaning="The share of traces that the samplers by ratio take, from 0 to 1.",
    ),
    Setting(
        name="OTEL_METRIC_EXPORT_INTERVAL",
        default=60_000,
        parse=setting_values.integer_between(1000, 3_600_000),
        meaning="Milliseconds between two exports of the metrics.",
    ),
    Setting(
        name="SYNAPSE_TRACE_URL",
        parse=setting_values.trace_url,
        meaning="The page of a trace in a viewer, with `{trace_id}` in it: trace ids in the admin lead there.",
    ),
    Setting(
        name="SYNAPSE_LOG_LEVEL",
        default="INFO",
        parse=setting_values.one_of("DEBUG", "INFO", "WARNING", "ERROR", convert=str.upper),
        meaning="DEBUG, INFO, WARNING or ERROR.",
    ),
    Setting(
        name="SYNAPSE_LOG_FORMAT",
        default="text",
        parse=setting_values.one_of("text", "json", convert=str.lower),
        meaning="`text`, or `json`: one object in each line.",
    ),
)


def read_settings(base: Path, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the value of each setting by name, from `variables` (default: the process's environment and `base/.env`).

    Raises:
        BadSetting: when a value is not valid.
    """
    if variables is None:
        read_env_file(base)
        variables = os.environ
    return {setting.name: _parse_setting(setting, variables) for setting in SETTINGS}


def read_env_file(base: Path) -> None:
    """Add the variables of `base/.env` to the process's environment, without overwriting any."""
    if (base / ".env").is_file():
        environ.Env.read_env(str(base / ".env"))


def is_secret(name: str, text: str) -> bool:
    """Say whether a setting's value is or may contain a secret, such as a URL with a user or parameters."""
    if any(word in name for word in ("SECRET", "PASSWORD", "TOKEN")):
        return True
    return _is_url(name) and any(sign in text for sign in "@?#")


def _is_url(name: str) -> bool:
    return "URL" in name or name.endswith("_ENDPOINT")


# The name of a bridge's secret is this prefix and a name in capitals.
SECRETS_PREFIX = "SYNAPSE_SECRET_"


def read_secrets(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the secrets in `variables` (default: the process's environment) by the names of their variables.

    Raises:
        BadSetting: when the file of a secret cannot be read.
    """
    variables = os.environ if variables is None else variables
    names = {name.removesuffix("_FILE") for name in variables if name.startswith(SECRETS_PREFIX)}
    found = {name: _parse_setting(Setting(name=name, meaning=""), variables) for name in sorted(names)}
    return {name: text for name, text in found.items() if text}


def redis_url(values: Mapping[str, Any]) -> str:
    """Return the URL of the configured Redis, or "" for the embedded server."""
    if values["REDIS_URL"] or not values["REDIS_HOST"]:
        return str(values["REDIS_URL"])
    password = f":{quote(values['REDIS_PASSWORD'], safe='')}@" if values["REDIS_PASSWORD"] else ""
    host = f"[{values['REDIS_HOST']}]" if ":" in values["REDIS_HOST"] else values["REDIS_HOST"]
    return f"redis://{password}{host}:{values['REDIS_PORT']}/{values['REDIS_DB']}"


def cookie_suffix(values: Mapping[str, Any]) -> str:
    """Return the suffix of the admin's session cookie. On the default port it is "", so the cookie has Django's
    name.
    """
    if values["SYNAPSE_COOKIE_SUFFIX"] or values["PORT"] == DEFAULT_PORT:
        return str(values["SYNAPSE_COOKIE_SUFFIX"])
    return f"_{values['PORT']}"


def _parse_setting(setting: Setting, variables: Mapping[str, str]) -> Any:
    text = variables.get(setting.name, "")
    may_be_none = not is_secret(setting.name, "")
    if may_be_none:
        text = text.strip()
    if path := variables.get(f"{setting.name}_FILE", ""):
        if text:
            raise BadSetting(f"{setting.name} and {setting.name}_FILE are both set: say it once.")
        try:
            text = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadSetting(f"{setting.name}_FILE: cannot read {path}: {error}") from None
    elif not text and setting.name in variables:
        text = setting.when_empty
    # The documentation shows empty defaults as “none”, so that word is accepted.
    if not text or (may_be_none and text.lower() == shown_default(setting) == "none"):
        return setting.default
    try:
        return setting.parse(text)
    except ValueError as error:
        # Even an invalid URL may contain a password.
        shown = "(not shown)" if _is_url(setting.name) or is_secret(setting.name, text) else repr(text)
        raise BadSetting(f"{setting.name}: expected {error}, got {shown}") from None


def shown_default(setting: Setting) -> str:
    """Return a setting's default as shown in the documentation."""
    if setting.shown_default:
        return setting.shown_default
    if setting.default in ("", None, []):
        return "none"
    if isinstance(setting.default, list):
        return f"`{','.join(setting.default)}`"
    if isinstance(setting.default, bool):
        return f"`{str(setting.default).lower()}`"
    return f"`{setting.default}`"
