"""Draw the pictures of the documentation into docs/pictures.

    python experiments/pictures.py RUN

The rate-distortion plane shows the rows of docs/benchmarks/ptb.csv, which has the
means of the table in docs/benchmarks/ptb.md. The latent map shows test sentences of
RUN; in the documentation, RUN is `runs/demo`. The script needs
`pip install 'textvae[report]'`.
"""

import argparse
import csv
from pathlib import Path

from textvae.comparison.report.model_summary import summarize_model
from textvae.comparison.report.pictures import draw_latent_maps
from textvae.comparison.report.plots import Picture
from textvae.comparison.report.rate_distortion import draw_rate_distortion_pictures
from textvae.comparison.report.table import group_rows
from textvae.inference.checkpoint import load_bundle
from textvae.runs.run import Run

DOCS = Path(__file__).parents[1] / "docs"
MAX_POINTS = 800  # of the map; with more, the file is larger and the picture looks the same


def draw_plane(file: Path) -> Picture:
    """Return the rate-distortion plane of a table of means, a CSV file."""
    records = []
    with file.open(newline="") as stream:
        for row in csv.DictReader(stream):
            elbo = float(row["elbo"])
            kl = float(row["kl"]) if row["kl"] else None
            records.append(
                {
                    "config": row["row"],
                    "corpus": "Penn Treebank",
                    "seed": 1,
                    "reason": "",
                    "latent_dim": int(row["latent_dim"]),
                    "elbo": elbo,
                    "kl": kl,
                    # -ELBO is the sum of the reconstruction term and the KL.
                    "reconstruction": None if kl is None else -elbo - kl,
                }
            )
    return draw_rate_distortion_pictures(group_rows(records))[0]


def draw_map(folder: Path) -> Picture:
    """Return the map of the posterior means of a run's test sentences."""
    summary = summarize_model(Run(folder), load_bundle(folder, "cpu"))
    for key in ("points", "umap", "words", "labels"):
        if summary.get(key):
            summary[key] = summary[key][:MAX_POINTS]
    return draw_latent_maps(summary)[0]


def save(picture: Picture, name: str) -> None:
    """Write a picture to docs/pictures and print its legend."""
    svg = picture.svg
    # In an HTML page, SVG needs no namespace; in a file of its own, it does.
    if "xmlns=" not in svg.split(">", 1)[0]:
        svg = svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    file = DOCS / "pictures" / f"{name}.svg"
    file.parent.mkdir(exist_ok=True)
    file.write_text(svg, encoding="utf-8")
    print(f"{file.relative_to(DOCS.parent)}: {picture.note}; {picture.legend}")


def main() -> None:
    """Draw all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN", help="a run, such as runs/demo")
    options = parser.parse_args()
    save(draw_plane(DOCS / "benchmarks" / "ptb.csv"), "rate_distortion")
    save(draw_map(options.run), "latent_map")


if __name__ == "__main__":
    main()
