"""The frame of the command line: start-up, usage, streams, signals, bugs, exit codes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler import __version__
from tests.e2e.command import COMMAND, TIMEOUT_S, Ended, Run

VALID = """\
apiVersion: reconciler/v1
kind: ApiConnection
metadata: {name: crm}
spec:
  baseUrl: https://api.example.com/v2
"""
INVALID = VALID + "  timeuot: {total: 5s}\n"
CANARY = "canary-7f3c91d2e5"

needs_full_device = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="this system has no /dev/full"
)
#: Libraries that a command which only reads files must not pay for.
HEAVY = {"alembic", "httpx", "pydantic", "rich", "sqlalchemy"}
_LOADED = """
import sys
from reconciler.__main__ import main
sys.argv[0] = "reconciler"
code = main()
loaded = sorted({name.partition(".")[0] for name in sys.modules} | set(sys.modules))
open("loaded.txt", "w").write("\\n".join(loaded))
sys.exit(code)
"""
_WATCHED = """
import sys
touched = []
watched = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system")
sys.addaudithook(lambda event, _: event.startswith(watched) and touched.append(event))
from reconciler.__main__ import main
main()
print(*touched, file=open("touched.txt", "w"))
"""
_BROKEN = f"""
import sys
from reconciler.cli import frame, table
import click

def broken():
    token = "{CANARY}"
    raise ValueError("this text may hold a secret: " + token)

