"""Programs of Synapse as forks of a process that has imported their modules, which takes a second for each otherwise.

Within `forking()`, `subprocess` forks `manage.py`, and programs that set Django up, send notifications or write
Python code. Each is a child of the process that starts it, with the environment, folder, descriptors, signals and exit
status that it has anywhere. Only imports are shared: each program reads its settings and sets Django up by itself.

Programs start by themselves in the full run, on systems other than Linux, within `started_by_themselves()`, and where
`coverage` measures the programs of a run: it begins with a program, and ends with it.
"""

import atexit
import ctypes
import fcntl
import gc
import os
import pickle
import platform
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from synapse_project.environment import SETTINGS

ROOT = Path(__file__).parents[1]
FULL = os.environ.get("SYNAPSE_TESTS") == "full"
# The number of clone(2), and its flag that makes the new process a child of this one's parent.
CLONE = {"x86_64": 56, "aarch64": 220}.get(platform.machine(), 0)
CLONE_PARENT = 0x8000
IS_POSSIBLE = sys.platform == "linux" and CLONE != 0 and hasattr(subprocess, "_fork_exec")
IS_MEASURED = not os.environ.keys().isdisjoint(("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"))
# Signals that a program goes on to ignore when its parent does.
INHERITED = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)
# Variables that Python reads before it runs a program.
OF_PYTHON = ("PYTHONHASHSEED", "PYTHONWARNINGS", "PYTHONUTF8", "PYTHONASYNCIODEBUG")
UNBUFFERED = "PYTHONUNBUFFERED"
# Descriptors from here on are unused in a new process.
HIGH = 512
# An argument of the server, in whose place a program writes its own, for those that list processes.
ROOM = "-" * 4000
HEAD = 4

