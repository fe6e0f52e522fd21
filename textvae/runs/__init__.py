"""The run folder, what is fitted on a run, and publishing it."""
