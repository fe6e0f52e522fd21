"""Files of other formats: documents, web pages and archives, which are refused with the way out.

Without this, their tags and bytes would be read as if they were sentences.
"""

from pathlib import Path

from textvae.errors import DataError

_DOCUMENT = "save its text as a .txt file"
_PAGE = "extract its text into a .txt file, without the tags"
_SHEET = "save the sheet as a .csv file"
_TABLE = "convert it to .parquet or .jsonl"
_ARRAYS = "write its texts to a .txt or .jsonl file"

# How to fix a file, by its suffix.
FOREIGN_SUFFIXES: dict[str, str] = {
    **dict.fromkeys((".pdf", ".doc", ".docx", ".odt", ".rtf", ".epub", ".mobi", ".ps"), _DOCUMENT),
    **dict.fromkeys((".ppt", ".pptx", ".odp", ".ipynb"), _DOCUMENT),
    **dict.fromkeys((".html", ".htm", ".xhtml", ".xml", ".sgm", ".sgml", ".tmx"), _PAGE),
    **dict.fromkeys((".xls", ".xlsx", ".xlsm", ".ods"), _SHEET),
    **dict.fromkeys((".orc", ".avro", ".db", ".sqlite", ".sqlite3", ".h5", ".hdf5"), _TABLE),
    **dict.fromkeys((".pkl", ".pickle", ".npy", ".npz", ".pt", ".pth", ".mat"), _ARRAYS),
    **dict.fromkeys((".safetensors", ".bin", ".rds", ".rdata"), _ARRAYS),
    **dict.fromkeys((".ass", ".ssa", ".sub", ".ttml"), "convert it to .srt"),
    **dict.fromkeys((".sdf", ".mol", ".mol2", ".pdb", ".inchi"), "convert it to SMILES (.smi)"),
    **dict.fromkeys((".gb", ".gbk", ".genbank", ".embl", ".sam", ".bam"), "convert it to .fasta"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".mp3", ".mp4", ".wav"), "name a text file"),
}


def get_foreign_suffix(name: str) -> str | None:
    """Return the suffix of a file of another format; None if the name does not say so."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes if suffix.lower() != ".gz"]
    if suffixes and suffixes[-1] in FOREIGN_SUFFIXES:
        return suffixes[-1]
    return None


def refuse_foreign_file(file: Path) -> None:
    """Refuse a file of another format.

    Documents of office programs are left to the reader, which knows them by their content.

    Raises:
        DataError: the suffix of its name is that of another format.
    """
    suffix = get_foreign_suffix(file.name)
    if suffix is not None and not _is_office_document(file, suffix):
        raise DataError(
            f"{file}: {suffix} files cannot be read; {FOREIGN_SUFFIXES[suffix]}. "
            "(If it is plain text with one sentence per line, rename it to .txt.)"
        )


def _is_office_document(file: Path, suffix: str) -> bool:
    """Return whether a file is an archive of an office program; its reader refuses those."""
    if suffix not in (".docx", ".xlsx", ".xlsm", ".pptx", ".odt", ".ods", ".odp", ".epub"):
        return False
    with file.open("rb") as stream:
        return stream.read(2) == b"PK"
