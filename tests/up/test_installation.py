"""Commands of another shell find the settings of the installation that runs here, and are told where they differ."""

import contextlib
import os
import stat

import pytest

from synapse.runtime import private_files
from synapse_project import installation

SECRET = "a-secret-of-50-characters-that-nobody-must-ever-see"
WITHHELD = {"REDIS_PASSWORD", "SECRET_KEY", "SYNAPSE_METRICS_TOKEN", "SYNAPSE_SECRETS_KEY", "SYNAPSE_SECRET_SHOP"}


@pytest.fixture(autouse=True)
def nothing_is_taken():
    yield
    installation.adopted, installation.others = None, ()


@pytest.fixture
def records(tmp_path):
    return tmp_path / "checkout" / "var" / "running"


@pytest.fixture
def run(tmp_path, records):
    """Record an installation as `up` does, and let it run as long as the test, or until the lock is closed."""
    locks = []

    def run(name="var", database="/data/synapse.sqlite3", redis="the embedded one", **variables):
        records.parent.parent.mkdir(exist_ok=True)
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        locks.append(private_files.take_lock(folder / installation.UP_LOCK))
        variables[installation.RECORDS] = str(records)
        installation.record(folder, variables, database=database, redis=redis)
        return locks[-1]

    yield run
    for lock in locks:
        with contextlib.suppress(OSError):
            os.close(lock)


def adopted(records, command="catalog", **variables):
    """Return the environment of a command, with the variables that it adopted."""
    variables[installation.RECORDS] = str(records)
    installation.adopt(["manage.py", command], variables)
    del variables[installation.RECORDS]
    return variables


def said(database="/data/synapse.sqlite3", redis="the embedded one"):
    return installation.describe_differences(database=database, redis=redis)


def test_a_command_takes_what_its_environment_does_not_say_and_tells_what_it_took(run, records, tmp_path):
    run(PORT="9002", SYNAPSE_AUTH="open", SYNAPSE_REDIS_TIMEOUT="30000")

    found = adopted(records, SYNAPSE_REDIS_TIMEOUT="50")

    assert found == {
        "PORT": "9002",
        "SYNAPSE_AUTH": "open",
        "SYNAPSE_REDIS_TIMEOUT": "50",
        "SYNAPSE_VAR": str(tmp_path / "var"),
    }
    assert said() == (
        f"synapse: An installation runs here (process {os.getpid()}, data in {tmp_path / 'var'}). "
        "Taken from there: PORT, SYNAPSE_AUTH, SYNAPSE_VAR."
    )


def test_a_command_that_has_all_settings_tells_nothing(run, records, tmp_path):
    run(PORT="9002", SYNAPSE_AUTH_DEFAULT="open")

    adopted(records, PORT="9002", SYNAPSE_VAR=str(tmp_path / "var"))

    assert said() == ""


def test_no_secret_is_written_and_commands_are_told_the_names(run, records):
    urls = {"REDIS_URL": f"redis://:{SECRET}@host/0", "DATABASE_URL": f"postgresql://me:{SECRET}@host/db"}
    run(**dict.fromkeys(WITHHELD, SECRET), **urls, SYNAPSE_ADMIN_PASSWORD=SECRET)

    (path,) = records.iterdir()

    assert SECRET not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    adopted(records)
    for name in WITHHELD | urls.keys():
        assert name in said()
    assert "SYNAPSE_ADMIN_PASSWORD" not in said()  # no command but `up` needs it


@pytest.mark.parametrize("url", ["redis://host:6380/2", "unix:///run/redis.sock"])
def test_a_url_without_a_password_is_no_secret(run, records, url):
    run(REDIS_URL=url)

    assert adopted(records)["REDIS_URL"] == url


@pytest.mark.parametrize("url", ["redis://user@host", "redis://host?ssl_password=x", "postgresql://host/db?password=x"])
def test_a_url_that_may_hold_a_secret_is_one(run, records, url):
    run(DATABASE_URL=url)

    assert "DATABASE_URL" not in adopted(records)


def test_a_secret_in_a_file_is_found_by_its_path(run, records):
    run(DATABASE_URL_FILE="/run/secrets/database")

    assert adopted(records)["DATABASE_URL_FILE"] == "/run/secrets/database"
    assert "DATABASE_URL_FILE" not in adopted(records, DATABASE_URL="sqlite:///:memory:")


def test_the_names_of_bridges_secrets_that_a_command_lacks_are_known(run, records):
    run(SYNAPSE_SECRET_SHOP=SECRET, SYNAPSE_SECRET_BANK=SECRET, SYNAPSE_SECRET_POST_FILE="/run/secrets/post")

    found = adopted(records, SYNAPSE_SECRET_BANK="mine")

    assert installation.secrets_elsewhere() == {"SYNAPSE_SECRET_SHOP"}
    assert found["SYNAPSE_SECRET_POST_FILE"] == "/run/secrets/post"


