"""A sentence with blanks, as tokens: what is visible stands fast, each blank may be filled by several."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

from textvae.data.tokenization import encode_batch, without_marks
from textvae.errors import DataError
from textvae.inference.bundle import Bundle

_BLANK_PATTERN = re.compile(r"_{2,}(?: _{2,})*")  # of one word or more: two side by side are one


_STAND_IN_WORD = "a"  # a word, so that what is beside it is cut into tokens as beside a word


@dataclass(frozen=True)
class Template:
    """A sentence with blanks.

    Attributes:
        texts: what is visible, before, between and after the blanks: one more than there are blanks.
        tokens: the same as token ids.
    """

    texts: list[str]
    tokens: list[list[int]]

    @property
    def blanks(self) -> int:
        """How many there are."""
        return len(self.texts) - 1

    @property
    def visible(self) -> int:
        """How many tokens are visible."""
        return sum(map(len, self.tokens))

    @property
    def shown(self) -> str:
        """What is visible, read as one sentence."""
        return " ".join(" ".join(self.texts).split())

    def filled(self, fills: Sequence[str]) -> str:
        """Return the sentence with its blanks filled; what was visible stands as it was written."""
        return "".join(part for pair in zip(self.texts, [*fills, ""], strict=True) for part in pair)

    def forced(self, lengths: Sequence[int]) -> list[int | None]:
        """Return the token at each place, None within a blank, where each blank has its number of tokens."""
        row: list[int | None] = list(self.tokens[0])
        for length, after in zip(lengths, self.tokens[1:], strict=True):
            row += [None for _ in range(length)]
            row += after
        return row

    def lengths(self, most: int, room: int, count: int, seed: int) -> list[tuple[int, ...]]:
        """Return up to `count` choices of the blanks' lengths, 1 to `most` tokens each, that fit into `max_text_tokens`.

        Raises:
            DataError: none fits.
        """
        spare = room - self.visible
        if spare < self.blanks:
            raise DataError(
                f"{self.visible} visible tokens and {self.blanks} blanks: this model writes at most {room} tokens; "
                "shorten the text."
            )
        one_long = min(most, spare - self.blanks + 1)
        if one_long**self.blanks <= 4 * count:
            every = [
                choice
                for choice in product(range(1, one_long + 1), repeat=self.blanks)
                if sum(choice) <= spare
            ]
            return every if len(every) <= count else sorted(Random(seed).sample(every, count))
        return sorted(self.some_lengths(one_long, spare, count, Random(seed)))

    def some_lengths(
        self, most: int, spare: int, count: int, random: Random
    ) -> set[tuple[int, ...]]:
        """Return choices drawn at random, all blanks of one token among them."""
        found = {(1,) * self.blanks}
        for _ in range(8 * count):
            choice = tuple(random.randint(1, most) for _ in range(self.blanks))
            if sum(choice) <= spare and len(found) < count:
                found.add(choice)
        return found


def parse_template(bundle: Bundle, text: str) -> Template:
    """Read a sentence whose blanks are written `___`.

    Raises:
        DataError: it has no blank, nothing but blanks, a blank within a word, or words the tokenizer does not know.
    """
    texts = _BLANK_PATTERN.split(" ".join(text.split()))
    if len(texts) == 1:
        raise DataError(
            f"{texts[0]!r} has no blank; write ___ for one, or call complete to go on from its end."
        )
    if not any(part.strip() for part in texts):
        raise DataError(
            "a text is wanted, and this is nothing but blanks; write a word at least, or call generate."
        )
    if any(_is_word_character(part[-1:]) for part in texts[:-1]) or any(
        _is_word_character(part[:1]) for part in texts[1:]
    ):
        raise DataError(_describe_blank_in_word(texts))
    _check_known_words(bundle, texts)
    return Template(texts, _tokenize_visible_parts(bundle, texts))


def _is_word_character(mark: str) -> bool:
    """Tell whether a blank beside this character is within a word: letters of scripts without case stand alone too."""
    return mark.isdigit() or mark.lower() != mark.upper()


def _describe_blank_in_word(texts: Sequence[str]) -> str:
    """Return what is said of a blank that is not of whole words."""
    return (
        f"{'___'.join(texts)!r}: a blank stands for whole words; leave a space between it and the letters "
        "or marks beside it."
    )


def _check_known_words(bundle: Bundle, texts: Sequence[str]) -> None:
    """Refuse words that a word-level vocabulary lacks.

    Raises:
        DataError: with the words.
    """
    unknown = bundle.tokenizer.unk_token_id
    words = [word for text in texts for word in text.split()]
    rows = encode_batch(bundle.tokenizer, words) if unknown is not None else []
    strange = [
        word
        for word, row in zip(words, rows, strict=False)
        if unknown in row and word != bundle.tokenizer.unk_token
    ]
    if strange:
        raise DataError(
            f"the model does not know: {', '.join(dict.fromkeys(strange))}. Write other words, or blanks."
        )


def _tokenize_visible_parts(bundle: Bundle, texts: Sequence[str]) -> list[list[int]]:
    """Return the tokens of the visible parts, cut as beside words.

    Raises:
        DataError: a token reaches from a blank into what is visible.
    """
    whole, spans = _STAND_IN_WORD.join(texts), list(_find_stand_ins(texts))
    are_spaces_tokens = (
        len(encode_batch(bundle.tokenizer, [f"{_STAND_IN_WORD} {_STAND_IN_WORD}"])[0]) == 3
    )  # of characters, bytes
    found = bundle.tokenizer(
        whole, add_special_tokens=False, return_offsets_mapping=True, split_special_tokens=True
    )
    parts: list[list[int]] = [[]]
    for token, (start, end) in zip(found["input_ids"], found["offset_mapping"], strict=True):
        place = len(parts) - 1
        while place < len(spans) and start >= spans[place]:
            place += 1
            parts.append([])
        if any(start <= span < end for span in spans):
            if whole[start:end].strip() != _STAND_IN_WORD:
                raise DataError(_describe_blank_in_word(texts))
        elif are_spaces_tokens or not (
            end in spans and whole[start:end].isspace()
        ):  # else the fill brings its space
            parts[-1] += without_marks(bundle.tokenizer, [token])
    return parts + [[] for _ in range(len(texts) - len(parts))]


def _find_stand_ins(texts: Sequence[str]) -> Iterator[int]:
    """Yield where the stand-in of each blank is."""
    place = 0
    for text in texts[:-1]:
        yield place + len(text)
        place += len(text) + len(_STAND_IN_WORD)
