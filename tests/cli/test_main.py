"""The command line: what it prints, on which stream, and how it refuses wrong input."""

import json
import math
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.tiny_run import SENTENCES, write_corpus
from textvae.cli.main import main
from textvae.cli.rendering import format_evaluation
from textvae.terminal import escape_controls

EVALUATION = """sentences words_per_sentence elbo reconstruction kl iw_nll iw_samples ppl_token ppl_word bits_per_byte
mi_full mi_full_cap mi_batch32 active_units latent_dim bleu shuffled_latent_increase verdict""".split()


def run(*arguments: str) -> int:
    """Run a command on the CPU."""
    return main([*arguments, "--device", "cpu"])


def read_records(capsys) -> list[dict[str, Any]]:
    """Return the JSON objects on standard output."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_help_answers_without_torch():
    """It takes well under half a second, since nothing heavy is imported to parse arguments."""
    start = time.perf_counter()
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "textvae", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "generate" in shown.stdout
    assert not any(name in shown.stderr for name in ("torch", "transformers", "datasets"))
    assert time.perf_counter() - start < 5  # generous: the machine may be busy


def test_importing_the_package_does_not_import_torch():
    """The public names are imported on first use."""
    code = (
        "import sys, textvae; assert 'TextVAE' in textvae.__all__; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_can_be_imported():
    """The list in __init__ is the public interface."""
    import textvae

    for name in textvae.__all__:
        assert getattr(textvae, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Text'"):
        textvae.Text  # noqa: B018


def test_evaluate_prints_one_object_with_the_promised_keys_and_signs(tiny_run, capsys):
    """The ELBO is negative, the costs are positive, and they agree with one another."""
    assert run("evaluate", str(tiny_run), "--samples", "4", "--json") == 0
    (record,) = read_records(capsys)
    assert set(EVALUATION) <= record.keys()
    assert record["elbo"] == pytest.approx(-(record["reconstruction"] + record["kl"]))
    assert record["elbo"] < 0 < record["iw_nll"]
    assert record["iw_samples"] == 4
    assert record["ppl_word"] == pytest.approx(
        np.exp(record["iw_nll"] / record["words_per_sentence"])
    )
    assert json.loads((tiny_run / "measures.json").read_text())["iw_nll"] == record["iw_nll"]


def test_evaluate_takes_a_file_and_a_limit(tiny_run, tmp_path, capsys):
    """Words are those of the input lines, and the end of a sentence counts as one more."""
    file = tmp_path / "sentences.txt"
    file.write_text("a man sees a wave.\na woman holds the red ball.\nthe dog rides a bike.\n")
    assert (
        run("evaluate", str(tiny_run), str(file), "--samples", "2", "--limit", "2", "--json") == 0
    )
    (record,) = read_records(capsys)
    assert record["sentences"] == 2
    assert record["words_per_sentence"] == (6 + 7) / 2


def test_evaluate_takes_groups_of_measures_and_saves_them_with_the_others(tiny_run, capsys):
    """Earlier measures of as many sentences stay in the record of the run."""
    names = ["--measures", "samples,interpolation", "--prior-samples", "8"]
    assert run("evaluate", str(tiny_run), "--samples", "2", "--json") == 0
    assert run("evaluate", str(tiny_run), *names, "--json") == 0
    standard, record = read_records(capsys)
    assert record["prior_samples"] == 8
    assert {"self_bleu", "forward_ppl", "novel", "smoothness", "path_ppl"} <= record.keys()
    assert not {"elbo", "verdict"} & record.keys()
    saved = json.loads((tiny_run / "measures.json").read_text())
    sizes = {key: saved[key] for key in ("unreliable", "size_warnings")}
    assert saved == {**standard, **record, **sizes}
    assert set(saved["unreliable"]) == {*standard["unreliable"], *record["unreliable"]}
    assert run("evaluate", str(tiny_run), *names) == 0
    shown = capsys.readouterr().out
    assert "self-BLEU" in shown
    assert "ELBO" not in shown


def test_a_few_measures_leave_the_marks_on_the_others(tiny_run, tmp_path):
    """The sentences are too few for measures of both evaluations."""
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    assert run("evaluate", str(folder), "--samples", "2") == 0
    before = json.loads((folder / "measures.json").read_text())
    assert {"mi_full", "active_units", "bleu", "verdict"} <= set(before["unreliable"])
    assert run("evaluate", str(folder), "--measures", "bleu") == 0
    after = json.loads((folder / "measures.json").read_text())
    assert set(before["unreliable"]) <= set(after["unreliable"])
    assert after["size_warnings"][0] == before["size_warnings"][0]


def test_a_run_with_a_mean_number_of_draws_can_be_read_again(tiny_run, tmp_path):
    """Adaptive draws are rarely a whole number per sentence; people see one decimal."""
    folder = shutil.copytree(tiny_run, tmp_path / "run")
    adaptive = ["--samples", "60", "--adaptive", "--measures", "quick,likelihood"]
    assert run("evaluate", str(folder), *adaptive) == 0
    file = folder / "measures.json"
    record = {**json.loads(file.read_text()), "iw_samples": 128.57}
    file.write_text(json.dumps(record))
    assert run("report", str(folder)) == 0
    shown = format_evaluation(record)
    assert "128.6 importance samples" in shown
    assert "of 128.6; median" in shown
    assert " 60 importance samples" in format_evaluation({**record, "iw_samples": 60})


def test_evaluate_writes_its_measures_into_the_model_card(tiny_run, tmp_path):
    """Of its text, only the measures change, and a few measures alone do not replace them."""
    folder = tmp_path / "run"
    shutil.copytree(tiny_run, folder)
    before = (folder / "README.md").read_text()
    assert run("evaluate", str(folder), "--samples", "8", "--measures", "elbo,likelihood") == 0
    assert (folder / "README.md").read_text() == before
    assert run("evaluate", str(folder), "--samples", "8") == 0
    after = (folder / "README.md").read_text()
    assert "sentences of the test split" in after
    assert "| looseness of the IW-NLL, nats per sentence, estimated | " in after
    assert "| their effective sample size, median | " in after
    for start, end in (("\n---\n", "## Measures"), ("\n## Settings", "\n## Citation")):
        unchanged = [text.partition(start)[2].partition(end)[0] for text in (before, after)]
        assert unchanged[0] == unchanged[1] != ""


def test_evaluate_doctor_and_info_print_text_for_people(tiny_run, capsys):
    """Without --json they print a table, a verdict and advice."""
    card = (tiny_run / "README.md").read_text()
    for verb in (["evaluate", "--samples", "2"], ["doctor"], ["info"]):
        assert run(verb[0], str(tiny_run), *verb[1:]) == 0
    shown = capsys.readouterr().out
    assert "active units" in shown
    assert "; its weight in the loss was " in shown
    assert "weight of the KL in the loss at the end of training" in card
    assert shown.count("verdict: ") == 2
    assert "parameters" in shown


def test_generate_is_seeded_and_prints_one_json_object_per_text(tiny_run, capsys):
    """The same seed gives the same texts, and another seed gives others."""
    texts = []
    generate = ["generate", str(tiny_run), "-n", "3", "--temperature", "0.9", "--json"]
    for seed in ("1", "1", "2"):
        assert run(*generate, "--seed", seed) == 0
        texts.append([record["text"] for record in read_records(capsys)])
    assert len(texts[0]) == 3
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("verb", [["generate"], ["complete", "a man"]], ids=lambda verb: verb[0])
def test_without_a_seed_the_seed_that_was_used_is_printed(tiny_run, capsys, verb):
    """It is a note, or a key of each record; with it, the texts are written again."""
    command = [verb[0], str(tiny_run), *verb[1:], "-n", "2"]
    assert run(*command) == 0
    printed = capsys.readouterr()
    seed = re.search(r"seed (\d+): with --seed", printed.err)
    assert seed
    assert run(*command, "--seed", seed[1], "--json") == 0
    records = read_records(capsys)
    texts = [escape_controls(record["text"]) for record in records]  # a text may have line breaks
    assert "\n".join(texts) == printed.out.removesuffix("\n")
    assert {record["seed"] for record in records} == {int(seed[1])}


def test_reconstruct_reads_standard_input_a_file_or_the_test_split(
    tiny_run, tmp_path, capsys, monkeypatch
):
    """The records are in the order of the lines, and a blank line has a record too."""
    file = tmp_path / "sentences.txt"
    file.write_text(f"{SENTENCES[0]}\n\n{SENTENCES[50]}\n")
    assert run("reconstruct", str(tiny_run), str(file), "--json") == 0
    assert [record["original"] for record in read_records(capsys)] == [
        SENTENCES[0],
        None,
        SENTENCES[50],
    ]
    with file.open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        assert run("reconstruct", str(tiny_run), "-", "--json") == 0
    assert len(read_records(capsys)) == 3
    assert run("reconstruct", str(tiny_run), "--json") == 0
    assert len(read_records(capsys)) == 5


def test_complete_and_interpolate_write_as_many_texts_as_requested(tiny_run, capsys):
    """Completions begin with the prefix, and a path has as many sentences as steps."""
    assert run("complete", str(tiny_run), "a man", "-n", "2", "--json") == 0
    assert all(record["text"].startswith("a man") for record in read_records(capsys))
    ends = [SENTENCES[0], SENTENCES[-1]]
    path = ["--steps", "4", "--path", "spherical"]
    assert run("interpolate", str(tiny_run), *ends, *path, "--json") == 0
    assert [record["step"] for record in read_records(capsys)] == [0, 1, 2, 3]


@pytest.mark.parametrize("suffix", ["npy", "parquet"])
def test_decode_reads_the_vectors_that_encode_writes(tiny_run, tmp_path, capsys, suffix):
    """The texts decoded from them are those that reconstruct writes."""
    corpus, vectors = write_corpus(tmp_path), tmp_path / f"z.{suffix}"
    assert run("encode", str(tiny_run), str(corpus), "--output", str(vectors), "--json") == 0
    assert read_records(capsys)[0]["sentences"] == len(SENTENCES)
    assert run("decode", str(tiny_run), str(vectors), "--json") == 0
    decoded = [record["text"] for record in read_records(capsys)]
    assert run("reconstruct", str(tiny_run), str(corpus), "--json") == 0
    assert decoded == [record["text"] for record in read_records(capsys)]
    if suffix == "parquet":
        assert pq.read_table(vectors)["text"].to_pylist() == SENTENCES


def test_decode_writes_all_texts_of_a_vector_next_to_it(tiny_run, tmp_path, capsys):
    """A missing vector has one null, whatever the number of texts."""
    z = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    z[1] = np.nan
    np.save(tmp_path / "z.npy", z)
    command = ["decode", str(tiny_run), str(tmp_path / "z.npy"), "--num-beams", "2", "--json"]
    assert run(*command) == 0
    best = [record["text"] for record in read_records(capsys)]
    assert run(*command, "--num-return-sequences", "2") == 0
    records = read_records(capsys)
    assert [record["row"] for record in records] == [1, 1, 2, 3, 3]
    assert [records[0]["text"], records[2]["text"], records[3]["text"]] == best


def test_score_prints_one_line_per_sentence(tiny_run, tmp_path, capsys):
    """With --json a line has all numbers, and they add up; without, the cost and the text."""
    file = tmp_path / "sentences.txt"
    file.write_text("a man sees a wave.\nthe dog rides a bike.\n")
    assert run("score", str(tiny_run), str(file), "--samples", "3", "--json") == 0
    records = read_records(capsys)
    assert [record["text"] for record in records] == ["a man sees a wave.", "the dog rides a bike."]
    assert all(
        sum(record["surprisal"]) == pytest.approx(record["reconstruction"], rel=1e-4)
        for record in records
    )
    assert run("score", str(tiny_run), str(file), "--samples", "3") == 0
    shown = capsys.readouterr().out.splitlines()
    expected = [f"IW-NLL {record['iw_nll']:8.2f} nats  {record['text']}" for record in records]
    assert shown == expected


@pytest.mark.parametrize("verb", ["encode", "score", "generate"])
def test_a_folder_as_output_is_filled_with_shards(tiny_run, tmp_path, capsys, verb):
    """The second time nothing is left to do; both times one line describes the folder."""
    corpus, out = write_corpus(tmp_path), tmp_path / "out"
    source = ["-n", "30"] if verb == "generate" else [str(corpus)]
    command = [verb, str(tiny_run), *source, "--output", str(out), "--shard-rows", "20"]
    assert run(*command, "--json") == 0
    (record,) = read_records(capsys)
    shards = len(list(out.glob("part-*.parquet")))
    assert shards == math.ceil(record["rows"] / 20)
    assert record["shards"] == record["written_now"] == shards
    assert run(*command) == 0
    assert (
        f"{record['rows']} rows in {record['shards']} shards, 0 of them written now"
        in capsys.readouterr().out
    )


REFUSED = {
    "a missing run": (["generate", "nowhere"], "there is no such folder"),
    "no corpus": (["train", "--output", "OUT"], "no corpus is named"),
    "a missing file": (
        ["train", "missing.txt", "--output", "OUT"],
        "there is no such file or folder",
    ),
    "an unknown key": (
        ["train", "captions", "training.epoch=1", "--output", "OUT"],
        "did you mean 'epochs'",
    ),
    "a word for a number": (
        ["train", "captions", "training.epochs=soon", "--output", "OUT"],
        "training.epochs",
    ),
    "a negative size": (
        ["train", "captions", "model.latent_dim=-3", "--output", "OUT"],
        "model.latent_dim = -3",
    ),
    "zero texts": (["generate", "RUN", "-n", "0"], "generate.n = 0 does not fit"),
    "a temperature of zero": (["generate", "RUN", "--temperature", "0"], "temperature"),
    "one step": (["interpolate", "RUN", "a", "b", "--steps", "1"], "interpolate.steps = 1"),
    "vectors in a text file": (["encode", "RUN", "FILE", "--output", "z.txt"], ".npy or .parquet"),
    "a missing file to decode": (["decode", "RUN", "z.npy"], "there is no such file"),
    "an unknown measure": (
        ["evaluate", "RUN", "--measures", "elbo,smples"],
        "did you mean 'samples'",
    ),
    "a missing file of word vectors": (
        ["evaluate", "RUN", "--measures", "smoothness", "--word-vectors", "gone.txt"],
        "gone.txt: there is no such file",
    ),
    "word vectors that nothing reads": (
        ["evaluate", "RUN", "--measures", "bleu,quick", "--word-vectors", "FILE"],
        "--word-vectors is read by smoothness only",
    ),
    "missing word vectors that nothing reads": (
        ["evaluate", "RUN", "--measures", "bleu", "--word-vectors", "gone.txt"],
        "gone.txt: there is no such file",
    ),
    "importance samples without a likelihood": (
        ["evaluate", "RUN", "--measures", "bleu", "--samples", "3"],
        "--samples is read by likelihood only",
    ),
    "adaptive draws without a likelihood": (
        ["evaluate", "RUN", "--measures", "quick", "--adaptive"],
        "--adaptive is read by likelihood only",
    ),
    "a fitted proposal without a likelihood": (
        ["evaluate", "RUN", "--measures", "samples", "--fit-proposal"],
        "--fit-proposal is read by likelihood only",
    ),
    "samples of the prior that nothing reads": (
        ["evaluate", "RUN", "--prior-samples", "5"],
        "and --measures standard has no such measure",
    ),
    "a column of texts without a file to reconstruct": (
        ["reconstruct", "RUN", "--text-column", "nope"],
        "--text-column says how FILE is read, but no FILE is named",
    ),
    "a header without a file to reconstruct": (
        ["reconstruct", "RUN", "--format", "csv", "--header"],
        "--header says how FILE is read, but no FILE is named",
    ),
    "a joined column without a file to fit on": (
        ["prior", "fit", "RUN", "--kind", "flow", "--join-column", "nope"],
        "--join-column says how FILE is read, but no FILE is named",
    ),
    "a revision without a run": (["info", "--revision", "nonsense"], "no RUN is named"),
    "a missing file to measure on": (
        ["evaluate", "RUN", "gone.txt"],
        "there is no such file or folder",
    ),
    "an existing run": (["train", "captions", "--output", "RUN"], "holds a run already"),
    "shards in a file": (
        ["score", "RUN", "FILE", "--output", "scores.json"],
        "shards go to a folder; name one",
    ),
    "vectors of several files in one file": (
        ["encode", "RUN", "*.txt", "--output", "z.npy"],
        "--output z.npy is a file",
    ),
    "an engine without a folder": (
        ["generate", "RUN", "--engine", "ray"],
        "--output is missing: shards go to a folder",
    ),
    "an unknown engine": (
        ["generate", "RUN", "--engine", "ry", "--output", "OUT"],
        "did you mean 'ray'",
    ),
    "a missing file to score in shards": (
        ["score", "RUN", "gone.txt", "--output", "OUT"],
        "there is no such file or folder",
    ),
    "a conditioning that the decoder does not have": (
        ["train", "captions", "model.conditioning=[prefix]", "--output", "OUT"],
        "'prefix' does not work with a 'lstm' decoder",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_input_gets_one_message_exit_code_2_and_nothing_half_written(
    tiny_run, tmp_path, capsys, monkeypatch, case
):
    """There is no traceback, standard output is empty, and no file is left behind."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sentences.txt").write_text("a man.\n")
    names = {"RUN": str(tiny_run), "OUT": str(tmp_path / "out"), "FILE": "sentences.txt"}
    arguments, words = REFUSED[case]
    assert run(*[names.get(argument, argument) for argument in arguments]) == 2
    shown = capsys.readouterr()
    assert words in shown.err
    assert shown.err.startswith(f"textvae {arguments[0]}: ")
    assert shown.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["sentences.txt"]


