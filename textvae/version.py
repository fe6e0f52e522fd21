"""The version of the package, that of the format of its run folders, and its address."""

__version__ = "0.1.0"

# The format of a run folder. It grows by one whenever a release writes something that an
# earlier release would misread, or can no longer read what an earlier release wrote.
RUN_FORMAT = 1

DOCUMENTATION = "https://pypi.org/project/textvae/"  # as in pyproject.toml
