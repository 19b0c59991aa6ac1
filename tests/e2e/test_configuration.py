"""Settings by file, environment and flag; what is wrong with them is said in one line, before anything is started."""
import pytest

from system import Millrace


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """The program in a folder of its own, where nothing runs."""
    millrace = Millrace(tmp_path_factory.mktemp("configuration"))
    yield millrace
    assert not millrace.processes()
    Millrace.all_of_this_test.remove(millrace)


def settings(command, *words, environment=None):
    done = command.run("config", *words, environment=environment, own_settings=False)
    assert done.code == 0, done.err
    return dict(line.split(" = ", 1) for line in done.out.splitlines())


def test_a_flag_wins_over_the_environment_and_that_over_the_file_and_that_over_the_default(command):
    file = command.home / "some.toml"
    file.write_text('[sink]\nmax_delay = "11ms"\nbatch_size = 111\ninsert_timeout = "11s"\n')
    environment = {"MILLRACE_SINK_MAX_DELAY": "22ms", "MILLRACE_SINK_BATCH_SIZE": "222"}

    shown = settings(command, "--config", file, "--sink-max-delay", "33ms", environment=environment)

    assert (shown["sink.max_delay"], shown["sink.batch_size"], shown["sink.insert_timeout"], shown["sink.position_interval"]) == (
        "33ms", "222", "11s", "200ms")


def test_the_file_is_found_by_the_environment_and_in_the_folder(command):
    named = command.home / "named.toml"
    named.write_text("[api]\nport = 4001\n")
    here = command.home / "millrace.toml"
    here.write_text("[api]\nport = 4002\n")
    try:
        assert settings(command)["api.port"] == "4002"
        assert settings(command, environment={"MILLRACE_CONFIG": str(named)})["api.port"] == "4001"
    finally:
        here.unlink()
    assert settings(command)["api.port"] == "3000"


def test_the_addresses_are_those_of_the_contract_unless_changed(command):
    shown = settings(command)
    assert (shown["api.host"], shown["api.port"]) == ("127.0.0.1", "3000")
    assert (shown["mysql.host"], shown["mysql.port"], shown["mysql.database"], shown["mysql.user"]) == (
        "127.0.0.1", "3306", "ecommerce", "admin")
    assert (shown["clickhouse.host"], shown["clickhouse.port"], shown["clickhouse.user"]) == ("127.0.0.1", "8123", "admin")


def test_the_example_file_is_a_file_that_changes_nothing(command):
    example = command.run("config", "--example", own_settings=False)
    assert example.code == 0
    file = command.home / "example.toml"
    file.write_text(example.out)
    assert settings(command, "--config", file) == settings(command)


def test_secrets_are_not_shown(command):
    shown = command.run("config", own_settings=False, environment={
        "MILLRACE_MYSQL_PASSWORD": "hush", "MILLRACE_CLICKHOUSE_PASSWORD": "hush", "MILLRACE_KAFKA_CLIENT": "sasl.password=hush",
        "MILLRACE_MYSQL_URL": "mysql://root:hush@127.0.0.1:1/x"})
    assert shown.code == 0 and "hush" not in shown.out + shown.err


BAD_FILES = {
    "an unknown key": ('[api]\nprot = 3000\n', ["2", "api.prot"]),
    "an unknown section": ('[apis]\nport = 3000\n', ["2", "apis.port"]),
    "a key without a section": ('port = 3000\n', ["1", "port"]),
    "a text for a number": ('[api]\nport = "many"\n', ["2", "api.port", "many"]),
    "a fraction for a number": ('[api]\nport = 30.5\n', ["2", "api.port"]),
    "a number for a switch": ('[mysql]\nembedded = 1\n', ["2", "mysql.embedded"]),
    "a list": ('[api]\nhost = ["127.0.0.1"]\n', ["2", "api.host"]),
    "a duration without a unit": ('[sink]\nmax_delay = "10"\n', ["2", "sink.max_delay"]),
    "a negative duration": ('[sink]\nmax_delay = "-1s"\n', ["2", "sink.max_delay"]),
    "a port that is none": ('[api]\nport = 70000\n', ["2", "api.port", "65535"]),
    "a port of 0 for a server": ('[mysql]\nport = 0\n', ["2", "mysql.port"]),
    "a number beyond 64 bits": ('[api]\nport = 99999999999999999999\n', ["2"]),
    "a key twice": ('[api]\nport = 1\nport = 2\n', ["3"]),
    "a text that is not closed": ('[api]\nhost = "127.0.0.1\n', ["2"]),
    "no TOML at all": ("<xml/>\n", ["1"]),
    "settings that contradict each other": ('[relay]\nbatch_size = 9000\n', ["transform.window", "relay.batch_size"]),
    "an event log that is not there": ('[event_log]\nkind = "papyrus"\n', ["event_log.kind", "papyrus"]),
}


