"""A sentence with blanks, as tokens.

The visible tokens are fixed, and each blank may be filled with one token or several.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

from textvae.data.tokenization import (
    encode_batch,
    fold_white_space,
    keeps_white_space,
    replace_special_tokens,
)
from textvae.errors import DataError
from textvae.inference.bundle import Bundle
from textvae.uses.infill.word_tokens import (
    find_word_tokens,
    has_word_start_mark,
    is_word_start_mark,
)

_BLANK_PATTERN = re.compile(r"_{2,}(?: _{2,})*")  # blanks next to each other count as one

# While the sentence is tokenized, a stand-in takes the place of each blank, so that the words
# around it get the tokens that they have next to a word. The second stand-in is used if the
# first one does not become a token of its own: some tokenizers have a token for a bracket with
# the letter after it, but these have none for a bracket with a digit.
_STAND_INS = ("a", "0")

_PLACEHOLDER = "\0"  # of a blank while a sentence is split at its spaces; no text contains it


@dataclass(frozen=True)
class BlankToken:
    """A place in a sentence for a token of a blank.

    Attributes:
        blank: the number of the blank, from 0.
        is_first: whether it is the blank's first token.
        follows_space: whether the first token must be one of those that begin with a space.
        is_in_word: whether the blank is part of a word, so that any character but a space fits.
    """

    blank: int
    is_first: bool
    follows_space: bool
    is_in_word: bool = False


TemplateTokens = Sequence[int | BlankToken]  # the token ids of a sentence, with its blanks


@dataclass(frozen=True)
class Template:
    """A sentence with blanks.

    Attributes:
        visible_texts: the parts before, between and after the blanks: one more than there
            are blanks.
        visible_tokens: the same parts as token ids.
        follow_spaces: for each blank, whether its first token begins with a space. With most
            tokenizers, it does not at the start of a sentence.
        are_in_words: for each blank, whether it is part of a word, as it can be if tokens are
            characters.
        keeps_white_space: whether the model tells different white space apart.
    """

    visible_texts: list[str]
    visible_tokens: list[list[int]]
    follow_spaces: list[bool]
    are_in_words: list[bool]
    keeps_white_space: bool

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
        """The visible parts, joined into one sentence; no space is put into a word."""
        if self.keeps_white_space:
            return "".join(self.visible_texts)
        sentence = self.visible_texts[0]
        for is_in_word, text in zip(self.are_in_words, self.visible_texts[1:], strict=True):
            sentence += text if is_in_word else f" {text}"
        return " ".join(sentence.split())

    def fill(self, fills: Sequence[str]) -> str:
        """Return the sentence with its blanks filled; the visible parts do not change."""
        pairs = zip(self.visible_texts, [*fills, ""], strict=True)
        return "".join(visible + fill for visible, fill in pairs)

    def accepts(self, fills: Sequence[str]) -> bool:
        """Tell whether each fill is a word, with a letter or a digit, or a part of a word."""
        return all(
            _is_part_of_word(fill) if is_in_word else any(map(str.isalnum, fill))
            for fill, is_in_word in zip(fills, self.are_in_words, strict=True)
        )

    def build_row(self, lengths: Sequence[int]) -> list[int | BlankToken]:
        """Return the token at each position, a `BlankToken` within a blank.

        Args:
            lengths: the number of tokens in each blank.
        """
        row: list[int | BlankToken] = list(self.visible_tokens[0])
        for blank, length in enumerate(lengths):
            follows_space = self.follow_spaces[blank]
            is_in_word = self.are_in_words[blank]
            row += [
                BlankToken(blank, index == 0, follows_space, is_in_word) for index in range(length)
            ]
            row += self.visible_tokens[blank + 1]
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
        DataError: it has no blank, nothing but blanks, a blank within a word although tokens
            are not characters, or words that the tokenizer does not know.
    """
    texts = _BLANK_PATTERN.split(fold_white_space(bundle.tokenizer, text))
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
    spells = _are_spaces_tokens(bundle)
    if (touches_word_before or touches_word_after) and not spells:
        raise DataError(_describe_blank_in_word(texts))
    are_in_words = _find_blanks_in_words(texts) if spells else [False] * (len(texts) - 1)
    _check_known_words(bundle, texts)
    for stand_in in _STAND_INS:
        template = _tokenize_template(bundle, texts, are_in_words, stand_in)
        if template is not None:
            return template
    raise DataError(_describe_blank_in_word(texts))