# The modules that run as programs, and the kind of server that has imported what each needs.
MODULES = {"bridges.handlers.child": "django", "synapse.delivery.notifications.child": "notifications"}
CODEGEN = str(ROOT / "synapse/schema/codegen/program.py")
# Those with the apps that the server has loaded.
SETTINGS_MODULES = ("synapse_project.settings", "tests.settings")
# Commands that start programs of Synapse.
STARTERS = {"up", "serve", "consume"}
# Beside models and pages of the admin. Some of `synapse_project` read settings while they are imported.
OF_COMMANDS = (
    *("alerts.api", "alerts.background", "alerts.catalog", "bridges.api", "bridges.catalog", "bridges.groups.expiry"),
    *("bridges.runtime.supervisor", "contracts.api.urls", "contracts.catalog", "core.database", "core.views"),
    *("corsheaders.middleware", "django.contrib.staticfiles.finders", "django.core.handlers.wsgi"),
    *("django.core.management.commands.migrate", "drf_spectacular.views", "rest_framework.views", "streams.api.routes"),
    *("streams.catalog", "streams.health", "synapse.redis.embedded.server", "synapse.server.acceptor"),
    *("synapse.server.front_door", "synapse.server.http_protocol", "uvicorn", "whitenoise.middleware"),
)


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program to fork. `targets` are the numbers that the descriptors sent along with it have in it."""

    words: list[str]
    folder: str
    environment: dict[str, str]
    targets: list[int]
    ignored: list[signal.Signals]
    has_own_session: bool
    umask: int


class ForkServer:
    """A process that forks programs, as children of the process that holds its connection, and ends with it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, kind: str) -> "ForkServer":
        ours, theirs = socket.socketpair()
        server = cls(ours)
        code = f"from {__name__} import main; main()"
        with theirs, started_by_themselves():
            server._process = subprocess.Popen(
                [sys.executable, "-c", code, kind, str(theirs.fileno()), ROOM],
                cwd=ROOT,
                env={name: text for name, text in os.environ.items() if name not in (UNBUFFERED, "PYTHONPATH")},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        return server

    def fork(self, program: Program, descriptors: Sequence[int]) -> int:
        """Start a program, and return its process."""
        packed = pickle.dumps(program)
        with self._lock:
            socket.send_fds(self._connection, [len(packed).to_bytes(HEAD)], list(descriptors))
            self._connection.sendall(packed)
            return int.from_bytes(_received(self._connection, HEAD))

    def close(self) -> None:
        """End it; programs that it has forked go on."""
        self._connection.close()
        if self._process:
            self._process.wait()


_servers: dict[str, ForkServer] = {}
_fork_exec = getattr(subprocess, "_fork_exec", None)
_lock = threading.RLock()
_is_off = threading.local()


@contextmanager
def forking() -> Iterator[None]:
    """Let `subprocess` fork programs of Synapse for as long as the block lasts."""
    if FULL or IS_MEASURED or not IS_POSSIBLE:
        yield
        return
    subprocess._fork_exec = _fork_or_exec  # type: ignore[attr-defined]
    try:
        yield
    finally:
        subprocess._fork_exec = _fork_exec  # type: ignore[attr-defined]
        for server in _servers.values():
            server.close()
        _servers.clear()


@contextmanager
def started_by_themselves() -> Iterator[None]:
    """Let programs that this thread starts within the block import for themselves, as they do for people."""
    before = getattr(_is_off, "value", False)
    _is_off.value = True
    try:
        yield
    finally:
        _is_off.value = before


def _fork_or_exec(words: Sequence[str], executables: object, closes: bool, kept: Sequence[int], *rest: object) -> int:
    """Start a program: takes the arguments of `_posixsubprocess.fork_exec`, by which `subprocess` does it."""
    cwd, env, in_, _, _, out, _, err, _, reported, _, session, group, *identity, umask, before_exec, _ = rest
    folder = os.path.abspath(os.fsdecode(cwd)) if cwd else os.getcwd()
    environment = dict(os.fsdecode(each).split("=", 1) for each in env) if env is not None else dict(os.environ)
    module = environment.get("DJANGO_SETTINGS_MODULE", SETTINGS_MODULES[0])
    kind = _kind_of([os.fsdecode(word) for word in words], folder, module)
    is_usual = closes and before_exec is None and group == -1 and all(each is None for each in identity)
    is_usual = is_usual and all(environment.get(name) == os.environ.get(name) for name in OF_PYTHON)
    if kind is None or not is_usual or getattr(_is_off, "value", False):
        return _fork_exec(words, executables, closes, kept, *rest)
    passed = [each for each in kept if each != reported]
    standard = [number if given == -1 else given for number, given in enumerate((in_, out, err))]
    program = Program(
        words=[os.fsdecode(word) for word in words[1:]],
        folder=folder,
        environment=environment,
        targets=[0, 1, 2, *passed],
        ignored=[number for number in INHERITED if signal.getsignal(number) is signal.SIG_IGN],
        has_own_session=bool(session),
        umask=umask,
    )
    with _lock:
        server = _servers[kind] if kind in _servers else _servers.setdefault(kind, ForkServer.start(kind))
    return server.fork(program, [*standard, *passed])


def _kind_of(words: Sequence[str], folder: str, module: str) -> str | None:
    """Return the kind of server that has imported what a command with a module of settings needs, or None."""
    if words[0] != sys.executable or len(words) < 3 or module not in SETTINGS_MODULES:
        return None
    if words[1] == "-m":
        return MODULES.get(words[2])
    if words[1] == "-I":
        return "codegen" if words[2] == CODEGEN else None
    if words[1] == "-c":
        return "django" if "django.setup()" in words[2] and folder == str(ROOT) else None
    file = Path(folder, words[1])
    is_of_tests = file.is_relative_to(ROOT / "tests") and "django.setup()" in file.read_text(encoding="utf-8")
    return "django" if file == ROOT / "manage.py" or is_of_tests else None


def main() -> None:
    """Import what programs of a kind need and fork them, in `python -c ... KIND CONNECTION ROOM`."""
    kind, connection = sys.argv[1], socket.socket(fileno=int(sys.argv[2]))
    {"django": _import_django, "notifications": _import_notifications, "codegen": _import_codegen}[kind]()
    # Programs would copy each page of memory that the collector walks over.
    gc.collect()
    gc.freeze()
    if program := _serve(kind, connection):
        _end(_status_of(program))


def _serve(kind: str, connection: socket.socket) -> Program | None:
    """Fork each program that is asked for. Return it in the fork, and None in the server when it is to end."""
    while True:
        head, descriptors, _, _ = socket.recv_fds(connection, HEAD, 64)
        if not head:
            return None
        program: Program = pickle.loads(_received(connection, int.from_bytes(head)))
        pid = _fork_sibling()
        if not pid:
            connection.detach()
            _take_over(program, descriptors)
            return _with_server(kind, program) if STARTERS.intersection(program.words) else program
        for descriptor in descriptors:
            os.close(descriptor)
        connection.sendall(pid.to_bytes(HEAD))


def _with_server(kind: str, program: Program) -> Program:
    """Fork a server for what this program starts, before it does anything. Each program that it forks returns here."""
    ours, theirs = socket.socketpair()
    if os.fork():
        theirs.close()
        _servers[kind] = ForkServer(ours)
        subprocess._fork_exec = _fork_or_exec  # type: ignore[attr-defined]
        return program
    ours.detach()
    kept = theirs.detach()
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    _close_all_but([kept])
    _write_arguments(["fork-server"])
    found = _serve(kind, socket.socket(fileno=kept))
    if found is None:
        os._exit(0)
    return found


def _fork_sibling() -> int:
    """Fork as os.fork does, but make a child of this process's parent, which can wait for it (clone(2))."""
    ctypes.pythonapi.PyOS_BeforeFork()
    arguments = (CLONE, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
    pid = int(ctypes.PyDLL(None).syscall(*map(ctypes.c_long, arguments)))
    (ctypes.pythonapi.PyOS_AfterFork_Parent if pid else ctypes.pythonapi.PyOS_AfterFork_Child)()
    return pid


def _take_over(program: Program, descriptors: Sequence[int]) -> None:
    """Give this process the descriptors, folder, environment, signals and arguments of a program."""
    for descriptor, number in zip(
        [fcntl.fcntl(each, fcntl.F_DUPFD, HIGH) for each in descriptors], program.targets, strict=True
    ):
        os.dup2(descriptor, number)
    _close_all_but(program.targets)
    if program.has_own_session:
        os.setsid()
    if program.umask >= 0:
        os.umask(program.umask)
    os.environ.clear()
    os.environ.update(program.environment)
    os.chdir(program.folder)
    for number in INHERITED:
        usual = signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL
        signal.signal(number, signal.SIG_IGN if number in program.ignored else usual)
    if program.environment.get(UNBUFFERED):
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    _write_arguments([sys.executable, *program.words])


def _close_all_but(kept: Sequence[int]) -> None:
    for number in map(int, os.listdir("/proc/self/fd")):
        if number > 2 and number not in kept:
            with suppress(OSError):  # that of the list itself is closed
                os.close(number)


def _write_arguments(words: Sequence[str]) -> None:
    """Let /proc tell of these arguments: they take the place of those that the server got (proc_pid_cmdline(5))."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    text = b"".join(os.fsencode(word) + b"\0" for word in words)
    ctypes.memmove(start, text[: end - start].ljust(end - start, b"\0"), end - start)


def _status_of(program: Program) -> int:
    """Run a program, and return its exit status."""
    try:
        _run(program)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        sys.excepthook(*sys.exc_info())
        return -signal.SIGINT
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _end(status: int) -> None:
    """End as Python does, but leave the memory to the system: to free it piece by piece, all of it would be copied."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status & 0xFF)


def _run(program: Program) -> None:
    """Run what the words after `python` name, as Python does."""
    first, *others = program.words
    if first == "-I":
        sys.path.remove("")
        sys.argv = others
        runpy.run_path(others[0], run_name="__main__")
        return
    added = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each and each not in sys.path]
    sys.path[1:1] = added
    if any(Path(each, "sitecustomize.py").exists() for each in added):
        import_module("sitecustomize")
    if first == "-c":
        sys.argv = ["-c", *others[1:]]
        sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(others[0], "<string>", "exec"), vars(sys.modules["__main__"]))
    elif first == "-m":
        sys.argv = ["-m", *others[1:]]
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *others]
        file = os.path.join(program.folder, first)
        sys.path[0] = os.path.dirname(file)
        runpy.run_path(file, run_name="__main__")


