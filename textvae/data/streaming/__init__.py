"""Streaming: corpora that are read while they are trained on, from files here or on object stores.

files     which files there are, and what kind they are
reading   the rows of one file, with damage reported or passed over
lanes     one reader's share of the files, as batches, each with its place
loading   the lanes of one process, loaded by workers, resumable
sample    what a run must know before it starts: held-out sentences, tokenizer, tokens a sentence
"""
