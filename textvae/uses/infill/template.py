"""A sentence with blanks, as tokens.

The visible tokens are fixed, and each blank may be filled with one token or several.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

from textvae.data.tokenization import encode_batch, without_marks
from textvae.errors import DataError
from textvae.inference.bundle import Bundle

_BLANK_PATTERN = re.compile(r"_{2,}(?: _{2,})*")  # blanks next to each other count as one

# Stands for a blank while the sentence is tokenized, so that the words around it get
# the tokens that they have next to a word.
_STAND_IN_WORD = "a"


@dataclass(frozen=True)
class Template:
    """A sentence with blanks.

    Attributes:
        visible_texts: the parts before, between and after the blanks: one more than there
            are blanks.
        visible_tokens: the same parts as token ids.
    """

    visible_texts: list[str]
    visible_tokens: list[list[int]]

    @property
    def blank_count(self) -> int:
        """The number of blanks."""
        return len(self.visible_texts) - 1

    @property
    def visible_token_count(self) -> int:
        """The number of visible tokens."""
        return sum(map(len, self.visible_tokens))

    @property
    def visible_sentence(self) -> str:
        """The visible parts, joined into one sentence."""
        return " ".join(" ".join(self.visible_texts).split())

    def fill(self, fills: Sequence[str]) -> str:
        """Return the sentence with its blanks filled; the visible parts do not change."""
        pairs = zip(self.visible_texts, [*fills, ""], strict=True)
        return "".join(visible + fill for visible, fill in pairs)

    def build_row(self, lengths: Sequence[int]) -> list[int | None]:
        """Return the token at each position, None within a blank.

        Args:
            lengths: the number of tokens in each blank.
        """
        row: list[int | None] = list(self.visible_tokens[0])
        for length, tokens_after in zip(lengths, self.visible_tokens[1:], strict=True):
            row += [None] * length
            row += tokens_after
        return row

    def choose_lengths(
        self, max_blank_tokens: int, max_tokens: int, count: int, seed: int
    ) -> list[tuple[int, ...]]:
        """Return up to `count` different choices of the number of tokens in each blank.

        Each blank has 1 to `max_blank_tokens` tokens, and the sentence at most `max_tokens`.

        Raises:
            DataError: the sentence is too long even with one token per blank.
        """
        blanks = self.blank_count
        spare = max_tokens - self.visible_token_count
        if spare < blanks:
            raise DataError(
                f"got {self.visible_token_count} visible tokens and {blanks} blanks, but this "
                f"model generates at most {max_tokens} tokens; shorten the text."
            )
        # The longest blank: all other blanks have one token each.
        max_length = min(max_blank_tokens, spare - blanks + 1)
        random = Random(seed)
        # List all choices where they are few. Otherwise there may be millions.
        if max_length**blanks > 4 * count:
            return sorted(self.sample_lengths(max_length, spare, count, random))
        choices = product(range(1, max_length + 1), repeat=blanks)
        fitting = [choice for choice in choices if sum(choice) <= spare]
        if len(fitting) <= count:
            return fitting
        return sorted(random.sample(fitting, count))

    def sample_lengths(
        self, max_length: int, spare: int, count: int, random: Random
    ) -> set[tuple[int, ...]]:
        """Return up to `count` random choices of lengths, among them one token for each blank."""
        choices = {(1,) * self.blank_count}
        for _ in range(8 * count):  # some choices are too long, or repeat others
            choice = tuple(random.randint(1, max_length) for _ in range(self.blank_count))
            if sum(choice) <= spare and len(choices) < count:
                choices.add(choice)
        return choices


def parse_template(bundle: Bundle, text: str) -> Template:
    """Parse a sentence whose blanks are written `___`.

    Raises:
        DataError: it has no blank, nothing but blanks, a blank within a word, or words
            that the tokenizer does not know.
    """
    texts = _BLANK_PATTERN.split(" ".join(text.split()))
    if len(texts) == 1:
        raise DataError(
            f"{texts[0]!r} has no blank; write ___ for one, or use `complete` to continue it."
        )
    if not any(part.strip() for part in texts):
        raise DataError(
            "the text is nothing but blanks; write at least one word, or use `generate`."
        )
    touches_word_before = any(_is_word_character(part[-1:]) for part in texts[:-1])
    touches_word_after = any(_is_word_character(part[:1]) for part in texts[1:])
    if touches_word_before or touches_word_after:
        raise DataError(_describe_blank_in_word(texts))
    _check_known_words(bundle, texts)
    return Template(texts, _tokenize_visible_parts(bundle, texts))


def _is_word_character(mark: str) -> bool:
    """Tell whether a blank next to this character would be part of a word.

    Letters without case do not count: Chinese, for example, has no spaces between words.
    """
    return mark.isdigit() or mark.lower() != mark.upper()


def _describe_blank_in_word(texts: Sequence[str]) -> str:
    """Return the error message about a blank within a word."""
    return (
        f"{'___'.join(texts)!r}: a blank stands for whole words; put a space between it and "
        "the letters or marks next to it."
    )


def _check_known_words(bundle: Bundle, texts: Sequence[str]) -> None:
    """Refuse words that a word-level vocabulary does not have.

    Raises:
        DataError: there are such words; the message lists them.
    """
    unknown_id = bundle.tokenizer.unk_token_id
    if unknown_id is None:
        return
    words = " ".join(texts).split()
    unknown_words = []
    for word, ids in zip(words, encode_batch(bundle.tokenizer, words), strict=True):
        # The user may write the unknown token itself.
        if unknown_id in ids and word != bundle.tokenizer.unk_token:
            unknown_words.append(word)
    if unknown_words:
        listed = ", ".join(dict.fromkeys(unknown_words))
        raise DataError(f"the model does not know: {listed}. Use other words, or blanks.")


def _tokenize_visible_parts(bundle: Bundle, texts: Sequence[str]) -> list[list[int]]:
    """Return the tokens of each visible part, split as they would be next to words.

    The sentence is tokenized once, with a stand-in word for each blank. Then each token
    goes to the part that its characters belong to.

    Raises:
        DataError: a token covers both a part of a blank and visible characters.
    """
    sentence = _STAND_IN_WORD.join(texts)
    stand_ins = list(_find_stand_ins(texts))
    spaces_are_tokens = _are_spaces_tokens(bundle)
    encoded = bundle.tokenizer(
        sentence, add_special_tokens=False, return_offsets_mapping=True, split_special_tokens=True
    )
    parts: list[list[int]] = [[]]
    spans = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    for token, (start, end) in spans:
        # Go on to the part in which this token begins.
        while len(parts) <= len(stand_ins) and start >= stand_ins[len(parts) - 1]:
            parts.append([])
        covers_stand_in = any(start <= stand_in < end for stand_in in stand_ins)
        covered = sentence[start:end]
        if covers_stand_in and covered.strip() != _STAND_IN_WORD:
            raise DataError(_describe_blank_in_word(texts))
        # The space before a blank is part of the fill's first token, unless every space
        # is a token of its own.
        is_space_before_blank = covered.isspace() and end in stand_ins and not spaces_are_tokens
        if not covers_stand_in and not is_space_before_blank:
            parts[-1] += without_marks(bundle.tokenizer, [token])
    # Empty parts at the end have no token that would have opened them.
    missing = len(texts) - len(parts)
    return parts + [[] for _ in range(missing)]


def _are_spaces_tokens(bundle: Bundle) -> bool:
    """Tell whether each space is a token of its own, as with tokenizers of characters or bytes."""
    two_words = f"{_STAND_IN_WORD} {_STAND_IN_WORD}"
    return len(encode_batch(bundle.tokenizer, [two_words])[0]) == 3


def _find_stand_ins(texts: Sequence[str]) -> Iterator[int]:
    """Yield the index of the character where each blank's stand-in begins."""
    position = 0
    for text in texts[:-1]:
        yield position + len(text)
        position += len(text) + len(_STAND_IN_WORD)
