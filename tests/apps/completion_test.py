# SPDX-License-Identifier: Apache-2.0
"""Manual pages and completions name every command, option and choice that --help names; shells that are there
read them."""
import re
import shutil
import subprocess

import pytest

from program import Program

PROGRAMS = {name: Program(name) for name in ("dump", "recall", "bench")}
pytestmark = [p.needed for p in PROGRAMS.values()]
NAME = re.compile(r"--?[A-Za-z][\w-]*")


def output(name, *arguments):
    return subprocess.run([PROGRAMS[name].path, *arguments], capture_output=True, text=True, check=True).stdout


def help_of(name, *command):
    """Commands, and options with their choices, of one --help."""
    text = output(name, *command, "--help")
    commands = re.findall(r"^  ([a-z]\S*)", text.split("\nSubcommands:\n")[1], re.M) if "\nSubcommands:\n" in text else []
    options = {}
    for line in re.findall(r"^  (-\S.*)", text, re.M):
        names = NAME.findall(line.split(" ")[0])
        choices = re.match(r"\S+ TEXT:\{([^}]*)\}", line)
        options[tuple(names)] = choices.group(1).split(",") if choices else []
    assert ("-h", "--help") in options, text
    return commands, options


def every(name):
    """(command or None, option names, choices) of a program."""
    commands, options = help_of(name)
    found = [(None, *item) for item in options.items()]
    for command in commands:
        found += [(command, *item) for item in help_of(name, command)[1].items()]
    return commands, found


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_help_is_read_right(name):
    commands, found = every(name)
    assert len(commands) == {"dump": 0, "recall": 8, "bench": 4}[name], commands
    assert (None, ("-t", "--threads"), []) in found and (None, ("--color",), ["auto", "always", "never"]) in found
    assert not any("--print-man" in names for _, names, _ in found)  # hidden


@pytest.mark.parametrize("name", PROGRAMS)
def test_man_page_names_all(name):
    page = output(name, "--print-man").replace("\\-", "-")
    start, *sections = re.split(r"^\.SS (\S+)\n", page.replace(".SH OPTIONS\n", ".SS OPTIONS\n"), flags=re.M)
    assert start.startswith(f".TH RA-{name.upper()} 1 ")
    sections = dict(zip(sections[::2], sections[1::2]))
    commands, found = every(name)
    assert [*sections] == [*commands, "OPTIONS"]
    for command, names, choices in found:
        section = sections[command or "OPTIONS"]
        assert ", ".join(f"\\fB{n}\\fR" for n in names) in section, (command, names)
        assert not choices or f"One of: {', '.join(choices)}." in section, (command, names)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_man_page_is_clean_roff(name):
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-rLL=100n"], input=output(name, "--print-man"), text=True,
                          capture_output=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "--threads" in re.sub(r"\x1b\[[\d;]*m|.\x08", "", done.stdout)


def bash_completes(name, *words):
    """What Tab offers after the words, the last of them begun."""
    script = output(name, "--print-completion", "bash") + (
        f'\nCOMP_WORDS=("$@") COMP_CWORD=$(($# - 1))\n_ra_{name}\nprintf "%s\\n" "${{COMPREPLY[@]}}"')
    done = subprocess.run(["bash", "-c", script, "bash", f"ra-{name}", *words], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("name", PROGRAMS)
def test_bash_completes_all(name):
    commands, found = every(name)
    assert bash_completes(name, "") >= set(commands)
    for command in [None, *commands]:
        start = [command] if command else []
        here = {n for c, names, _ in found for n in names if c in (None, command)}
        assert bash_completes(name, *start, "-") == here, command
        for _, names, choices in [f for f in found if f[0] == command and f[2]]:
            for n in names:
                assert bash_completes(name, *start, n, "") == set(choices), (command, n)
                assert bash_completes(name, *start, n, "=", choices[0]) >= {choices[0]}, (command, n)
    assert bash_completes(name, "--threads", "") == set()  # left to file names


def test_bash_knows_where_it_is():
    assert bash_completes("recall", "cur") == {"curve"}
    assert bash_completes("recall", "-q", "curve", "--ban") == set()
    assert bash_completes("recall", "-q", "curve", "--bat") == {"--batch"}
    assert "--batch" not in bash_completes("recall", "ood", "-")


@pytest.mark.parametrize("name", PROGRAMS)
def test_zsh_names_all(name):
    script = output(name, "--print-completion", "zsh")
    assert script.startswith(f"#compdef ra-{name}\n")
    commands, found = every(name)
    parts = re.split(r"^  (\S+)\)\n", script, flags=re.M)
    sections = dict(zip([None, *parts[1::2]], parts[::2]))
    assert [*sections] == [None, *commands]
    for command, names, choices in found:
        for n in names:
            spec = re.search(rf"^    '[^']*[)*]{re.escape(n)}\[.*$", sections[command], re.M)
            assert spec, (command, n)
            assert not choices or f"({' '.join(choices)})" in spec.group(), (command, n)
    if shutil.which("zsh"):
        subprocess.run(["zsh", "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize("name", PROGRAMS)
def test_fish_names_all(name):
    script = output(name, "--print-completion", "fish")
    commands, found = every(name)
    for command in commands:
        assert f"complete -c ra-{name} -n __fish_use_subcommand -f -a {command} -d " in script
    for command, names, choices in found:
        start = f"complete -c ra-{name}" + (f" -n '__fish_seen_subcommand_from {command}'" if command else "")
        start += "".join(f" -l {n[2:]}" if n.startswith("--") else f" -s {n[1:]}" for n in names)
        start += f" -x -a '{' '.join(choices)}'" if choices else ""
        assert any(line.startswith(start + " ") for line in script.splitlines()), start
    if shutil.which("fish"):
        subprocess.run(["fish", "--no-execute", "/dev/stdin"], input=script, text=True, check=True)


def test_an_unknown_shell_is_a_usage_error():
    PROGRAMS["recall"].fails(2, "--print-completion", "tcsh", say="tcsh")
