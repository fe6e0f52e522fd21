"""Fast versions of the operations that take most of the training time."""
