"""One or two examples of each verb, which its --help ends with.

RUN is the folder of a run, as in the usage. A test parses every example.
"""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "train": (
        "textvae train captions training.max_minutes=4 --output runs/demo",
        "textvae train my.csv data.text_column=review --preset generate",
    ),
    "finish": ("textvae finish runs/demo",),
    "compare": ("textvae compare ptb/default ptb/free_bits --seeds 3 --output runs/compared",),
    "tune": ("textvae tune my.txt --output runs/search",),
    "evaluate": (
        "textvae evaluate RUN --limit 500 --samples 50",
        "textvae evaluate RUN other.txt --measures quick --json",
    ),
    "doctor": ("textvae doctor RUN",),
    "report": ("textvae report RUN --output report.html",),
    "generate": (
        "textvae generate RUN -n 5 --temperature 0.8 --seed 1",
        "textvae generate RUN -n 1000000 --output sentences",
    ),
    "complete": ('textvae complete RUN "a man" -n 3',),
    "infill": ('textvae infill RUN "a man ___ a ___."',),
    "augment": ("textvae augment RUN labelled.csv --label-column label",),
    "reconstruct": ("textvae reconstruct RUN", "textvae reconstruct RUN my.txt --json"),
    "interpolate": (
        'textvae interpolate RUN "a man rides a wave." "a plate of food." --steps 5',
        "textvae interpolate RUN --file pairs.tsv --column first --column second --json",
    ),
    "shell": ("textvae shell RUN", "textvae shell RUN --json"),
    "features": ("textvae features RUN my.txt --output features.npy --kind states",),
    "vary": (
        'textvae vary RUN "a man rides a wave." -n 10 --spread 0.5',
        "textvae vary RUN --file my.txt --json",
    ),
    "analogy": ('textvae analogy RUN "a man runs." "two men run." "a dog runs."',),
    "attribute fit": ("textvae attribute fit RUN labelled.csv --name mood --towards happy",),
    "edit": ('textvae edit RUN "a sad song." --attribute mood --strength 2',),
    "encode": (
        "textvae encode RUN my.txt --output z.npy",
        'textvae encode RUN "texts/*.parquet" --output vectors',
    ),
    "decode": ("textvae decode RUN z.npy",),
    "prior fit": ("textvae prior fit RUN", "textvae prior fit RUN my.txt --kind flow"),
    "traverse": ('textvae traverse RUN "a man rides a wave." --dimension 3',),
    "explore": ("textvae explore RUN --browser",),
    "insight": ("textvae insight RUN reviews.csv --column stars",),
    "score": ("textvae score RUN my.txt", "cat my.txt | textvae score RUN - --json"),
    "anomaly fit": ("textvae anomaly fit RUN normal.txt",),
    "anomaly score": ("textvae anomaly score RUN new.txt --json",),
    "uncertainty": ("textvae uncertainty RUN my.txt", "textvae uncertainty RUN my.txt --curve"),
    "index": ("textvae index RUN my.txt",),
    "neighbors": ('textvae neighbors RUN "a man rides a wave." -k 5',),
    "push": ("textvae push RUN me/my-text-vae --private",),
    "export": (
        "textvae export RUN --output exported --int8",
        "textvae export RUN --format page --output site",
    ),
    "info": ("textvae info RUN", "textvae info"),
    "docs": ("textvae docs", "textvae docs measures"),
    "settings": ("textvae settings training", "textvae settings target_kl --json"),
    "bench": ("textvae bench decode --seconds 10",),
    "skill": ("textvae skill --output skills",),
    "completion": (
        "textvae completion bash >> ~/.bash_completion",
        "textvae completion zsh >> ~/.zshrc",
        "textvae completion fish > ~/.config/fish/completions/textvae.fish",
    ),
}
