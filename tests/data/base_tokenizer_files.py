"""Tiny tokenizers of the kinds that pretrained models have, trained in milliseconds."""

from collections.abc import Callable
from typing import Any

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

CORPUS = [
    "A man rides a red horse, isn't it?",
    "Two dogs run; the man's dog (a big one) runs 123 miles.",
    "He said: \"I don't know!\" and she'd gone.",
    "Well-known horses ran in 2024, in the rain.",
    "The red dog and the big man ride in the rain.",
    "she said the man was rich and the dog was old",
]

# How Llama 3 and Qwen split texts: one mark may belong to the letters after it.
SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def gpt2_style() -> PreTrainedTokenizerFast:
    """Return a byte-level BPE with one token for start, end and unknown words."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.post_processor = processors.ByteLevel(trim_offsets=False)
    end = "<|endoftext|>"
    _train_byte_level(core, [end])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=end, eos_token=end, unk_token=end
    )


def llama3_style(ignore_merges: bool = True) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE whose merges are all pairs that give a token, as Llama 3 has.

    Its special tokens are not in the model's vocabulary, and it begins texts with one.
    """
    core = Tokenizer(models.BPE())
    core.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(SPLIT_PATTERN), behavior="isolated")
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.pre_tokenizer = pre_tokenizers.Sequence([split, to_bytes])
    core.decoder = decoders.ByteLevel()
    _train_byte_level(core, [])
    vocabulary = core.get_vocab()
    core.model = models.BPE(vocabulary, _all_merges(vocabulary), ignore_merges=ignore_merges)
    core.add_special_tokens(["<|begin|>", "<|end|>", "<|reserved|>"])
    _add_template(core, "<|begin|> $A", ["<|begin|>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|begin|>",
        eos_token="<|end|>",
        pad_token="<|end|>",
        chat_template="{{ messages }}",
    )


def t5_style() -> PreTrainedTokenizerFast:
    """Return a Unigram model on SentencePiece's word boundaries that ends each text."""
    core = Tokenizer(models.Unigram())
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=150,
        special_tokens=["<pad>", "</s>", "<unk>"],
        unk_token="<unk>",
        show_progress=False,
    )
    core.train_from_iterator(CORPUS * 4, trainer)
    _add_template(core, "$A </s>", ["</s>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def llama2_style() -> PreTrainedTokenizerFast:
    """Return a BPE on whole texts in which unknown characters become bytes, as in Gemma too."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=120, show_progress=False)
    trained.train_from_iterator(CORPUS * 4, trainer)
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    learned = trained.get_vocab()
    pieces += sorted(learned, key=learned.__getitem__)
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    core = Tokenizer(
        models.BPE(
            vocabulary,
            _all_merges(vocabulary),
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    core.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    core.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    core.add_special_tokens(["<unk>", "<s>", "</s>"])
    _add_template(core, "<s> $A", ["<s>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def bert_style() -> PreTrainedTokenizerFast:
    """Return a WordPiece model that lowers case and puts texts between [CLS] and [SEP]."""
    core = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.decoder = decoders.WordPiece()
    special_tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=140, special_tokens=special_tokens, show_progress=False
    )
    core.train_from_iterator(CORPUS * 4, trainer)
    _add_template(core, "[CLS] $A [SEP]", ["[CLS]", "[SEP]"])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=16,
    )


STYLES: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    "GPT-2": gpt2_style,
    "Llama 3": llama3_style,
    "T5": t5_style,
    "Llama 2": llama2_style,
    "BERT": bert_style,
}


def _train_byte_level(core: Tokenizer, special_tokens: list[str]) -> None:
    """Learn about a hundred merges on the corpus."""
    trainer = trainers.BpeTrainer(
        vocab_size=380,
        special_tokens=special_tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(CORPUS * 4, trainer)


def _all_merges(vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """Return every pair of pieces that gives a piece, in the order of the pieces they give."""
    merges = []
    for piece in sorted(vocabulary, key=vocabulary.__getitem__):
        halves = [(piece[:at], piece[at:]) for at in range(1, len(piece))]
        merges += [pair for pair in halves if vocabulary.keys() >= set(pair)]
    return merges


def _add_template(core: Tokenizer, template: str, tokens: list[str]) -> None:
    """Let the tokenizer add these special tokens to each text."""
    pairs: list[Any] = [(token, core.token_to_id(token)) for token in tokens]
    core.post_processor = processors.TemplateProcessing(single=template, special_tokens=pairs)