sys.modules["broken"] = sys
sys.command = click.Command("broken", callback=broken)
table.ROWS["broken"] = frame.Row(target="broken:command", summary="breaks", section="Test")
from reconciler.__main__ import main
sys.exit(main())
"""


def loaded_by(run: Run, *args: str) -> set[str]:
    ended = run.python(_LOADED, *args)
    assert ended.code == 0, ended.stderr
    return set((run.folder / "loaded.txt").read_text().split())


def with_full_stdout(run: Run, *args: str) -> Ended:
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [COMMAND, *args],
            cwd=run.folder,
            env=run.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=TIMEOUT_S,
        )
    return Ended(code=ended.returncode, stdout="", stderr=ended.stderr.decode())


# --- start-up ---------------------------------------------------------------------------------


def test_version_is_one_line(run: Run) -> None:
    assert run("--version") == Ended(code=0, stdout=f"reconciler {__version__}\n", stderr="")


def test_version_after_another_option_is_the_same(run: Run) -> None:
    assert run("-q", "--version").stdout == f"reconciler {__version__}\n"


def test_module_runs_like_the_command(run: Run) -> None:
    assert run.program(sys.executable, "-m", "reconciler", "--version") == run("--version")


def test_version_imports_nothing_but_itself(run: Run) -> None:
    ours = {name for name in loaded_by(run, "--version") if name.startswith("reconciler")}
    assert ours == {"reconciler", "reconciler.__main__", "reconciler._version"}


def test_help_imports_no_command_and_no_heavy_library(run: Run) -> None:
    loaded = loaded_by(run, "--help")
    assert not loaded & HEAVY
    assert not loaded & {"reconciler.cli.checking", "reconciler.model", "yaml"}


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["validate"], id="validate"),
        pytest.param(["schema", "api", "--draft", "7"], id="schema"),
        pytest.param(["explain", "E104"], id="explain"),
        pytest.param(["new", "sql", "orders"], id="new"),
    ],
)
def test_commands_that_read_files_import_no_heavy_library(run: Run, args: list[str]) -> None:
    run.write("manifests/crm.yaml", VALID)
    assert not loaded_by(run, *args) & HEAVY


def test_validate_imports_nothing_that_it_does_not_use(run: Run) -> None:
    run.write("manifests/crm.yaml", VALID)
    assert not loaded_by(run, "validate") & {
        *("importlib.resources", "jsonschema", "logging", "sqlite3", "tempfile", "yaml", "zipfile"),
        *("reconciler.plan", "reconciler.schema", "reconciler.stores"),
    }


# --- usage ------------------------------------------------------------------------------------


def test_unknown_command_states_the_near_one(run: Run) -> None:
    assert run("valdate") == Ended(
        code=2,
        stdout="",
        stderr=(
            "error: there is no command `valdate`\n  = help: a similar command exists: `validate`\n"
        ),
    )


def test_unknown_option_states_the_near_one(run: Run) -> None:
    assert run("validate", "--al") == Ended(
        code=2,
        stdout="",
        stderr="error: there is no option `--al`\n  = help: a similar option exists: `--all`\n",
    )


def test_secret_cannot_be_given_on_the_command_line(run: Run) -> None:
    ended = run("validate", "--password", CANARY)
    assert ended.code == 2
    assert "secrets are not given on the command line" in ended.stderr
    assert CANARY not in ended.stderr


def test_missing_argument_is_a_usage_error(run: Run) -> None:
    assert run("new") == Ended(
        code=2,
        stdout="",
        stderr=(
            "error: missing argument `KIND`\n  = help: reconciler new --help shows what there is\n"
        ),
    )


def test_no_command_shows_the_help_and_fails(run: Run) -> None:
    ended = run()
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("Usage: reconciler [OPTIONS] COMMAND")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_goes_to_standard_output(run: Run, option: str) -> None:
    ended = run(option)
    assert (ended.code, ended.stderr) == (0, "")
    assert "  validate " in ended.stdout


def test_help_of_a_command_shows_examples(run: Run) -> None:
    assert "Examples:\n  reconciler validate\n" in run("validate", "--help").stdout


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["--stack", "Not A Name", "validate"], id="before the command"),
        pytest.param(["validate", "--stack", "Not A Name"], id="after the command"),
    ],
)
def test_options_of_every_command_stand_before_or_after_it(run: Run, args: list[str]) -> None:
    ended = run(*args)
    assert ended.code == 2
    assert ended.stderr.startswith("error: --stack must be 1 to 63 of a-z")


def test_deleted_working_directory_is_a_usage_error(run: Run) -> None:
    ended = run.python(
        "import os, subprocess, sys\n"
        "os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n"
        f"sys.exit(subprocess.run([{COMMAND!r}, 'validate']).returncode)"
    )
    assert ended.code == 2
    assert "the working directory does not exist any more" in ended.stderr


# --- streams ----------------------------------------------------------------------------------


@needs_full_device
@pytest.mark.parametrize(
    "args", [["--version"], ["--help"], ["explain"], ["schema"]], ids=lambda args: args[0]
)
def test_full_standard_output_fails_without_a_traceback(run: Run, args: list[str]) -> None:
    ended = with_full_stdout(run, *args)
    assert ended.code == 1
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr


@needs_full_device
def test_full_standard_output_is_said(run: Run) -> None:
    assert with_full_stdout(run, "explain").stderr == (
        "error: standard output cannot be written: no space left on device\n"
    )


@pytest.mark.parametrize("args", ["--version", "explain"])
def test_closed_standard_output_fails_without_a_traceback(run: Run, args: str) -> None:
    ended = run.program("/bin/sh", "-c", f"{COMMAND} {args} >&-")
    assert ended.code == 1
    assert "Traceback" not in ended.stderr


def test_reader_that_goes_away_ends_the_command_quietly(run: Run) -> None:
    with run.start("schema") as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        stderr = process.stderr.read()
        assert (process.wait(TIMEOUT_S), stderr) == (1, b"")


def test_closed_standard_error_does_not_matter(run: Run) -> None:
    run.write("manifests/crm.yaml", VALID)
    assert run.program("/bin/sh", "-c", f"{COMMAND} validate 2>&-").code == 0


def test_closed_standard_input_is_a_finding(run: Run) -> None:
    ended = run.program("/bin/sh", "-c", f"{COMMAND} validate - <&-")
    assert ended.code == 3
    assert "Traceback" not in ended.stderr


def test_pipe_gets_no_escape_codes(run: Run) -> None:
    run.write("manifests/crm.yaml", INVALID)
    ended = run("validate", env={"TERM": "xterm-256color"})
    assert "\x1b" not in ended.stdout + ended.stderr


def test_colours_can_be_asked_for(run: Run) -> None:
    run.write("manifests/crm.yaml", INVALID)
    assert "\x1b[1;31merror[E104]\x1b[0m" in run("validate", "--color", "always").stdout


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_every_encoding_can_show_every_finding(run: Run, encoding: str) -> None:
    run.write("manifests/crm.yaml", INVALID.replace("timeuot", "tïméüöt→✓"))
    ended = run("validate", env={"PYTHONIOENCODING": encoding})
    assert ended.code == 3
    assert "Traceback" not in ended.stderr


def test_quiet_leaves_only_results(run: Run) -> None:
    run.write("manifests/crm.yaml", VALID)
    assert run("validate", "-q") == Ended(code=0, stdout="", stderr="")


def test_password_in_the_state_url_is_never_shown(run: Run) -> None:
    url = f"postgresql://u:{CANARY}@127.0.0.1:1/state"
    ended = run("doctor", "--state", url, "-vv")
    assert CANARY not in ended.stdout + ended.stderr
    assert "postgresql://u@127.0.0.1:1/state" in ended.stdout


def test_password_in_an_argument_is_never_shown(run: Run) -> None:
    ended = run("explain", f"postgresql://u:{CANARY}@host/state")
    assert ended.code == 2
    assert CANARY not in ended.stdout + ended.stderr


# --- signals and bugs -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        pytest.param(signal.SIGINT, 130, "interrupted", id="interrupt"),
        pytest.param(signal.SIGTERM, 143, "terminated", id="terminate"),
    ],
)
def test_signal_ends_the_command_with_its_code(
    run: Run, number: signal.Signals, code: int, word: str
) -> None:
    with run.start("validate", "-") as process:
        assert process.stdin
        # A pipe holds 64 KiB: when more is written, the command is reading and waits for the rest.
        data = b"# a long comment\n" * 12_000
        while data:
            data = data[process.stdin.write(data) :]
        process.send_signal(number)
        _, stderr = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, stderr.decode()) == (code, f"error: {word}\n")


def test_bug_is_one_line_without_the_text_of_the_exception(run: Run) -> None:
    ended = run.python(_BROKEN, "broken")
    assert ended.code == 1
    assert ended.stderr == (
        "error: internal error: ValueError in <string>, line 8\n"
        "  = help: this is a bug: run the same with -v and report what it prints\n"
    )


def test_bug_shows_a_redacted_traceback_on_demand(run: Run) -> None:
    env = {"RECONCILER_DEBUG": "1", "RECONCILER_STATE": f"postgresql://u:{CANARY}@h/d"}
    ended = run.python(_BROKEN, "broken", env=env)
    assert ended.code == 1
    assert "ValueError: this text may hold a secret: ***" in ended.stderr
    assert CANARY not in ended.stderr


def test_steering_variables_are_taken_out_of_the_process(run: Run) -> None:
    script = (
        "import os, sys; from reconciler import config\n"
        "taken = config.take_environment()\n"
        "print(taken['PGHOST'], 'PGHOST' in os.environ, os.getenv('KEPT'))"
    )
    ended = run.python(script, env={"PGHOST": "elsewhere", "https_proxy": "x", "KEPT": "yes"})
    assert ended.stdout == "elsewhere False yes\n"


# --- validate ---------------------------------------------------------------------------------


def test_valid_project_ends_with_0(run: Run) -> None:
    run.write("manifests/crm.yaml", VALID)
    ended = run("validate")
    assert (ended.code, ended.stdout) == (0, "")
    assert ended.stderr.startswith("ok  1 file valid (")


def test_finding_is_shown_with_its_place(run: Run) -> None:
    run.write("manifests/crm.yaml", INVALID)
    ended = run("validate")
    assert ended.code == 3
    assert ended.stdout == (
        "error[E104]: unknown field `timeuot`\n"
        "  --> manifests/crm.yaml:6:3\n"
        "   |\n"
        " 6 |   timeuot: ***\n"
        "   |   ^^^^^^^\n"
        "   = help: a similar field exists: `timeout`\n"
    )
    assert ended.stderr.startswith("x 1 error in 1 of 1 file (")


def test_nothing_found_is_invalid(run: Run) -> None:
    ended = run("validate")
    assert ended.code == 3
    assert "error[E023]" in ended.stdout


def test_concise_findings_are_one_line_each(run: Run) -> None:
    run.write("manifests/crm.yaml", INVALID)
    assert run("validate", "-o", "concise").stdout == (
        "manifests/crm.yaml:6:3: E104 unknown field `timeuot`\n"
    )


def test_paths_are_relative_to_the_project_from_any_folder(run: Run) -> None:
    run.write("reconciler.toml", "")
    run.write("manifests/deep/crm.yaml", INVALID)
    deep = Run(folder=run.folder / "manifests" / "deep")
    assert deep("validate", "crm.yaml", "-o", "concise").stdout == (
        "manifests/deep/crm.yaml:6:3: E104 unknown field `timeuot`\n"
    )


def test_standard_input_is_a_manifest(run: Run) -> None:
    ended = run("validate", "-", "-o", "concise", stdin=INVALID)
    assert (ended.code, ended.stdout) == (3, "-:6:3: E104 unknown field `timeuot`\n")


def test_github_gets_annotations_unless_told_otherwise(run: Run) -> None:
    run.write("manifests/crm.yaml", INVALID)
    env = {"GITHUB_ACTIONS": "true"}
    assert run("validate", env=env).stdout.startswith("::error file=manifests/crm.yaml,line=6,")
    assert run("validate", "-o", "text", env=env).stdout.startswith("error[E104]")


def test_json_is_one_document(run: Run) -> None:
    run.write("manifests/crm.yaml", INVALID)
    report = json.loads(run("validate", "-o", "json").stdout)
    assert (report["formatVersion"], report["errors"], report["files"]) == (1, 1, 1)


@pytest.mark.parametrize("args", [["validate"], ["schema"], ["explain"]], ids=lambda args: args[0])
def test_pull_request_mode_opens_no_socket_and_starts_no_process(run: Run, args: list[str]) -> None:
    run.write("manifests/crm.yaml", VALID + "  auth: {method: bearer, token: {env: CRM_TOKEN}}\n")
    run.python(_WATCHED, *args)
    assert (run.folder / "touched.txt").read_text() == "\n"


# --- schema, explain, init, new, doctor, completion -------------------------------------------


def test_schema_of_a_kind_is_the_shipped_one(run: Run) -> None:
    shipped = Path(__file__).parents[2] / "schemas/v1/ApiConnection.json"
    assert json.loads(run("schema", "api").stdout) == json.loads(shipped.read_text())


def test_unknown_kind_is_a_usage_error(run: Run) -> None:
    assert run("schema", "ApiConection") == Ended(
        code=2,
        stdout="",
        stderr=(
            "error: there is no kind `ApiConection`\n"
            "  = help: a similar kind exists: `ApiConnection`\n"
        ),
    )


def test_explain_shows_an_example_put_right(run: Run) -> None:
    ended = run("explain", "e104")
    assert ended.code == 0
    assert ended.stdout.startswith("E104: unknown field\n")
    assert "\nThis fails:\n" in ended.stdout
    assert "\nThis is right:\n" in ended.stdout


def test_unknown_code_states_the_near_one(run: Run) -> None:
    assert run("explain", "E1044") == Ended(
        code=2,
        stdout="",
        stderr="error: there is no code `E1044`\n  = help: a similar code exists: `E104`\n",
    )


def test_explain_works_where_the_settings_are_broken(run: Run) -> None:
    run.write("reconciler.toml", "this is not toml")
    assert run("explain", "E104").code == 0


def test_new_project_is_valid(run: Run) -> None:
    assert run("init").code == 0
    ended = run("validate")
    assert (ended.code, ended.stdout) == (0, "")


def test_init_never_overwrites(run: Run) -> None:
    run.write("reconciler.toml", "# mine\n")
    ended = run("init")
    assert (run.folder / "reconciler.toml").read_text() == "# mine\n"
    assert ended.stderr.startswith("kept   reconciler.toml\nwrote  manifests/example.yaml\n")


def test_new_manifest_is_valid_and_finds_its_schema(run: Run) -> None:
    run("init")
    assert run("new", "sql", "orders", "--out", "manifests/hr/orders.yaml").code == 0
    written = (run.folder / "manifests/hr/orders.yaml").read_text()
    assert written.startswith("# yaml-language-server: $schema=../.schema.json\napiVersion:")
    assert run("validate").code == 0


def test_new_never_overwrites(run: Run) -> None:
    file = run.write("orders.yaml", "mine")
    ended = run("new", "sql", "orders", "--out", "orders.yaml")
    assert (ended.code, file.read_text()) == (2, "mine")


def test_new_writes_the_grant_that_is_asked_for(run: Run) -> None:
    assert "grant: deviceCode" in run("new", "api", "crm", "--grant", "deviceCode").stdout
    for args, why in (
        (("api", "crm", "--auth", "basic", "--grant", "password"), "`basic` has no grant"),
        (("sql", "orders", "--grant", "password"), "has no method `oauth2`"),
    ):
        refused = run("new", *args)
        assert (refused.code, why in refused.stderr) == (2, True)


def test_new_proposes_a_valid_name(run: Run) -> None:
    ended = run("new", "sql", "Orders")
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.endswith("  = help: a valid name is `orders`\n")


def test_doctor_names_what_is_not_set_and_never_a_value(run: Run) -> None:
    run.write("manifests/crm.yaml", VALID + "  auth: {method: bearer, token: {env: CRM_TOKEN}}\n")
    absent = run("doctor")
    present = run("doctor", env={"CRM_TOKEN": CANARY})
    assert "CRM_TOKEN is not set, ApiConnection/default/crm needs it" in absent.stdout
    assert "1 of 1 variables for secrets are set" in present.stdout
    assert (absent.code, present.code) == (0, 0)
    assert CANARY not in present.stdout


def test_doctor_names_the_libraries_of_authentication(run: Run) -> None:
    shown = run("doctor").stdout
    assert re.search(r"oauth1 +authlib [0-9]", shown)
    assert re.search(r"awsSigV4 +botocore [0-9]", shown)
    assert re.search(r"awsIam +botocore [0-9]", shown)


def test_doctor_makes_no_state(run: Run) -> None:
    assert "none yet; the first apply makes it" in run("doctor").stdout
    assert not (run.folder / ".reconciler").exists()


def test_doctor_fails_where_the_settings_are_broken(run: Run) -> None:
    run.write("reconciler.toml", "[state]\nurll = 'x'\n")
    ended = run("doctor")
    assert ended.code == 2
    assert "reconciler.toml:2: there is no setting `state.urll`" in ended.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_names_the_command(run: Run, shell: str) -> None:
    ended = run("completion", shell)
    assert (ended.code, ended.stderr) == (0, "")
    assert f"_RECONCILER_COMPLETE={shell}_complete" in ended.stdout


@pytest.mark.parametrize(
    ("words", "proposals"),
    [
        pytest.param("reconciler vali", ["plain,validate"], id="command"),
        pytest.param("reconciler explain e104", ["plain,E104"], id="code"),
        pytest.param("reconciler schema sql", ["plain,SqlConnection"], id="kind"),
        pytest.param("reconciler validate --outp", ["plain,--output"], id="option"),
    ],
)
def test_completion_proposes(run: Run, words: str, proposals: list[str]) -> None:
    env = {
        "_RECONCILER_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    assert run(env=env).stdout.split() == proposals
