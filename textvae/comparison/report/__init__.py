"""The table of a comparison in several formats, and HTML reports of a comparison or of one run."""
