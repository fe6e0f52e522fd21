"""The tokenizer of a pretrained encoder, which has other tokens than the decoder.

It is saved as one JSON file of the `tokenizers` library, with its special tokens, its
maximum length and its padding.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from textvae.errors import ConfigError

ENCODER_TOKENIZER = "encoder_tokenizer.json"  # its file in a run


class EncoderTokenizer:
    """Turns texts into the tokens of an encoder, special tokens included."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    @classmethod
    def from_base(cls, tokenizer: PreTrainedTokenizerBase, max_length: int) -> "EncoderTokenizer":
        """Return a base's own tokenizer, which cuts texts after `max_length` tokens.

        Raises:
            ConfigError: the tokenizer is one in pure Python.
        """
        if not tokenizer.is_fast:
            raise ConfigError(
                f"{tokenizer.name_or_path}: its tokenizer is written in Python, and textvae needs "
                "a tokenizer.json for an encoder."
            )
        backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        backend.enable_truncation(max_length)
        pad_id = tokenizer.pad_token_id
        if pad_id is None:  # any token will do: the mask excludes padding
            pad_id = 0
        backend.enable_padding(pad_id=pad_id, pad_token=str(backend.id_to_token(pad_id)))
        return cls(backend)

    @classmethod
    def read(cls, file: Path) -> "EncoderTokenizer | None":
        """Return the tokenizer in a file, or None if the file does not exist."""
        if not file.is_file():
            return None
        return cls(Tokenizer.from_str(file.read_text(encoding="utf-8")))

    def save(self, file: Path) -> None:
        """Write the tokenizer to a file."""
        file.write_text(self.tokenizer.to_str(), encoding="utf-8")

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return ids and mask, (batch, length) each, padded on the right.

        A text without tokens gets one, so that the encoder has something to attend to.
        """
        encodings = self.tokenizer.encode_batch(list(texts))
        ids = torch.tensor([encoding.ids for encoding in encodings], dtype=torch.long)
        mask = torch.tensor([encoding.attention_mask for encoding in encodings], dtype=torch.long)
        if ids.shape[1] == 0:
            ids = ids.new_zeros(len(encodings), 1)
            mask = ids.clone()
        empty = mask.sum(1) == 0
        mask[empty, 0] = 1
        return ids, mask

    def __getstate__(self) -> str:
        """Return the JSON, for processes that load batches."""
        return str(self.tokenizer.to_str())

    def __setstate__(self, state: str) -> None:
        """Restore the tokenizer from its JSON."""
        self.tokenizer = Tokenizer.from_str(state)
