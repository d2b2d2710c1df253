"""The standard variables turn tracing on, and without them nothing of OpenTelemetry is loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

from synapse.tracing.settings import TraceSettings
from synapse_project import environment, setting_values

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


def settings_of(**variables):
    return setting_values.tracing_settings(environment.read_settings(Path(), variables))


@pytest.mark.parametrize(
    ("variables", "traces", "metrics"),
    [
        ({}, False, False),
        (ENDPOINT, True, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector/v1/traces"}, True, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector/v1/metrics"}, False, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True, False),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False, False),
        ({**ENDPOINT, "OTEL_METRICS_EXPORTER": "otlp"}, True, True),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, False, True),
        ({**ENDPOINT, "OTEL_METRICS_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, False, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, False, False),
    ],
)
def test_the_variables_say_what_is_exported(variables, traces, metrics):
    found = settings_of(**variables)

    assert (found.exports_traces, found.exports_metrics) == (traces, metrics)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_TRACES_SAMPLER_ARG", "nan"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("SYNAPSE_TRACE_URL", "https://traces.example.org/"),
        ("SYNAPSE_TRACE_URL", "javascript:alert({trace_id})"),
    ],
)
def test_a_variable_that_cannot_be_used_is_refused_by_its_name(name, text):
    with pytest.raises(environment.BadSetting, match=name):
        settings_of(**{name: text})


def test_an_endpoint_that_cannot_be_used_is_not_repeated_because_it_may_hold_a_password():
    with pytest.raises(environment.BadSetting) as refused:
        settings_of(OTEL_EXPORTER_OTLP_ENDPOINT="user:hunter2@collector")

    assert "hunter2" not in str(refused.value)


def test_the_urls_of_signals_are_below_the_endpoint_or_their_own():
    assert TraceSettings(endpoint="http://c:4318/").url_of("traces") == "http://c:4318/v1/traces"
    assert TraceSettings(endpoint="http://c", metrics_endpoint="http://m/x").url_of("metrics") == "http://m/x"
    assert TraceSettings().url_of("traces") == ""


@pytest.mark.process
def test_without_a_collector_nothing_of_opentelemetry_is_loaded():
    program = (
        "import sys, django; django.setup()\n"
        "from synapse_project.front_door import FrontDoor\n"
        "from bridges import consume\n"
        "from streams import tracing\n"
        "tracing.start()\n"
        "sys.exit('opentelemetry' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], check=False)

    assert done.returncode == 0
