"""How well blanks are filled, against a language model and against iterated conditional modes.

    python experiments/infill.py RUN LM_RUN FILE [--sentences 100] [--after 0]

FILE holds held-out sentences; of each, first the end is hidden (the last fifth of
its words, Bowman et al. 2016), then a fifth of its words anywhere. Printed: the
likelihood of the true end; the share of hidden words found at their places and
of blanks wholly right; and the adversarial error, by how much a classifier on
bags of words does better than chance at telling true sentences from filled
ones (lower is better), over five folds. With --records a stopped run goes on
where it stopped.
"""

import argparse
import json
from pathlib import Path
from random import Random

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from textvae.uses.infill.search import log_likelihoods
from textvae.uses.latent_proposals import log_evidence
from textvae.vae import TextVAE

SHARE = 0.2
BLANK = "___"


def hide_end(words, random):
    """Return which words are hidden: the last ones."""
    return list(range(len(words) - max(1, round(SHARE * len(words))), len(words)))


def hide_anywhere(words, random):
    """Return which words are hidden: some, in any place."""
    return sorted(random.sample(range(len(words)), max(1, round(SHARE * len(words)))))


def blanked(words, hidden):
    """Return the sentence with blanks, one for each run of hidden words, and the words of each."""
    shown, truths = [], []
    for place, word in enumerate(words):
        if place not in hidden:
            shown.append(word)
        elif place - 1 in hidden:
            truths[-1].append(word)
        else:
            shown.append(BLANK)
            truths.append([word])
    return " ".join(shown), truths


def matches(fills, truths):
    """Return the shares of hidden words found at their places, and of blanks wholly right."""
    words = [
        place < len(fill.split()) and fill.split()[place] == word
        for fill, truth in zip(fills, truths, strict=True)
        for place, word in enumerate(truth)
    ]
    return np.mean(words), np.mean(
        [fill.split() == truth for fill, truth in zip(fills, truths, strict=True)]
    )


def adversarial_error(true, filled):
    """Return the held-out accuracy of a classifier on bags of words, less one half; pairs stay together."""
    texts, labels = true + filled, np.repeat([0, 1], [len(true), len(filled)])
    groups = np.tile(np.arange(len(true)), 2)
    model = make_pipeline(
        CountVectorizer(token_pattern=r"\S+", binary=True), LogisticRegression(max_iter=1000)
    )
    return cross_val_score(model, texts, labels, groups=groups, cv=GroupKFold(5)).mean() - 0.5


def endings(vae, sentences):
    """Return the mean log-likelihood in nats of the true ends, given what stands before them."""
    found = []
    for text in sentences:
        words = text.split()
        prefix = " ".join(words[: hide_end(words, None)[0]])
        found.append(
            log_likelihoods(vae.bundle, [text], 512, 0)[0]
            - log_evidence(vae.bundle, prefix, 512, 0)
        )
    return np.mean(found)


class Records:
    """What was found so far, in a file of one JSON object a line, or in memory."""

    def __init__(self, file):
        self.file = file and Path(file)
        lines = (
            self.file.read_text(encoding="utf-8").splitlines()
            if file and self.file.exists()
            else []
        )
        self.found = {tuple(key): best for key, best in map(json.loads, lines)}

    def of(self, key, make):
        """Return what is kept under the key, or make and keep it."""
        if key not in self.found:
            self.found[key] = make()
            if self.file:
                with self.file.open("a", encoding="utf-8") as out:
                    out.write(json.dumps([key, self.found[key]]) + "\n")
        return self.found[key]


def row(name, vae, sentences, records, **options):
    """Print a line of the table."""
    cells = []
    for hide in (hide_end, hide_anywhere):
        random, kept, found, scores = Random(0), [], [], []
        for text in sentences:
            shown, truths = blanked(text.split(), hide(text.split(), random))
            best = records.of(
                (name, shown, text), lambda shown=shown: vae.infill(shown, n=1, **options)
            )
            if best:
                kept.append(text)
                found.append(best[0]["text"])
            scores.append(matches(best[0]["fills"], truths) if best else (0.0, 0.0))
        word, exact = np.mean(scores, axis=0)
        cells += [
            f"{100 * word:.1f} %",
            f"{100 * exact:.1f} %",
            f"{100 * adversarial_error(kept, found):.1f} %",
        ]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("run", "lm_run", "file"):
        parser.add_argument(name)
    parser.add_argument("--sentences", type=int, default=100)
    parser.add_argument(
        "--after", type=int, default=0, help="sentences of the draw to pass over: looked at before"
    )
    parser.add_argument("--records", metavar="FILE")
    options = parser.parse_args()
    vae, model = TextVAE.from_pretrained(options.run), TextVAE.from_pretrained(options.lm_run)
    known = [line.strip() for line in Path(options.file).read_text(encoding="utf-8").splitlines()]
    usable = [line for line in known if 5 <= len(line.split()) <= 25 and "_" not in line]
    sentences = Random(0).sample(usable, options.after + options.sentences)[options.after :]
    print(f"{len(sentences)} sentences\n")
    print(
        "| | end: words | exact | adversarial | anywhere: words | exact | adversarial |\n|---|---|---|---|---|---|---|"
    )
    records = Records(options.records)
    row("VAE, resampling", vae, sentences, records)
    row("language model, beam of 15", model, sentences, records, method="beam_search", beams=15)
    row(
        "VAE, conditional modes (3 x 5)",
        vae,
        sentences,
        records,
        method="conditional_modes",
        beams=5,
    )
    print(f"\ntrue ends: VAE {endings(vae, sentences):.2f} nats, ", end="")
    print(f"language model {endings(model, sentences):.2f} nats")


if __name__ == "__main__":
    main()