def test_paths_mean_the_same_in_every_folder(run, records, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(SYNAPSE_CATALOG=" mine.yaml", SYNAPSE_AUDIT_LOG="STDERR", DATABASE_URL="sqlite:///mine.sqlite3")

    found = adopted(records)

    assert found["SYNAPSE_CATALOG"] == str(tmp_path / "mine.yaml")
    assert found["SYNAPSE_AUDIT_LOG"] == "stderr"
    assert found["DATABASE_URL"] == f"sqlite:///{tmp_path}/mine.sqlite3"


def test_a_command_that_names_its_redis_gets_no_part_of_another(run, records):
    run(REDIS_URL="redis://there/0")

    assert "REDIS_URL" not in adopted(records, REDIS_HOST="here")
    assert said(redis="redis://here:6379/0").endswith(
        "This command acts on another Redis, redis://here:6379/0; there it is the embedded one."
    )


def test_a_command_on_another_database_says_which(run, records):
    run(database="postgresql://db:5432/synapse", DATABASE_URL=f"postgresql://me:{SECRET}@db/synapse")
    adopted(records)

    assert "Secret, and to be set here where it matters: DATABASE_URL." in said()
    assert "another database, /data/synapse.sqlite3; there it is postgresql://db:5432/synapse." in said()


def test_a_command_with_a_data_folder_of_its_own_says_what_it_does_not_act_on(run, records, tmp_path):
    run(PORT="9002")

    found = adopted(records, SYNAPSE_VAR=str(tmp_path / "elsewhere"))

    assert found == {"SYNAPSE_VAR": str(tmp_path / "elsewhere")}
    assert said(database="/elsewhere/synapse.sqlite3", redis="the embedded one of elsewhere") == (
        f"synapse: An installation runs here (process {os.getpid()}, data in {tmp_path / 'var'}). "
        "This command acts on another database, /elsewhere/synapse.sqlite3; there it is /data/synapse.sqlite3. "
        "This command acts on another Redis, the embedded one of elsewhere; there it is the embedded one."
    )


def test_a_command_that_none_of_several_installations_is_meant_by_names_them_all(run, records):
    run("one", database="/one.sqlite3")
    run("two", database="/two.sqlite3")

    adopted(records)

    assert [line.rpartition(" ")[2] for line in said().splitlines()] == ["/one.sqlite3.", "/two.sqlite3."]


def test_a_data_folder_of_its_own_with_the_same_database_and_redis_is_not_told(run, records, tmp_path):
    run()

    adopted(records, SYNAPSE_VAR=str(tmp_path / "elsewhere"))

    assert said() == ""


def test_the_file_of_a_stopped_installation_is_ignored_and_deleted_by_the_next(run, records):
    os.close(run(PORT="9002"))

    assert adopted(records) == {}
    run("other", PORT="9003")
    assert len(list(records.iterdir())) == 1


def test_an_installation_that_stops_leaves_no_record(run, records, tmp_path):
    run(PORT="9002")

    installation.forget(tmp_path / "var", {installation.RECORDS: str(records)})

    assert adopted(records) == {}


def test_of_several_installations_the_data_folder_says_which_is_meant(run, records, tmp_path):
    run("one", PORT="9001")
    run("two", PORT="9002")

    assert adopted(records) == {}
    assert adopted(records, SYNAPSE_VAR=str(tmp_path / "two"))["PORT"] == "9002"
    assert "PORT" not in adopted(records, SYNAPSE_VAR=str(tmp_path / "three"))


@pytest.mark.parametrize("text", ["", "{}", "[1]", "{", '{"process": 1}'])
def test_a_file_that_is_no_record_is_passed_over(records, text):
    records.mkdir(parents=True)
    (records / "x.json").write_text(text)

    assert adopted(records) == {}


@pytest.mark.parametrize("command", ["up", "chaos", "check", "--help", "makemigrations"])
def test_commands_with_settings_of_their_own_take_none(run, records, command):
    run(PORT="9002")

    assert adopted(records, command) == {}


def test_programs_that_up_starts_have_its_environment_and_take_none(run, records):
    run(PORT="9002")

    assert adopted(records, SYNAPSE_LIFELINE_FD="5") == {"SYNAPSE_LIFELINE_FD": "5"}


def test_places_are_told_without_passwords(tmp_path):
    postgresql = {"ENGINE": "django.db.backends.postgresql", "HOST": "", "PORT": "", "NAME": "db", "PASSWORD": SECRET}

    assert installation.database_of(postgresql) == "postgresql://localhost:5432/db"
    assert installation.redis_of(f"rediss://me:{SECRET}@host:6380/1?ssl_password={SECRET}", tmp_path) == (
        "rediss://host:6380/1"
    )
    assert installation.redis_of("", tmp_path) == f"the embedded one in {tmp_path}"