def test_decode_refuses_vectors_of_another_size(tiny_run, tmp_path, capsys):
    """The message says which size is expected."""
    np.save(tmp_path / "z.npy", np.zeros((2, 7), dtype=np.float32))
    assert run("decode", str(tiny_run), str(tmp_path / "z.npy")) == 2
    assert "expected (n, 4)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "verb", [path.stem for path in sorted((Path(__file__).parents[2] / "scripts").glob("*.py"))]
)
def test_each_script_runs_the_verb_of_its_name(verb):
    """`python scripts/VERB.py --help` prints the help of that verb."""
    script = Path(__file__).parents[2] / "scripts" / f"{verb}.py"
    shown = subprocess.run(
        [sys.executable, str(script), "--help"], capture_output=True, text=True, check=True
    )
    assert f"textvae {verb}" in shown.stdout


SAMPLING = {
    "reconstruct": ["reconstruct"],
    "interpolate": ["interpolate", "a man", "the dog"],
    "traverse": ["traverse", "a man", "--dimension", "0"],
    "analogy": ["analogy", "a man", "the dog", "two boys"],
}


@pytest.mark.parametrize("verb", SAMPLING)
@pytest.mark.parametrize("option", ["--temperature", "--top-p"])
def test_a_verb_that_samples_on_request_prints_its_new_seed(tiny_run, capsys, verb, option):
    """With the printed seed, the same texts come again; decoding without sampling has no seed."""
    name, *rest = SAMPLING[verb]
    command = (name, str(tiny_run), *rest, "--max-new-tokens", "8")
    assert run(*command, option, "0.9") == 0
    printed = capsys.readouterr()
    (seed,) = re.findall(r"seed (\d+): with --seed", printed.err)
    assert run(*command, option, "0.9", "--seed", seed) == 0
    again = capsys.readouterr()
    assert again.out == printed.out
    assert "with --seed" not in again.err
    assert run(*command) == 0
    assert "with --seed" not in capsys.readouterr().err
