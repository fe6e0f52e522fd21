"""The settings of `export`; the command line takes its options from this class."""

from typing import Literal

from pydantic import Field

from textvae.schema import StrictSettings

ExportFormat = Literal["onnx", "page"]


class ExportSettings(StrictSettings):
    """What is exported."""

    format: ExportFormat = Field(
        "onnx",
        description="onnx: two ONNX files with runners in Python and JavaScript; "
        "page: the same files as a web page that needs no server",
    )
    int8: bool = Field(
        False, description="store the large matrices in 8 bits, a quarter of the size"
    )
    overwrite: bool = Field(False, description="replace an earlier export in the same folder")