@pytest.mark.parametrize("text, named", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_refused_with_the_line_and_the_name(command, text, named):
    file = command.home / "bad.toml"
    file.write_text(text)
    done = command.run("up", "--config", file)
    assert done.code == 2, done
    assert len(done.err.splitlines()) == 1, done.err
    for word in named:
        assert word in done.complaint()
    if not text.startswith(("[relay]", "[event_log]")):
        assert f"bad.toml:{named[0]}:" in done.complaint()
    assert not command.data.exists(), "nothing was made"


BAD_WORDS = {
    "a number that is too large": (["--event-log-partitions", "1025"], None, "--event-log-partitions"),
    "a number that is none": (["--sink-batch-size", "many"], None, "--sink-batch-size"),
    "a switch that is neither": (["--mysql-embedded", "maybe"], None, "--mysql-embedded"),
    "an environment variable out of range": ([], {"MILLRACE_API_BODY_BYTES_MAX": "1"}, "MILLRACE_API_BODY_BYTES_MAX"),
    "an empty environment variable": ([], {"MILLRACE_API_CONNECTIONS_MAX": ""}, "MILLRACE_API_CONNECTIONS_MAX"),
    "a window that is too small": (["--transform-window", "7999"], None, "transform.window"),
    "pauses in the wrong order": (["--relay-poll-interval", "1ms"], None, "relay.poll_interval"),
    "a log level that is none": (["--log-level", "loud"], None, "loud"),
    "a server of one's own beside the embedded one": (
        [], {"MILLRACE_MYSQL_URL": "mysql://root:x@127.0.0.1:1/shop"}, "mysql.embedded"),
    "a warehouse of one's own beside the embedded one": (
        ["--clickhouse-url", "http://127.0.0.1:1"], None, "clickhouse.embedded"),
    "an embedded server elsewhere": (["--mysql-host", "192.0.2.1"], None, "mysql.host"),
    "an address that is none": (
        ["--mysql-embedded", "false"], {"MILLRACE_MYSQL_URL": "http://nowhere"}, "mysql://"),
}


@pytest.mark.parametrize("words, environment, named", BAD_WORDS.values(), ids=BAD_WORDS.keys())
def test_bad_settings_are_refused_and_named(command, words, environment, named):
    done = command.run("up", *words, environment=environment)
    assert done.code == 2, done
    assert named in done.complaint()
    assert not command.processes()


@pytest.mark.parametrize("words", [["up", "--api-prot", "1"], ["sideways"], [], ["import", "online-retail"], ["up", "--api-port"]],
                         ids=["unknown flag", "unknown subcommand", "no subcommand", "no file", "flag without a value"])
def test_a_command_line_that_is_not_understood_ends_with_2(command, words):
    done = command.run(*words, own_settings=False)
    assert done.code == 2, done
    assert done.err and not done.out


def test_a_configuration_file_that_is_not_there_is_named(command):
    done = command.run("up", "--config", "nowhere.toml")
    assert done.code != 0
    assert "nowhere.toml" in done.complaint()


@pytest.mark.parametrize("role", ["relay", "transform", "sink"])
def test_a_stage_alone_says_that_the_embedded_log_needs_up(command, role):
    done = command.run(role)
    assert done.code == 2, done
    assert "millrace up" in done.complaint() and role in done.complaint()


def test_help_and_version_go_to_the_standard_output(command):
    for words in (["--help"], ["up", "--help"], ["--version"]):
        done = command.run(*words, own_settings=False)
        assert done.code == 0 and done.out and not done.err, done
