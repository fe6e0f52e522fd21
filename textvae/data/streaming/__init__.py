"""Streaming: corpora that are read during training, from local files or object stores.

settings  whether a corpus is streamed, and how
files     which files there are, and how each is read
reading   the rows of one file; damage stops the run or is skipped
readers   the batches that one reader makes from its share of the files
loading   the readers of one process, run by its worker processes, and how they are resumed
sample    what a run needs before it starts: held-out sentences, tokenizer, tokens per sentence
"""
