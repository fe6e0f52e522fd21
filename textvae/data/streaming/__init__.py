"""Streaming: corpora that are read during training, from local files or object stores.

files     which files there are, and how each is read
reading   the rows of one file, with damage reported or skipped
readers   one reader's share of the files, as batches, each with its position
loading   the readers of one process, run by worker processes, resumable
sample    what a run needs before it starts: held-out sentences, tokenizer, tokens per sentence
"""
