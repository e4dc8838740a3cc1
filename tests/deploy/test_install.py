"""`cmake --install` gives a prefix that works where it stands."""

import os
import re
import shutil
import subprocess

import pytest

PROGRAMS = ("heddle-agent", "heddle-controller", "heddlectl")
COMPLETION = {"bash": "bash-completion/completions/{}", "zsh": "zsh/site-functions/_{}",
              "fish": "fish/vendor_completions.d/{}.fish"}
OPTION = re.compile(r"^  (-[\w,-]+)", re.MULTILINE)


def run(*argv, **options):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **options).stdout


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_everything_has_its_place_and_nothing_else_comes_along(prefix):
    found = files(prefix)
    documents = [name for name in found if name.startswith("share/doc/heddle/")]
    assert {"share/doc/heddle/README.md", "share/doc/heddle/docs/operations.md"} <= set(documents)
    completions = [f"share/{place.format(program)}" for place in COMPLETION.values() for program in PROGRAMS]
    assert sorted(set(found) - set(documents)) == sorted([
        *(f"bin/{program}" for program in PROGRAMS), *completions,
        "libexec/heddle/heddle-cni", "libexec/heddle/heddle-cni-stub",
        "share/heddle/crds/interceptionpolicies.heddle.io.yaml", "share/heddle/heddle.json",
        *(f"lib/systemd/system/{unit}.service" for unit in ("heddle-agent", "heddle-controller"))])


def test_programs_run_from_the_prefix(prefix):
    version = run(prefix / "bin/heddlectl", "version").split()[1]
    for program in PROGRAMS:
        assert run(prefix / "bin" / program, "version") == f"{program} {version}\n"
        assert run(prefix / "bin" / program, "--version") == f"{program} {version}\n"
    plugin = {**os.environ, "CNI_COMMAND": "VERSION"}
    assert '"1.0.0"' in run(prefix / "libexec/heddle/heddle-cni", input='{"cniVersion":"1.0.0"}', env=plugin)


def test_no_program_looks_for_libraries_in_the_build(prefix):
    for program in PROGRAMS:
        assert "RUNPATH" not in run("llvm-readelf-19", "-d", prefix / "bin" / program)


def test_units_start_the_programs_of_their_prefix(prefix):
    for unit in ("heddle-agent", "heddle-controller"):
        text = (prefix / f"lib/systemd/system/{unit}.service").read_text()
        assert f"\nExecStart={prefix}/bin/{unit} --config /etc/heddle/" in text
        assert "@" not in text


def test_units_are_what_systemd_understands(prefix):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    units = [str(path) for path in (prefix / "lib/systemd/system").iterdir()]
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    assert [line for line in checked.stderr.splitlines() if "heddle" in line] == []


def test_a_unit_gives_its_options_by_a_file(prefix, tmp_path):
    settings = "".join(f"{key} = \"{value}\"\n" for key, value in {
        "node-name": "node1", "controller": "192.0.2.1:15012", "controller-roots": "/etc/heddle/root-cert.pem",
        "token-file": "/etc/heddle/token"}.items())
    (tmp_path / "agent.toml").write_text(f"[check-config]\n{settings}")
    checked = run(prefix / "bin/heddle-agent", "--config", tmp_path / "agent.toml", "check-config")
    assert '"nodeName": "node1"' in checked


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_shell_knows_every_option_that_help_names(prefix, program):
    subcommands = re.findall(r"^  ([a-z][\w-]*) ", run(prefix / "bin" / program, "--help"), re.MULTILINE)
    assert "version" in subcommands
    helps = [run(prefix / "bin" / program, *words, "--help") for words in ([], *([name] for name in subcommands))]
    options = {name for text in helps for names in OPTION.findall(text) for name in names.split(",")}
    assert {"--help", "-h"} < options
    for shell, place in COMPLETION.items():
        text = (prefix / "share" / place.format(program)).read_text()
        for name in subcommands:
            assert re.search(rf"\b{name}\b", text), f"{shell}: {name}"
        for option in options:
            written = option
            if shell == "fish":
                written = f"-l {option[2:]} " if option.startswith("--") else f"-s {option[1]} "
            assert written in text, f"{shell}: {option}"


def completed(prefix, line):
    """What bash offers after the line, whose last word is being written."""
    words = line.split(" ")
    script = prefix / "share/bash-completion/completions" / words[0]
    return set(run("bash", "-c", 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                   '"_${1//-/_}"; printf "%s\\n" "${COMPREPLY[@]}"', "bash", script, *words).split())


def test_bash_completes_commands_options_and_choices(prefix):
    assert completed(prefix, "heddlectl sta") == {"status"}
    assert completed(prefix, "heddlectl status --ag") == {"--agent"}
    assert completed(prefix, "heddlectl status --output ") == {"json", "table"}
    assert completed(prefix, "heddle-agent run --node-") == {"--node-name"}
    assert completed(prefix, "heddle-agent run --probe-mode o") == {"outside-pods"}
    assert completed(prefix, "heddle-agent ver") == {"version"}
    assert completed(prefix, "heddle-controller run --source ") == {"directory", "kubernetes"}


def test_behind_a_flag_bash_goes_on_with_options(prefix):
    assert {"--no-node", "--kubeconfig"} < completed(prefix, "heddlectl check --pre ")
    assert completed(prefix, "heddlectl uninstall --force --dr") == {"--drain"}
    assert completed(prefix, "heddlectl uninstall --drain ") == set()
    assert completed(prefix, "heddle-agent --config /et") == {"/etc"}


def test_no_shell_takes_a_word_behind_a_flag_for_its_value(prefix):
    zsh, fish = ((prefix / "share" / COMPLETION[shell].format("heddlectl")).read_text() for shell in ("zsh", "fish"))
    assert re.search(r"'--pre\[[^\]]*\]'", zsh) and re.search(r"'--drain\[[^\]]*\]:value:'", zsh)
    flag, = (line for line in fish.splitlines() if "-l pre " in line)
    value, = (line for line in fish.splitlines() if "-l drain " in line)
    assert " -x" not in flag and " -x" in value
