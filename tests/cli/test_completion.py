"""`textvae completion`: the scripts, tried in the shells themselves where they are installed."""

import os
import pty
import select
import shutil
import signal
import subprocess
import time

import pytest

from textvae.cli.main import main
from textvae.cli.verbs import VERBS

BASH = shutil.which("bash") or ""
ZSH = shutil.which("zsh") or ""
FISH = shutil.which("fish") or ""
needs_bash = pytest.mark.skipif(not BASH, reason="bash is not installed")

# What a user has typed, and what bash offers; nothing means names of files.
TYPED = {
    ("textvae", "gen"): "generate",
    ("textvae", "anomaly", ""): "fit score",
    ("textvae", "anomaly", "fit", "RUN", "--na"): "--name",
    ("textvae", "traverse", "RUN", "--unit", "a"): "aggregate",
    ("textvae", "interpolate", "--path", "d"): "density",
    ("textvae", "generate", "RUN", "--temp"): "--temperature",
    ("textvae", "generate", "evaluate", "--temp"): "--temperature",
    ("textvae", "score", "RUN", "my"): "",
    ("textvae", "completion", ""): "bash zsh fish",
    ("textvae", "train", "my.txt", "--preset", "pre"): "pretrained",
    ("textvae", "tune", "my.txt", "--config", "ptb/f"): "ptb/free_bits",
}


@needs_bash
def test_bash_completes_verbs_options_and_values(capsys, tmp_path):
    """One bash tries all words."""
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    lines = [script]
    for words in TYPED:
        quoted = " ".join(f"'{word}'" for word in words)
        lines.append(
            f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _textvae; "
            'echo "${COMPREPLY[*]}"'
        )
    file = tmp_path / "try.sh"
    file.write_text("\n".join(lines))
    shown = subprocess.run([BASH, str(file)], capture_output=True, text=True, check=True)
    assert shown.stderr == ""
    assert shown.stdout.splitlines() == list(TYPED.values())


@needs_bash
def test_bash_completes_every_verb(capsys):
    """The first word is one of the table."""
    main(["completion", "bash"])
    script = capsys.readouterr().out
    command = f"{script}\nCOMP_WORDS=(textvae ''); COMP_CWORD=1; _textvae; echo ${{COMPREPLY[@]}}"
    shown = subprocess.run([BASH, "-c", command], capture_output=True, text=True, check=True)
    assert set(shown.stdout.split()) == set(VERBS)


def test_zsh_uses_the_script_of_bash(capsys):
    """Zsh loads its layer for such scripts first."""
    main(["completion", "bash"])
    script = capsys.readouterr().out
    main(["completion", "zsh"])
    shown = capsys.readouterr().out
    assert shown.endswith(f"autoload -U +X bashcompinit && bashcompinit\n{script}")


@pytest.mark.skipif(not ZSH, reason="zsh is not installed")
@pytest.mark.parametrize("before", ["", "autoload -U compinit && compinit -i\n"])
def test_zsh_knows_the_command(capsys, tmp_path, before):
    """The script works in a shell whose start-up file has not called `compinit`, and in one whose has."""
    main(["completion", "zsh"])
    file = tmp_path / "try.zsh"
    file.write_text(f"{before}{capsys.readouterr().out}print $_comps[textvae]\n")
    shown = subprocess.run(
        [ZSH, "-f", str(file)],
        capture_output=True,
        text=True,
        check=True,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
    )
    assert shown.stderr == ""
    assert "_textvae" in shown.stdout


@pytest.mark.skipif(not ZSH, reason="zsh is not installed")
def test_zsh_completes_as_typed(capsys, tmp_path):
    """A line is typed into an interactive zsh, with a tab at the end of each word."""
    main(["completion", "zsh"])
    file = tmp_path / "completion.zsh"
    file.write_text(capsys.readouterr().out)
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.execve(ZSH, [ZSH, "-f"], {"HOME": str(tmp_path), "PATH": os.environ["PATH"]})
    try:
        os.write(terminal, f"source {file}; textvae() {{ echo got: $@; }}\n".encode())
        os.write(terminal, b"textvae attr\tf\tR --tow\tx\n")
        shown = ""
        deadline = time.monotonic() + 60
        while "got: " not in shown.replace("echo got: ", "") and time.monotonic() < deadline:
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 4096).decode(errors="replace")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)
    assert "got: attribute fit R --towards x" in shown


@pytest.mark.skipif(not FISH, reason="fish is not installed")
def test_fish_completes_verbs_options_and_values(capsys, tmp_path):
    """One fish tries all words; its answers have descriptions."""
    main(["completion", "fish"])
    lines = [capsys.readouterr().out]
    for words in TYPED:
        line = " ".join(words)
        lines.append(f'echo "=" (complete -C "{line}" | string split -f1 \\t)')
    file = tmp_path / "try.fish"
    empty = tmp_path / "empty"  # fish offers names of files that hold the letters, too
    empty.mkdir()
    file.write_text("\n".join(lines))
    shown = subprocess.run(
        [FISH, str(file)],
        capture_output=True,
        text=True,
        check=True,
        cwd=empty,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
    )
    assert shown.stderr == ""
    answers = [set(line.removeprefix("=").split()) for line in shown.stdout.splitlines()]
    assert answers == [set(answer.split()) for answer in TYPED.values()]


def test_fish_describes_verbs_and_options(capsys):
    """One line for each, with quotes that are closed."""
    main(["completion", "fish"])
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("complete -c textvae ") for line in lines)
    assert not [line for line in lines if "%(" in line]
    assert all(line.replace("\\'", "").count("'") % 2 == 0 for line in lines)
    assert any(" -a generate -d 'Sample latents" in line for line in lines)
    assert any("from generate' -l temperature -r " in line for line in lines)
    assert any(" -l unit -x -a 'aggregate prior'" in line for line in lines)


def test_an_unknown_shell_is_refused(capsys):
    """The message has those that there are."""
    with pytest.raises(SystemExit, match="2"):
        main(["completion", "csh"])
    assert "bash" in capsys.readouterr().err
