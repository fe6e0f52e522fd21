"""Search over settings: train many configs of one corpus for the same time, and keep the best.

tune.py       the entry point: what is refused, and what the search starts from
search.py     its course: one trial after another, until the time is up
settings.py   how long, and for what
space.py      which settings are searched, and in which ranges: one table
words.py      what the user changes of it: --search and --fix
objective.py  the score of a trial, which a collapsed model cannot win
steps.py      small steps from the best trial so far, with which a search begins
study.py      Optuna's part: the database, the sampler, the pruner
folder.py     the output folder: what the search was started with, and a lock
trial.py      one trial: its training, reported to Optuna at fixed shares of its time
outputs.py    what is written after each trial
results.py    the records, the table, the best config as YAML
picture.py    likelihood and reconstruction of all trials, with their Pareto front
"""
