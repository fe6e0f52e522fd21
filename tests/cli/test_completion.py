"""`textvae completion`: the scripts, tried in bash itself."""

import shutil
import subprocess

import pytest

from textvae.cli.main import main
from textvae.cli.verbs import VERBS

BASH = shutil.which("bash") or ""
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
    assert capsys.readouterr().out == f"autoload -U +X bashcompinit && bashcompinit\n{script}"


def test_fish_describes_verbs_and_options(capsys):
    """One line for each, with quotes that are closed."""
    main(["completion", "fish"])
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("complete -c textvae ") for line in lines)
    assert all(line.replace("\\'", "").count("'") % 2 == 0 for line in lines)
    assert any(" -a generate -d 'Sample latents" in line for line in lines)
    assert any("from generate' -l temperature -r " in line for line in lines)
    assert any(" -l unit -x -a 'aggregate prior'" in line for line in lines)


def test_an_unknown_shell_is_refused(capsys):
    """The message has those that there are."""
    with pytest.raises(SystemExit, match="2"):
        main(["completion", "csh"])
    assert "bash" in capsys.readouterr().err
