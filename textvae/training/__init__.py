"""Training: the loop, its plan, its checkpoints, and the launcher that sets it up."""