def _is_word_character(character: str) -> bool:
    """Tell whether a blank next to this character would be part of a word.

    Letters without case do not count: Chinese, for example, has no spaces between words.
    """
    return character.isdigit() or character.lower() != character.upper()


def _find_blanks_in_words(texts: Sequence[str]) -> list[bool]:
    """Return for each blank whether it is part of a word: no space is between it and a letter.

    Marks between the two are part of the word as well: `CC(___)C` is one word.
    """
    are_in_words: list[bool] = []
    for chunk in re.split(r"\s", _PLACEHOLDER.join(texts)):
        is_word = any(map(str.isalnum, chunk))
        are_in_words += [is_word] * chunk.count(_PLACEHOLDER)
    return are_in_words


def _is_part_of_word(fill: str) -> bool:
    """Tell whether a text can be a part of a word: it has whole characters, and no space."""
    return bool(fill) and "\ufffd" not in fill and not any(map(str.isspace, fill))


def _describe_blank_in_word(texts: Sequence[str]) -> str:
    """Return the error message about a blank within a word."""
    return (
        f"{'___'.join(texts)!r}: a blank stands for whole words; put a space between it and "
        "the letters or marks next to it. (A model with tokenizer.kind=character can fill parts of "
        "words.)"
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


def _tokenize_template(
    bundle: Bundle, texts: list[str], are_in_words: list[bool], stand_in: str
) -> Template | None:
    """Return the template of the visible parts, split into tokens as they would be next to words.

    The sentence is tokenized once, with a stand-in of one character for each blank. Then each
    token goes to the part that its characters belong to.

    Returns:
        None if a token covers both a stand-in and visible characters.
    """
    sentence = stand_in.join(texts)
    places = list(_find_stand_ins(texts))
    encoded = bundle.tokenizer(
        sentence, add_special_tokens=False, return_offsets_mapping=True, split_special_tokens=True
    )
    ids = encoded["input_ids"]
    pieces = bundle.tokenizer.convert_ids_to_tokens(ids)
    spaces_are_tokens = _are_spaces_tokens(bundle)
    visible_tokens: list[list[int]] = [[] for _ in texts]
    follow_spaces = [False] * len(places)
    for token, piece, (start, end) in zip(ids, pieces, encoded["offset_mapping"], strict=True):
        covered = sentence[start:end]
        next_blank = bisect_left(places, start)
        has_stand_in = next_blank < len(places) and places[next_blank] < end
        # Some tokenizers trim the spaces off spans: the span of a lone space is then empty.
        is_space = covered.isspace() or (not covered and is_word_start_mark(piece))
        # The space before a blank is part of the fill's first token, unless every space
        # is a token of its own.
        is_space_before_blank = is_space and end in places and not spaces_are_tokens
        if has_stand_in and covered.strip() != stand_in:
            return None
        if has_stand_in or is_space_before_blank:
            follow_spaces[next_blank] |= has_word_start_mark(piece)
        else:
            visible_tokens[next_blank] += replace_special_tokens(bundle.tokenizer, [token])
    is_kept = keeps_white_space(bundle.tokenizer)
    return Template(texts, visible_tokens, follow_spaces, are_in_words, is_kept)


def _are_spaces_tokens(bundle: Bundle) -> bool:
    """Tell whether each space is a token of its own, as with tokenizers of characters or bytes."""
    if find_word_tokens(bundle).uses_marks:
        return False
    return len(encode_batch(bundle.tokenizer, ["a a"])[0]) == 3


def _find_stand_ins(texts: Sequence[str]) -> Iterator[int]:
    """Yield the index of the character that is each blank's stand-in."""
    position = 0
    for text in texts[:-1]:
        position += len(text)
        yield position
        position += 1
