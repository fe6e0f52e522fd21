"""The page about searching for settings: its commands and its Python example work, on a small scale."""

import json
import shlex

import textvae
from tests.pages import ROOT, TINY, commands, examples, furnish
from textvae.cli.main import main
from textvae.cli.parser import build_parser
from textvae.settings.reading import read_settings
from textvae.tuning.space import TUNABLES, build_default_space
from textvae.tuning.words import change_space

PAGE = ROOT / "docs" / "tune.md"
SEARCH, TRAIN, *OTHERS = commands(PAGE)
SMALL = [
    *TINY,
    *(
        f"model.{part}.{size}=24"
        for part in ("encoder", "decoder")
        for size in ("embedding", "hidden")
    ),
]


def test_the_first_commands_and_then_the_example_run(tmp_path, tiny_run, monkeypatch, capsys):
    """The search has two tiny trials; the example is the same search, so it repeats nothing."""
    monkeypatch.chdir(furnish(tmp_path, tiny_run))
    _, *words = shlex.split(SEARCH.replace("--minutes 30", "--trials 2"))
    assert main([*words, *SMALL, "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert "default" in printed.out
    assert "the best settings are runs/tuned/best.yaml" in printed.err
    _, *words = shlex.split(TRAIN)
    options = build_parser(["train"]).parse_args(words)
    assert read_settings(options.config).training.steps == 12
    tune = textvae.tune

    def tune_briefly(corpus, output, minutes):
        return tune(corpus, output, overrides=SMALL, trials=2, device="cpu")

    monkeypatch.setattr(textvae, "tune", tune_briefly, raising=False)
    logs = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("trial-*.log")}
    for example in examples(PAGE):
        exec(example, {})
    assert logs == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("trial-*.log")}
    best = min(
        json.loads((tmp_path / "runs/tuned/trials.json").read_text()), key=lambda t: t["score"]
    )
    assert str(best["settings"]) in capsys.readouterr().out
    assert (tmp_path / f"runs/tuned/trials/trial-{best['number']:03d}/model.safetensors").is_file()
    assert (tmp_path / "runs/tuned/front.svg").is_file()
    assert not (tmp_path / "runs/tuned/cache").exists()


def test_the_other_commands_describe_search_spaces():
    """They are not run, because that would take long."""
    settings = read_settings()
    for command in OTHERS:
        _, *words = shlex.split(command)
        options = build_parser(["tune"]).parse_args(words)
        space = build_default_space(settings, 16.0)
        assert change_space(space, settings, options.search, options.fix)


def test_the_table_of_the_page_has_every_setting():
    """And no other ones."""
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{key}`" in text for key in TUNABLES)
