"""The settings of a run: nested sections, YAML files, `section.key=value`, automatic values."""
