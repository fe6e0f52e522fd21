"""The command line: `textvae VERB`. Arguments only; every verb is a few lines of `textvae.commands`.

Nothing heavy is imported before the arguments are understood.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr
from io import StringIO

from textvae import __version__
from textvae.comparison.arguments import add_compare, add_report
from textvae.errors import StoppedError, TextVAEError

WRONG_INPUT = 2  # the exit code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    is_first = os.environ.get("RANK", "0") == "0"  # of the processes of one launch
    with nullcontext() if is_first else redirect_stderr(StringIO()):
        options = understood(parser(), arguments)
    from textvae import commands

    try:
        code = commands.COMMANDS[options.verb](options)
    except StoppedError:  # the first process of the launch says why
        return WRONG_INPUT
    except TextVAEError as error:
        tell(f"textvae {options.verb}: {error}")
        return WRONG_INPUT
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # the reader of our output has left, as `head` does
            sys.stderr.close()
            return 0
        tell(f"textvae {options.verb}: {error.filename or 'a file'} cannot be written or read: {error.strerror}")
        return WRONG_INPUT
    except KeyboardInterrupt:
        tell("\ninterrupted; training goes on with --resume, work in shards and comparisons with the same command")
        return 130
    return code or 0


def tell(message: str) -> None:
    """Print a message on standard error; of the processes of one launch, one does."""
    if "RANK" in os.environ:
        from textvae.processes import is_to_speak

        if not is_to_speak():
            return
    print(message, file=sys.stderr, flush=True)


def understood(top: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments; settings of `train` and `compare` may stand anywhere among their options."""
    options, rest = top.parse_known_args(arguments)
    is_setting = [options.verb in ("train", "compare") and "=" in word and not word.startswith("-") for word in rest]
    if not all(is_setting):
        top.error(f"unrecognized arguments: {' '.join(rest)}")
    options.settings = rest
    return options


def parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    top = argparse.ArgumentParser(prog="textvae", description="Variational autoencoders of text.")
    top.add_argument("--version", action="version", version=f"textvae {__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    add_train(verbs.add_parser("train", help="train on a corpus"))
    add_evaluate(verbs.add_parser("evaluate", help="measure a run, with the doctor's verdict"))
    add_writers(verbs)
    add_readers(verbs)
    add_vectors(verbs)
    add_bench(verbs.add_parser("bench", help="measure how fast this machine trains, decodes, scores and encodes"))
    add_compare(verbs.add_parser("compare", help="train and measure several configs and seeds, side by side"))
    report = verbs.add_parser("report", help="write what a run is and does as one HTML file")
    add_run(report)
    add_report(report)
    for verb, what in (("doctor", "say whether the latent is used, and what to change"), ("info", "say what a run is")):
        command = verbs.add_parser(verb, help=what)
        add_run(command)
    return top


def add_run(command: argparse.ArgumentParser) -> None:
    """Add what every verb on a trained run takes."""
    command.add_argument("run", metavar="RUN", help="a folder that `textvae train` wrote")
    command.add_argument("--device", metavar="cpu|cuda", help="by default a GPU if there is one")
    command.add_argument("--json", action="store_true", help="print one JSON object a line, and nothing else")


def add_train(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `train`."""
    command.usage = "textvae train [CORPUS] [--config FILE.yaml] [--output RUN] [options] [section.key=value ...]"
    command.add_argument(
        "corpus",
        nargs="?",
        metavar="CORPUS",
        help="a .txt, .csv, .tsv, .jsonl or .parquet file (gzipped or not), a folder of them, "
        "`captions` (bundled), the name of a data set, or what to stream: a pattern in quotes, or URLs",
    )
    command.add_argument("--config", metavar="FILE.yaml", help="settings; the default recipe without")
    command.add_argument("--output", metavar="RUN", default="runs/vae", help="the run folder (default: runs/vae)")
    command.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    command.add_argument("--overwrite", action="store_true", help="replace the run that stands at --output")
    command.add_argument("--init", metavar="RUN", help="start from this run's model and tokenizer")
    command.add_argument("--device", metavar="cpu|cuda", help="by default a GPU if there is one")


def add_evaluate(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `evaluate`."""
    add_run(command)
    command.add_argument(
        "file", nargs="?", metavar="FILE", help="sentences to measure on (default: the run's test split)"
    )
    command.add_argument("--samples", type=int, default=500, help="importance samples a sentence (default: 500)")
    command.add_argument("--adaptive", action="store_true", help="spread them: more where the weights are uneven")
    command.add_argument("--limit", type=int, metavar="N", help="measure on the first N sentences")
    command.add_argument(
        "--measures",
        metavar="NAMES",
        default="standard",
        help="standard (default), quick, samples, interpolation, or single measures; several with commas between",
    )
    command.add_argument("--prior-samples", type=int, metavar="N", help="sentences from the prior (default: 1000)")
    command.add_argument("--word-vectors", metavar="FILE", help="in word2vec's text format, for interpolation")


def add_writers(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verbs that write text."""
    generate = verbs.add_parser("generate", help="write sentences from the prior")
    add_run(generate)
    generate.add_argument("-n", type=int, default=10, help="how many (default: 10)")
    add_shards(generate)
    reconstruct = verbs.add_parser("reconstruct", help="encode sentences and write them again")
    add_run(reconstruct)
    reconstruct.add_argument(
        "file", nargs="?", metavar="FILE|-", help="sentences; - is standard input (default: 5 test sentences)"
    )
    complete = verbs.add_parser("complete", help="continue a prefix")
    add_run(complete)
    complete.add_argument("prefix", metavar="PREFIX")
    complete.add_argument("-n", type=int, default=5, help="how many (default: 5)")
    interpolate = verbs.add_parser("interpolate", help="walk from one sentence to another")
    add_run(interpolate)
    interpolate.add_argument("first", metavar="ONE")
    interpolate.add_argument("second", metavar="OTHER")
    interpolate.add_argument("--steps", type=int, default=7, help="sentences on the way, ends included (default: 7)")
    interpolate.add_argument("--path", default="linear", help="linear (default) or spherical")
    for command in (generate, reconstruct, complete, interpolate):
        add_decoding(command)


def add_decoding(command: argparse.ArgumentParser) -> None:
    """Add the decoding options, named as in transformers' `GenerationConfig`."""
    group = command.add_argument_group("decoding")
    group.add_argument("--temperature", type=float)
    group.add_argument("--top-p", type=float)
    group.add_argument("--top-k", type=int)
    group.add_argument("--num-beams", type=int)
    group.add_argument("--max-new-tokens", type=int)
    group.add_argument("--seed", type=int, default=0)


def add_shards(command: argparse.ArgumentParser) -> None:
    """Add the options of bulk work."""
    group = command.add_argument_group("shards, for millions of sentences: a killed run goes on with the same command")
    needed = command.prog.endswith("encode")
    what = "z.npy|z.parquet|FOLDER" if needed else "FOLDER"
    group.add_argument("--output", metavar=what, required=needed, help="FOLDER: a Parquet file each some thousand rows")
    group.add_argument("--engine", metavar="accelerate|ray", help="who does the work (default: accelerate)")
    group.add_argument("--shard-rows", type=int, metavar="N", help="rows a file")


def add_readers(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verbs that read text and give numbers."""
    encode = verbs.add_parser("encode", help="map sentences to vectors")
    score = verbs.add_parser("score", help="say how likely each sentence is, and each of its tokens")
    for command in (encode, score):
        add_run(command)
        command.add_argument(
            "file", metavar="FILE|FOLDER|PATTERN|-", help="sentences; - is standard input; folders give shards"
        )
        command.add_argument("--text-column", metavar="NAME", help="of tables (default: as the run was trained)")
        add_shards(command)
    score.add_argument("--samples", type=int, default=50, help="importance samples a sentence (default: 50)")
    score.add_argument("--seed", type=int, default=0)


def add_vectors(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb from vectors to text."""
    decode = verbs.add_parser("decode", help="write sentences from vectors")
    add_run(decode)
    decode.add_argument("vectors", metavar="z.npy|z.parquet")
    add_decoding(decode)


def add_bench(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `bench`."""
    command.add_argument("what", metavar="train|decode|likelihood|encode")
    command.add_argument("--size", default="B", metavar="A|B", help="of a paper's model (default: B)")
    command.add_argument("--corpus", default="captions", metavar="CORPUS", help="text in words (default: captions)")
    command.add_argument("--seconds", type=float, default=30, help="how long to train and to measure (default: 30)")
    command.add_argument("--device", metavar="cpu|cuda", help="by default a GPU if there is one")
    command.add_argument("--json", action="store_true", help="print one JSON object, and nothing else")


if __name__ == "__main__":
    sys.exit(main())
