"""Write Python code for a schema: a program that `synapse.schema.codegen` starts, and ends if it takes too long.

The program reads JSON from standard input, `{"schema": ..., "class_name": ...}`, and writes the code to standard
output. An error is one line on standard error, and exit status 1. The schema is untrusted, so before reading it the
program gives up everything that it does not need: the network, other programs, and more memory and time than a page may
take.
"""

import contextlib
import json
import os
import resource
import sys
from typing import Any

# The generator itself takes 120 MiB; the rest is for large schemas.
_MOST_MEMORY = 1024**3
_MOST_SECONDS = 20
_MOST_CODE = 2 * 1024**2
_FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "urllib.")


def main() -> int:
    """Write the code, and return the exit status."""
    # Seconds of processor time. The low priority favours events and pages.
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_CPU, (_MOST_SECONDS, _MOST_SECONDS))
    # macOS does not enforce a memory limit: there, only the time and the size of a schema are limited.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    asked = json.load(sys.stdin)
    from datamodel_code_generator import Error  # noqa: PLC0415 # takes a second, and must run under the limits

    sys.addaudithook(_refuse_event)
    try:
        code = _generate(json.dumps(asked["schema"]), asked["class_name"])
    except (Error, RecursionError, MemoryError, LookupError, TypeError, ValueError, AttributeError, OSError) as error:
        # The generator has no specific errors for most of the input that it does not support.
        return _report_failure(f"{type(error).__name__}: {error}")
    if len(code) > _MOST_CODE:
        return _report_failure("the code is larger than 2 MiB")
    sys.stdout.write(code)
    return 0


def _generate(schema: str, class_name: str) -> str:
    from datamodel_code_generator import Formatter, InputFileType, PythonVersion, generate  # noqa: PLC0415
    from datamodel_code_generator.enums import DataModelType  # noqa: PLC0415

    found: Any = generate(
        schema,
        input_file_type=InputFileType.JsonSchema,
        output_model_type=DataModelType.PydanticV2BaseModel,
        target_python_version=PythonVersion.PY_311,
        class_name=class_name,
        # No formatter, because those read settings from files around them.
        formatters=[Formatter.BUILTIN],
        custom_file_header=" ",
        # An event may have more properties than its contract names, unless the contract forbids that.
        extra_fields="allow",
        use_annotated=True,
        use_standard_collections=True,
        use_union_operator=True,
        use_schema_description=True,
        use_double_quotes=True,
        # A dot in the name of a definition (`com.example.Customer`) would produce several modules.
        treat_dot_as_module=False,
    )
    if not isinstance(found, str):
        raise TypeError("the code would be several modules")
    return found


def _refuse_event(event: str, _: object) -> None:
    if event.startswith(_FORBIDDEN):
        raise OSError(f"{event} is not allowed here")


def _report_failure(reason: str) -> int:
    sys.stderr.write(" ".join(reason.split())[:300])
    return 1


if __name__ == "__main__":
    sys.exit(main())
