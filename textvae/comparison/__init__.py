"""Comparison: a matrix of configs, corpora and seeds, trained, measured and put side by side.

matrix.py   which runs there are to be, and what is refused before any is trained
folder.py   the output folder: which comparison stands there, and who works at it
runner.py   a process a run, some at a time; what failed and why
worker.py   what such a process does: train, evaluate, portray
portrait.py what a report shows of a model beside its measures
table.py    means and spreads over seeds; formats.py as Markdown, CSV and LaTeX
plots.py    how pictures look; curves.py plane.py latent_map.py units.py the pictures; page.py the HTML they stand in
"""
