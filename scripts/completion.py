#!/usr/bin/env python3
"""Writes what a shell needs to complete a program's commands and options. Usage: completion.py PROGRAM SHELL

Everything comes from the program's own --help, asked for here, so there is no second list to keep. SHELL is bash, zsh
or fish; the script goes to standard output.
"""

import dataclasses
import os
import re
import subprocess
import sys

_OPTION = re.compile(r"^  (?P<names>-[\w-]+(?:,-[\w-]+)*)(?P<rest>.*)$")
_COMMAND = re.compile(r"^  (?P<name>[a-z][\w-]*)\s+(?P<help>\S.*)$")
# What stands behind the names of an option that takes a value, and not behind those of a flag: " TEXT", " INT=300".
_VALUE = re.compile(r"^ [A-Z]+(?=[ =:]|$)")
_CHOICES = re.compile(r"\{([\w,-]+)\}")
_TAKES_FILE = re.compile(r"-(file|roots|dir)$|^--(config|kubeconfig|cgroup)$")


@dataclasses.dataclass
class Option:
    names: list
    help: str
    choices: list
    takes_value: bool

    def takes_file(self):
        return any(_TAKES_FILE.search(name) for name in self.names)


@dataclasses.dataclass
class Command:
    """A program, or one of its subcommands (`commands` is empty then)."""
    name: str
    help: str
    options: list = dataclasses.field(default_factory=list)
    commands: list = dataclasses.field(default_factory=list)


def parse_help(text, command):
    """Fills in what CLI11 printed: `  --name TYPE ...   help`, the help on the next line if the first is long."""
    section, lines = "", text.splitlines()
    for number, line in enumerate(lines):
        if line and not line.startswith(" "):
            section = line
        elif section == "Options:" and (match := _OPTION.match(line)):
            names = match["names"].split(",")
            takes_value = bool(_VALUE.match(match["rest"])) or "--config" in names  # CLI11 names no type of that one.
            head, _, described = match["rest"].strip().partition("  ") if takes_value else ("", "", match["rest"])
            following = lines[number + 1] if number + 1 < len(lines) else ""
            if not described.strip() and following.startswith(" " * 10):
                described = following
            choices = _CHOICES.search(head)
            command.options.append(Option(names, described.strip(), choices[1].split(",") if choices else [],
                                          takes_value))
        elif section == "Subcommands:" and (match := _COMMAND.match(line)):
            command.commands.append(Command(match["name"], match["help"].strip()))


def ask(program):
    def help_of(*words):
        return subprocess.run([program, *words, "--help"], check=True, capture_output=True, text=True).stdout

    root = Command(os.path.basename(program), "")
    parse_help(help_of(), root)
    if not root.commands:
        sys.exit(f"completion: {program} --help names no subcommands; has its form changed?")
    for command in root.commands:
        parse_help(help_of(command.name), command)
        known = {name for option in command.options for name in option.names}
        # What is given before a subcommand may be given behind it, too.
        command.options += [option for option in root.options if not known & set(option.names)]
    return root


def _names(options):
    return " ".join(name for option in options for name in option.names)


def _all_options(root):
    seen = {}
    for command in (root, *root.commands):
        for option in command.options:
            seen.setdefault(tuple(option.names), option)
    return list(seen.values())


def bash(root):
    function = f"_{root.name.replace('-', '_')}"
    values = "".join(
        f"    {'|'.join(option.names)}) COMPREPLY=($(compgen {how} -- \"$word\")); return ;;\n"
        for option in _all_options(root) if option.takes_value
        for how in ["-f" if option.takes_file() else f"-W '{' '.join(option.choices)}'"])
    commands = "".join(f"    {command.name}) words='{_names(command.options)}' ;;\n" for command in root.commands)
    return f"""# bash completion for {root.name}
{function}() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command='' words i
  case $before in
{values}  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${{COMP_WORDS[i]}} in {'|'.join(c.name for c in root.commands)}) command=${{COMP_WORDS[i]}}; break ;; esac
  done
  case $command in
{commands}    *) words='{' '.join(c.name for c in root.commands)} {_names(root.options)}' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -F {function} {root.name}
"""


def _zsh_text(text):
    return re.sub(r"([\\\[\]:])", r"\\\1", text).replace("'", "'\\''")


def _zsh_option(option):
    value = ""
    if option.takes_value:
        value = f":value:({' '.join(option.choices)})" if option.choices else ":file:_files"
        value = value if option.choices or option.takes_file() else ":value:"
    return [f"'{name}[{_zsh_text(option.help)}]{value}'" for name in option.names]


def zsh(root):
    def arguments(options):
        return " \\\n    ".join(spec for option in options for spec in _zsh_option(option))

    described = "\n".join(f"    '{command.name}:{_zsh_text(command.help)}'" for command in root.commands)
    cases = "\n".join(f"  {c.name}) _arguments \\\n    {arguments(c.options)} ;;" for c in root.commands)
    return f"""#compdef {root.name}
local -a commands
local command='' word
for word in ${{words[2,CURRENT-1]}}; do
  case $word in {'|'.join(c.name for c in root.commands)}) command=$word; break ;; esac
done
case $command in
{cases}
  *)
    commands=(
{described}
    )
    _describe command commands
    _arguments \\
    {arguments(root.options)} ;;
esac
"""


def fish(root):
    lines = [f"# fish completion for {root.name}", f"complete -c {root.name} -f"]
    for command in root.commands:
        described = f"-a {command.name} -d {_fish_text(command.help)}"
        lines.append(f"complete -c {root.name} -n __fish_use_subcommand {described}")
        condition = f"'__fish_seen_subcommand_from {command.name}'"
        lines += [_fish_option(root.name, condition, option) for option in command.options]
    lines += [_fish_option(root.name, "__fish_use_subcommand", option) for option in root.options]
    return "\n".join(lines) + "\n"


def _fish_text(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fish_option(program, condition, option):
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
    value = ""
    if option.takes_value:
        value = " -r -F" if option.takes_file() else " -x"
        value += f" -a '{' '.join(option.choices)}'" if option.choices else ""
    return f"complete -c {program} -n {condition} {names}{value} -d {_fish_text(option.help)}"


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in SHELLS:
        sys.exit(__doc__)
    sys.stdout.write(SHELLS[sys.argv[2]](ask(sys.argv[1])))


if __name__ == "__main__":
    main()
