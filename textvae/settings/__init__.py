"""The settings of a run: nested sections, YAML, `section.key=value`, and automatic values."""