def _import_notifications() -> None:
    child = import_module("synapse.delivery.notifications.child")
    for module, _ in child._PLUGINS.values():
        import_module(f"apprise.plugins.{module}")
    # It runs as a program, and what is imported already would be found there.
    del sys.modules[child.__name__]


def _import_codegen() -> None:
    """Import the generator of Python code, and what it loads for the first module that it writes."""
    from datamodel_code_generator import Formatter, InputFileType, generate
    from datamodel_code_generator.enums import DataModelType

    generate(
        "{}",
        input_file_type=InputFileType.JsonSchema,
        output_model_type=DataModelType.PydanticV2BaseModel,
        formatters=[Formatter.BUILTIN],
    )


def _import_django() -> None:
    """Import models, pages of the admin and what commands use, and leave Django as before `django.setup()`."""
    from django.apps import apps
    from django.conf import empty, settings
    from django.db import connections
    from django.utils.module_loading import autodiscover_modules

    for setting in SETTINGS:
        os.environ.pop(setting.name, None)
        os.environ.pop(f"{setting.name}_FILE", None)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DJANGO_SETTINGS_MODULE"], os.environ["SYNAPSE_VAR"] = "synapse_project.settings", folder
        # Without apps to call when all models are there, each program can call them.
        apps.get_app_configs = list  # type: ignore[method-assign]
        apps.populate(settings.INSTALLED_APPS)
        del apps.get_app_configs
        # It puts the theme's site into the place of Django's, which pages of the admin register with.
        apps.get_app_config("unfold").ready()
        autodiscover_modules("admin")
        for name in OF_COMMANDS:
            import_module(name)
        assert "streams.kept_snapshot" not in sys.modules, "it has read settings"
    # Defaults that are set when its module is imported.
    added = {name: getattr(settings, name) for name in dir(settings) if name.startswith("AXES_")}
    settings._wrapped = empty
    # Models have asked the database how long the name of a table can be; all of theirs are shorter than any.
    vars(connections).clear()
    connections.__init__()  # type: ignore[misc]
    del sys.modules["synapse_project.settings"]

    def call_apps(_: object) -> None:
        """Do in place of `apps.populate` what is left for it."""
        del apps.populate
        for name, value in added.items():
            if not hasattr(settings, name):
                setattr(settings, name, value)
        for config in apps.get_app_configs():
            if config.name != "unfold":
                config.ready()

    apps.populate = call_apps  # type: ignore[method-assign]


def _received(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not (part := connection.recv(size - len(data))):
            raise EOFError("the fork server has ended")
        data += part
    return data
