"""Files of the repository that a wheel contains a copy of: example configs, pages of the documentation."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def list_packaged_files(folder: str, suffix: str) -> dict[str, Path]:
    """Return the files below a folder of the repository by name, sorted; a name has no suffix.

    Args:
        folder: its name, which is that of its copy in the package.
        suffix: that of the files, such as .yaml.
    """
    place = _PACKAGE / folder
    if not place.is_dir():  # in a checkout, which has no copy
        place = _PACKAGE.parent / folder
    files = sorted(place.rglob(f"*{suffix}"))
    return {file.relative_to(place).as_posix().removesuffix(suffix): file for file in files}
