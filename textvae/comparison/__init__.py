"""Comparisons: train and evaluate a matrix of configs, corpora and seeds, and tabulate the runs.

compare.py  the entry point
matrix.py   which runs there are, and what is refused before any is trained
folder.py   the output folder: the settings of its runs, and a lock
runner.py   one process per run, several at a time; what failed and why
report/     the table in several formats, and an HTML report with pictures

Each run's process is `textvae.cli.compare_worker`.
"""
