"""The verbs: what `textvae --help` lists, and the module in which each of them is.

The table is plain data: `textvae --help` prints it without importing any verb, and
`textvae VERB` imports one module only. A module has `add`, which adds the parsers of its
verbs, and `COMMANDS`, the functions that execute them; verbs that belong together share
a module. A function parses options, calls the library and prints; nothing heavy is
imported before it runs.

To add a verb, write its module and add a line here. A test compares the two.
"""

from typing import NamedTuple


class Verb(NamedTuple):
    """A verb of the command line.

    Attributes:
        module: the module of `textvae.cli` that has it.
        group: the heading under which --help lists it.
        summary: what it does, as its module says it to `add_verb`.
        takes_settings: whether settings, `section.key=value`, may be among its arguments.
    """

    module: str
    group: str
    summary: str
    takes_settings: bool = False


_TRAIN = "train a model"
_MEASURE = "measure"
_WRITE = "write sentences"
_CHANGE = "change sentences"
_LATENT = "look into the latent space"
_SCORE = "score and find sentences"
_OTHER = "about textvae and this machine"

# In the order in which --help lists them; the verbs of a group follow one another.
VERBS = {
    "train": Verb("train", _TRAIN, "train a model on a corpus", takes_settings=True),
    "finish": Verb("train", _TRAIN, "end an interrupted run now, with the best model that it has"),
    "compare": Verb(
        "compare",
        _TRAIN,
        "train and evaluate several configs with several seeds, side by side",
        takes_settings=True,
    ),
    "tune": Verb(
        "tune",
        _TRAIN,
        "search for settings that are better than the default recipe",
        takes_settings=True,
    ),
    "evaluate": Verb("evaluate", _MEASURE, "measure a run, and judge whether its latent is used"),
    "doctor": Verb(
        "evaluate",
        _MEASURE,
        "check quickly whether the latent is used and the model is useful, and advise what to "
        "change",
    ),
    "report": Verb("compare", _MEASURE, "write an HTML file that describes a run"),
    "generate": Verb(
        "generate", _WRITE, "sample latents from the prior and decode them to sentences"
    ),
    "complete": Verb("generate", _WRITE, "write sentences that begin with a prefix"),
    "infill": Verb("infill", _WRITE, "fill the blanks of a sentence"),
    "augment": Verb("augment", _WRITE, "write new texts with the same labels as those of a table"),
    "reconstruct": Verb("generate", _CHANGE, "encode sentences and decode them again"),
    "vary": Verb("vary", _CHANGE, "write sentences near a sentence"),
    "interpolate": Verb(
        "generate", _CHANGE, "decode a path in latent space through two or more sentences"
    ),
    "analogy": Verb("edit", _CHANGE, "write the text that is to C as B is to A"),
    "attribute": Verb(
        "edit", _CHANGE, "find the direction in latent space along which labelled texts differ"
    ),
    "edit": Verb("edit", _CHANGE, "rewrite texts with more or less of an attribute"),
    "encode": Verb("score", _LATENT, "map sentences to vectors, their posterior means"),
    "features": Verb("score", _LATENT, "compute features of sentences for other models"),
    "decode": Verb("generate", _LATENT, "decode vectors to sentences"),
    "prior": Verb("prior", _LATENT, "fit a prior to the latents of a corpus, for better samples"),
    "traverse": Verb(
        "insight", _LATENT, "decode a text again while one dimension of its latent changes"
    ),
    "explore": Verb("explore", _LATENT, "serve a web page that shows a trained model at work"),
    "insight": Verb("insight", _LATENT, "say what each dimension of the latent encodes"),
    "score": Verb(
        "score", _SCORE, "compute the likelihood of each sentence and of each of its tokens"
    ),
    "anomaly": Verb(
        "anomaly", _SCORE, "find sentences that are unlike those the model was trained on"
    ),
    "uncertainty": Verb(
        "uncertainty", _SCORE, "estimate how certain the model is of each sentence"
    ),
    "index": Verb(
        "neighbors",
        _SCORE,
        "index the sentences of a corpus by their latents, for `textvae neighbors`",
    ),
    "neighbors": Verb(
        "neighbors", _SCORE, "find the indexed sentences that are most similar to a text"
    ),
    "push": Verb("push", _OTHER, "upload a run to the Hugging Face Hub, with its model card"),
    "export": Verb("export", _OTHER, "write a run as files or a web page that work without torch"),
    "shell": Verb("shell", _OTHER, "keep a model loaded, and answer one line after another"),
    "info": Verb(
        "evaluate", _OTHER, "describe a run, or print versions and machine for an issue report"
    ),
    "settings": Verb(
        "explain", _OTHER, "explain the settings of a run, with their types and defaults"
    ),
    "docs": Verb("docs", _OTHER, "list the pages of the documentation, or print one"),
    "completion": Verb(
        "completion", _OTHER, "print a script that lets a shell complete verbs and options"
    ),
    "bench": Verb(
        "bench", _OTHER, "measure how fast this machine trains, decodes, scores or encodes"
    ),
    "skill": Verb("skill", _OTHER, "print the skill for coding agents, or install it"),
}

# Other spellings, which are accepted, and other words, which are answered with the verb.
ALIASES = {"neighbours": "neighbors"}
SYNONYMS = {
    "benchmark": "bench",
    "diagnose": "doctor",
    "direction": "attribute",
    "documentation": "docs",
    "embed": "encode",
    "fill": "infill",
    "likelihood": "score",
    "nearest": "neighbors",
    "optimize": "tune",
    "outliers": "anomaly",
    "paraphrase": "vary",
    "publish": "push",
    "sample": "generate",
    "search": "neighbors",
    "sweep": "tune",
    "upload": "push",
    "visualize": "explore",
}
