"""Encodings: how the bytes of a file become text, and which encoding a file may be in.

Text is UTF-8 unless a byte order mark or the settings say otherwise. Nothing is guessed
silently: if a file is not UTF-8, the message names the encoding that fits best, and the
user sets it. All formats of text are read as UTF-8, so a file in another encoding is
converted block by block before its lines are found.
"""

import codecs
import io
import re
import unicodedata
from itertools import pairwise
from typing import IO

from textvae.data.row_report import format_count
from textvae.data.tables.base import LayoutError
from textvae.errors import ConfigError, did_you_mean

_BYTES_PER_READ = 2**18

_MIN_ZEROS = 0.3  # share of zeros among the high bytes of UTF-16, for a text in ASCII

# The longer marks come first, because those of UTF-32 begin with those of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_NEEDS_MARK = {"utf-16": ("utf-16-le", "utf-16-be"), "utf-32": ("utf-32-le", "utf-32-be")}

# Encodings of Python that are no encodings of files.
_NOT_FOR_FILES = ("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "utf-7")

# An undecodable byte of a file in another encoding becomes this byte, which UTF-8 never has.
# Each format then reports the line, or skips it, as it does in a file that is not UTF-8.
_UNDECODABLE = b"\xff"

_ON_ERROR = "textvae.mark_undecodable"

_MAX_SHOWN_CHARACTERS = 40  # of a line in a message
_MAX_EXAMINED_BYTES = 4096  # before and after an undecodable byte, to guess the encoding

# The commonest characters of what is written in each encoding, besides ASCII. The encoding
# fits best that turns the largest share of the bytes into them.
_LATIN = "éèàáâãäåæçêëìíîïñòóôõöøùúûüßœÉÈÀÁÂÄÅÆÇÊÑÓÖØÚÜ’‘“”–—…«»€£°·¿¡"
_CYRILLIC = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфёіїєўОЕАИНТСРВЛКМДПУЯГЗБЧХЖШЮЭ"
_CHINESE = (
    "的一是不了在人有我他这这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作"
    "里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心本前开但因只从想实"
    "日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政"
    "美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员"
    "解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件"
    "计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象"
    "完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运這個們來為"
    "國說時會對過發後裡還進無與長機學開實經動樣現當麼種從點關問間頭見氣話給東聲電員論處義條題報結變總數，"
    "。、：；！？「」“”（）《》"
)
_JAPANESE = (
    "".join(map(chr, range(0x3041, 0x30FD)))  # all kana
    + "、。「」・！？日本人大年中出一国会上見分生行今天気時何私前後月事者学校東京社同間地方物手女子男自新長高入山田"
)
_KOREAN = (
    "이다는의에가을를은고하지로한기도사나아어리서시자인일대그수해여안제라정보있것들없게면만과와지전주부장"
    "상성으로적국동우문구원간선경모오세소무조내위미공원생신유학회관계거니네요습까입말할때더었았했며든된될"
    "되음년월명물방분비용연영예외요운원음점중진체초출치카타통트파평포프피필하합항행향현형호화확환활후늘날"
    "씨녕못많좋"
)
_FREQUENT = {
    "cp1252": _LATIN,
    "cp1250": "ąęśżźćńłóčščřžýáíéůúěďťňőűöüäßôľŁŚŻŹĆČŠŘŽÁÍÉÓÖÜ’„”–—…",
    "cp1251": _CYRILLIC + "«»–—№…",
    "cp1253": "αοιετσνηυρπκλμςωγδθφχβάέόίήύώΑΕΗΟΤΣΠΚΜ«»–—…",
    "cp1254": "ışğçöüâîİŞÇÖÜĞ’“”–—…",
    "cp1255": "יוהלארתבשמנדכחקפעגםטזןצסךףץ–—״׳",
    "cp1256": "اليمونرتبةعدسفحقهكجصطشخىذضأإئءثغزظؤآ،؟",
    "cp1258": "ăâđêôơưáàéèíìóòúùĐ",
    "koi8_r": _CYRILLIC,
    "cp866": _CYRILLIC,
    "cp850": _LATIN,
    "mac_roman": _LATIN,
    "cp932": _JAPANESE,
    "euc_jp": _JAPANESE,
    "gb18030": _CHINESE,
    "big5": _CHINESE,
    "cp949": _KOREAN,
}  # fmt: skip

_NAMES = {
    "cp1252": "Western European Windows",
    "cp1250": "Central European Windows",
    "cp1251": "Cyrillic Windows",
    "cp1253": "Greek Windows",
    "cp1254": "Turkish Windows",
    "cp1255": "Hebrew Windows",
    "cp1256": "Arabic Windows",
    "cp1258": "Vietnamese Windows",
    "koi8_r": "Cyrillic Unix",
    "cp866": "Cyrillic DOS",
    "cp850": "Western European DOS",
    "mac_roman": "old Macs",
    "cp932": "Shift-JIS, Japanese Windows",
    "euc_jp": "Japanese Unix",
    "gb18030": "simplified Chinese",
    "big5": "traditional Chinese",
    "cp949": "Korean Windows",
}

_TWO_BYTES = ("cp932", "shift_jis", "euc_jp", "gb18030", "gbk", "gb2312", "big5", "cp949", "euc_kr")

_MIN_CHARACTERS = 4  # that show that a file is UTF-8, and not in an encoding with two bytes

_MIN_SCORE = 0.3  # of an encoding that is suggested

_CLOSE_SHARE = 0.9  # of the best score, for a second suggestion

# Letters and signs: in the wrong encoding, letters become signs inside words.
_WORD = re.compile(r"[^\s\d!-/:-@\[-`{-~“”‘’„«»–—…]+")

_SIGNS = {"Sm", "Sc", "Sk", "So", "No"}  # categories of Unicode

_FINAL_LETTERS = "ςךםןףץ"  # Greek and Hebrew letters that only end a word

_ALPHABETS = {"LATIN", "CYRILLIC", "GREEK", "HEBREW", "ARABIC"}


def normalize_encoding(name: str) -> str:
    """Return the name that Python has for an encoding.

    Raises:
        ConfigError: the encoding is unknown, or no encoding of files.
    """
    try:
        codec = codecs.lookup(name)
        "".encode(codec.name)  # fails for codecs such as base64, which do not encode text
    except (LookupError, UnicodeError, ValueError):
        codec = None
    if codec is None or codec.name in (codecs.lookup(other).name for other in _NOT_FOR_FILES):
        known = [*_NAMES, "utf-8", "utf-16-le", "utf-16-be", "shift_jis", "latin-1", "euc_kr"]
        raise ConfigError(
            f"data.encoding = {name!r} is unknown: {did_you_mean(name, known)}Give an encoding "
            "that Python knows, such as utf-16-le, cp1252, cp1251, shift_jis or gb18030."
        )
    return codec.name


def decode_stream(stream: IO[bytes], head: bytes, encoding: str) -> tuple[IO[bytes], str]:
    """Return a stream of UTF-8, and the encoding of the file.

    Args:
        stream: the bytes of the file, from its beginning.
        head: the first bytes of the stream, which are still in it.
        encoding: an encoding, or `auto`.

    Raises:
        LayoutError: the byte order mark of the file contradicts the encoding, or the file is
            UTF-16 without a mark.
    """
    marked = _find_marked_encoding(head)
    if encoding == "auto":
        encoding = marked or "utf-8"
        if marked is None:
            _refuse_unmarked(head)
    elif marked is None and encoding in _NEEDS_MARK:
        little, big = _NEEDS_MARK[encoding]
        raise LayoutError(
            f"has no byte order mark, so {encoding} does not say the order of its bytes; "
            f"set data.encoding={little} or {big} (--encoding)."
        )
    elif marked is not None and not _agree(marked, encoding):
        raise LayoutError(
            f"begins with the byte order mark of {marked}, and data.encoding is {encoding}; "
            "leave data.encoding (--encoding) out."
        )
    if marked is not None and marked != "utf-8":
        encoding = marked
    if encoding in ("utf-8", "ascii", "utf-8-sig"):
        return stream, "utf-8"
    return io.BufferedReader(_Transcoder(stream, encoding), _BYTES_PER_READ), encoding


def decode_head(head: bytes, *, is_cut: bool = True) -> str | None:
    """Return the beginning of a file as text; None if it is not UTF-8.

    Args:
        is_cut: whether its last character may be cut, and is then left out.
    """
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(head, final=not is_cut)
    except UnicodeDecodeError:
        return None


def explain_undecodable(error: UnicodeDecodeError, encoding: str) -> str:
    """Return why a line is not text, and how to fix it.

    Args:
        error: what decoding the line as UTF-8 raised.
        encoding: the encoding of the file, as `decode_stream` returned it.
    """
    if encoding != "utf-8":
        return (
            f"is not {encoding}: bytes of this line stand for no character in it. "
            "Set another data.encoding (--encoding), or repair the file."
        )
    problem = f"is not UTF-8 (byte {error.object[error.start]:#04x} at {error.start})."
    guesses = guess_encodings(_cut_around(error.object, error.start))
    if not guesses:
        return (
            f"{problem} Set data.encoding (--encoding) to the encoding of the file, such as "
            "cp1252, cp1251 or shift_jis, or convert it to UTF-8. Is it a text file?"
        )
    readings = ", ".join(
        f"in {encoding} ({_NAMES[encoding]}) it reads {_shorten(text)!r}"
        for encoding, text in guesses.items()
    )
    best = next(iter(guesses))
    return (
        f"{problem} {readings[0].upper()}{readings[1:]}: if the whole file is in that encoding, "
        f"set data.encoding={best} (--encoding {best}); otherwise, repair the line."
    )


def _cut_around(line: bytes, place: int) -> bytes:
    """Return the words around a byte, without the mark of UTF-8: a line may be very long."""
    start = line.rfind(b" ", 0, max(0, place - _MAX_EXAMINED_BYTES)) + 1
    end = line.find(b" ", place + _MAX_EXAMINED_BYTES)
    return line[start : end if end >= 0 else len(line)].removeprefix(codecs.BOM_UTF8)


def guess_encodings(line: bytes) -> dict[str, str]:
    """Return the encodings that fit a line, with its text in each, the best one first.

    There are two if they fit about equally well, and none if the line is no text.
    """
    scores: dict[str, float] = {}
    texts: dict[str, str] = {}
    for encoding, frequent in _FREQUENT.items():
        try:
            text = line.decode(encoding)
        except UnicodeDecodeError:
            continue
        if _is_printable(text):
            texts[encoding] = text.strip()
            scores[encoding] = _rate_text(text, frozenset(frequent))
    # Of equal ones, the first is the most common encoding.
    ranked = sorted(scores, key=lambda encoding: -scores[encoding])
    if not ranked or scores[ranked[0]] < _MIN_SCORE:
        return {}
    best = ranked[0]
    guesses = {best: texts[best]}
    for other in ranked[1:]:
        is_close = scores[other] > _CLOSE_SHARE * scores[best]
        if len(guesses) == 1 and is_close and texts[other] != texts[best]:
            guesses[other] = texts[other]
    return guesses


def _shorten(text: str) -> str:
    """Return the part of a text that shows the encoding, not the beginning of a long line."""
    first = next(index for index, character in enumerate(text) if not character.isascii())
    start = max(0, first - _MAX_SHOWN_CHARACTERS // 2)
    return text[start : start + _MAX_SHOWN_CHARACTERS]


def _rate_text(text: str, frequent: frozenset[str]) -> float:
    """Return how much a text looks like one in a language, from 0 to 1.

    It is the share of its characters that are frequent in the language, times the share
    of its words that look like words; both of what is not ASCII.
    """
    characters = [character for character in text if not character.isascii()]
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    if not characters:
        return 0.0
    frequent_share = sum(character in frequent for character in characters) / len(characters)
    odd_share = sum(map(_is_odd_word, words)) / max(1, len(words))
    return frequent_share * (1 - odd_share)


def _is_odd_word(word: str) -> bool:
    """Return whether no language has such a word: it mixes scripts or cases, or has signs in it."""
    scripts = {
        unicodedata.name(letter, "").partition(" ")[0] for letter in word if letter.isalpha()
    }
    is_mixed = bool(scripts & _ALPHABETS) and len(scripts) > 1
    # Words of Latin letters with accents alone are those of another alphabet.
    is_accented = scripts == {"LATIN"} and len(word) > 2 and not any(map(str.isascii, word))
    has_inner_capital = any(a.islower() and b.isupper() for a, b in pairwise(word))
    categories = {unicodedata.category(character) for character in word}
    has_signs = bool(scripts) and not categories.isdisjoint(_SIGNS)
    has_inner_final = any(letter in _FINAL_LETTERS for letter in word[:-1])
    return is_mixed or is_accented or has_inner_capital or has_signs or has_inner_final


class _Transcoder(io.RawIOBase):
    """A stream of UTF-8 made from one in another encoding."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(_ON_ERROR)
        self._ready = b""
        self._is_at_end = False
        self._encoding = encoding
        self._is_checked = encoding.startswith("utf")  # whether the file may not be UTF-8

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer; return the number of bytes, which is 0 at the end."""
        while not self._ready and not self._is_at_end:
            block = self._stream.read(_BYTES_PER_READ)
            self._is_at_end = not block
            if not self._is_checked and not block.isascii():
                self._is_checked = True
                _refuse_utf8(block, self._encoding)
            text = self._decoder.decode(block, final=self._is_at_end)
            self._ready = text.encode("utf-8", "surrogateescape")
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


def _refuse_utf8(block: bytes, encoding: str) -> None:
    """Refuse a file that is UTF-8 although the settings name another encoding.

    Args:
        block: the first bytes that are not all ASCII.

    Raises:
        LayoutError: most of its lines that are not ASCII are UTF-8, which does not happen by
            chance.
    """
    *whole, last = block.split(b"\n")
    decoded = [decode_head(line, is_cut=False) for line in whole if not line.isascii()]
    if not last.isascii():  # the block may end within a character
        decoded.append(decode_head(last))
    texts = [text for text in decoded if text is not None]
    count = sum(not character.isascii() for text in texts for character in text)
    # A single character of an encoding with two bytes may look like UTF-8.
    least = _MIN_CHARACTERS if encoding in _TWO_BYTES else 1
    others = len(decoded) - len(texts)
    if count < least or len(texts) <= others:
        return
    problem = f"is UTF-8, and data.encoding is {encoding}, in which it would be nonsense"
    if others == 0:
        raise LayoutError(f"{problem}; leave data.encoding (--encoding) out.")
    raise LayoutError(
        f"{problem}; but {format_count(others, 'line')} near its beginning cannot be read as UTF-8: "
        "repair such lines, or skip them with data.on_corrupt=skip, and leave data.encoding "
        "(--encoding) out."
    )


def _mark_undecodable(error: UnicodeError) -> tuple[str, int]:
    """Return the mark of an undecodable byte, and where decoding goes on."""
    assert isinstance(error, UnicodeDecodeError)
    return _UNDECODABLE.decode("utf-8", "surrogateescape"), error.end


codecs.register_error(_ON_ERROR, _mark_undecodable)  # the only way to hand it to a decoder


def _find_marked_encoding(head: bytes) -> str | None:
    """Return the encoding of a byte order mark; None if the file does not begin with one."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    return None


def _agree(marked: str, encoding: str) -> bool:
    """Return whether an encoding is the one of the mark, in one of its names."""
    return encoding in (marked, marked.rpartition("-")[0], f"{marked}-sig")


def _refuse_unmarked(head: bytes) -> None:
    """Refuse a file that looks like UTF-16 without a byte order mark.

    Raises:
        LayoutError: it does.
    """
    even = head[: len(head) // 2 * 2]
    if b"\0" not in even:
        return
    high, low = even[0::2], even[1::2]
    # In UTF-16, line feeds, spaces and everything else in ASCII have one byte that is NUL.
    for encoding, zeros, others in (("utf-16-le", low, high), ("utf-16-be", high, low)):
        if not zeros.count(0) or others.count(0):
            continue
        # Text in UTF-8 may hold a stray NUL byte; most other scripts are not UTF-8 by chance.
        if zeros.count(0) < _MIN_ZEROS * len(zeros) and _is_text_with_zeros(head):
            continue
        if _is_printable(even.decode(encoding, "replace")):
            raise LayoutError(
                f"looks like {encoding} without a byte order mark; "
                f"set data.encoding={encoding} (--encoding {encoding})."
            )


def _is_text_with_zeros(head: bytes) -> bool:
    """Return whether the first bytes of a file are UTF-8 apart from NUL bytes."""
    text = decode_head(head.replace(b"\0", b""))
    return text is not None and _is_printable(text)


def _is_printable(text: str) -> bool:
    """Return whether a text has neither control characters nor unassigned ones."""
    return not any(
        character not in "\t\n\r" and unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs")
        for character in text
    )
