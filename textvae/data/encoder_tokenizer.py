"""The tokenizer of a pretrained encoder, which has other tokens than the decoder.

It is one JSON file of the `tokenizers` library, which holds the special tokens that the
encoder was trained with, its maximum length and its padding.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from textvae.data.tokenization import refused_texts_as_config_error
from textvae.errors import ConfigError

ENCODER_TOKENIZER = "encoder_tokenizer.json"  # its file in a run

# The tokens with which BERT, RoBERTa and T5 hide words.
_MASK_TOKENS = ("[MASK]", "<mask>", "<extra_id_0>")


class EncoderTokenizer:
    """Turns texts into the ids of a pretrained encoder, with the encoder's own special tokens."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        # A text that contains "[SEP]" does not end there. The file does not hold this.
        self.tokenizer.encode_special_tokens = True

    @classmethod
    def from_base(cls, tokenizer: PreTrainedTokenizerBase, max_length: int) -> "EncoderTokenizer":
        """Return the tokenizer of a base.

        Args:
            max_length: most tokens per text, special tokens included. A longer text loses its end.

        Raises:
            ConfigError: the tokenizer is written in Python, or `max_length` leaves no room for a
                token of the text.
        """
        if not tokenizer.is_fast:
            raise ConfigError(
                f"{tokenizer.name_or_path} holds a tokenizer that is written in Python; expected "
                "one of the tokenizers library. Use a base with a tokenizer.json."
            )
        special_count = tokenizer.num_special_tokens_to_add()
        if max_length <= special_count:
            raise ConfigError(
                f"got at most {max_length} tokens per text for the encoder, but its tokenizer "
                f"adds {special_count} special tokens; expected at least {special_count + 1}."
            )
        backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        backend.enable_truncation(max_length)
        # Any token will do under padding, which the mask hides. It is also the only token of a
        # text that would have none, with a tokenizer like GPT-2's.
        pad_id = _first_id(tokenizer, ("pad", "eos", "sep", "unk"))
        backend.enable_padding(pad_id=pad_id, pad_token=str(backend.id_to_token(pad_id)))
        return cls(backend)

    @classmethod
    def read(cls, file: Path) -> "EncoderTokenizer | None":
        """Return the tokenizer in a file, or None if there is no such file."""
        if not file.is_file():
            return None
        return cls(Tokenizer.from_str(file.read_text(encoding="utf-8")))

    @property
    def max_length(self) -> int | None:
        """The most tokens of a text, special tokens included; None without a limit."""
        truncation = self.tokenizer.truncation
        return int(truncation["max_length"]) if truncation else None

    def truncate_at(self, max_length: int) -> "EncoderTokenizer":
        """Return the same tokenizer with another maximum length."""
        backend = Tokenizer.from_str(self.tokenizer.to_str())
        backend.enable_truncation(max_length)
        return type(self)(backend)

    @property
    def pad_id(self) -> int:
        """The id under padding."""
        padding = self.tokenizer.padding
        return int(padding["pad_id"]) if padding else 0

    @property
    def frame_ids(self) -> tuple[int, ...]:
        """The tokens that are added to every text."""
        return tuple(self.tokenizer.encode("").ids)

    @property
    def blank_id(self) -> int:
        """The token that stands for a hidden word: the one that the base was trained with, if any."""
        unknown = getattr(self.tokenizer.model, "unk_token", None)
        for token in (*_MASK_TOKENS, unknown):
            token_id: int | None = None if token is None else self.tokenizer.token_to_id(token)
            if token_id is not None:
                return token_id
        return self.pad_id

    def save(self, file: Path) -> None:
        """Write the tokenizer to a file."""
        file.write_text(self.tokenizer.to_str(), encoding="utf-8")

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return the ids of texts and their mask, (batch, length) each, padded on the right.

        The mask is 1 on real tokens, of which every text has at least one.

        Raises:
            ConfigError: the tokenizer cannot encode a text.
        """
        with refused_texts_as_config_error():
            encodings = self.tokenizer.encode_batch(list(texts))
        ids = torch.tensor([encoding.ids for encoding in encodings], dtype=torch.long)
        mask = torch.tensor([encoding.attention_mask for encoding in encodings], dtype=torch.long)
        if ids.numel() == 0:  # all texts are empty, and get no special tokens
            ids = torch.full((len(encodings), 1), self.pad_id)
            mask = torch.zeros_like(ids)
        mask[mask.sum(1) == 0, 0] = 1
        return ids, mask

    def __getstate__(self) -> str:
        """Return the JSON, for processes that load batches."""
        return str(self.tokenizer.to_str())

    def __setstate__(self, state: str) -> None:
        """Restore the tokenizer from its JSON."""
        self.__init__(Tokenizer.from_str(state))  # type: ignore[misc]


def _first_id(tokenizer: PreTrainedTokenizerBase, roles: Iterable[str]) -> int:
    """Return the id of the first of these special tokens that the tokenizer has, or 0."""
    for role in roles:
        token_id: int | None = getattr(tokenizer, f"{role}_token_id")
        if token_id is not None:
            return token_id
    return 0
