"""Alphabets: which letters a model reads, how a name is spelled in one way, and how it is reduced to the letters."""

import string
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain

from keras_dnnts.errors import UserError, option_name

REFERENCE_ALPHABET = string.ascii_letters + " .,;'"

# Quotation marks, primes, accents that stand alone, and letters that are written as an apostrophe.
_APOSTROPHES = frozenset(
    "`\u00b4\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u02c8\u02ca\u02cb\u055a\u05f3\u07f4\u07f5\u1fbd\u1fbf\u1ffe"
    "\u2018\u2019\u201b\u2032\u2035\ua78b\ua78c"
)
_HYPHENS = frozenset("\u02d7\u2043\u2212")  # beside all that Unicode calls dashes
_BLANKS = frozenset("\u2800\u3164")  # beside all that Unicode calls spaces
# Fullwidth and halfwidth letters, and the forms of Arabic letters within a word.
_SHAPES = ("<wide>", "<narrow>", "<initial>", "<medial>", "<final>", "<isolated>")
_LIGATURES = frozenset("\u0149\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06")


def checked_alphabet(letters: str, raw: bool = False) -> str:
    """``letters`` in Unicode's composed form (NFC), each of them one usable letter.

    Unless ``raw``, they are spelled as :func:`unify` spells names: an apostrophe of any kind is ``'``, and letters that
    are then the same count once.

    Raises:
        UserError: there are none, or one of them comes twice.
    """
    alphabet = unicodedata.normalize("NFC", letters)
    spelled = alphabet if raw else "".join(dict.fromkeys(_spell(alphabet)))
    if not spelled.strip():
        raise UserError(
            f"the alphabet has no letters: list every usable letter once, such as {option_name('letters')} abcdef"
        )
    repeated = next((letter for letter in alphabet if alphabet.count(letter) > 1), None)
    if repeated is not None:
        raise UserError(f"the alphabet repeats the letter {repeated!r}: list every usable letter once")
    return spelled


def unify(text: str) -> str:
    """``text`` spelled in one way, whatever keyboard, editor or web page it came from.

    Apostrophes of every kind become ``'``, hyphens and dashes ``-``, blanks a single space between words; letters are
    composed (NFC) and of ordinary width; what is invisible, such as zero-width characters, goes.
    """
    return " ".join(_spell(text).split())


_CHANGING = frozenset(("Pd", "Cf", "Cc", "Zs", "Zl", "Zp", "Mn"))
"""Unicode's categories of dashes, of what is invisible, of blanks, and of marks, for variation selectors are these."""


@lru_cache(maxsize=1)
def list_spellings() -> dict[str, str]:
    """Every character that :func:`unify` writes in another way, or leaves out, and what it becomes."""
    # Beyond these planes are ideographs, of which each is spelled as it is, and nothing.
    numbers = chain(range(0xD800), range(0xE000, 0x20000), range(0xE0000, 0xE1000))
    changing = filter(_may_change, map(chr, numbers))
    return {letter: spelled for letter in changing if (spelled := _spell_letter.__wrapped__(letter)) != letter}


def _may_change(letter: str) -> bool:
    """Whether :func:`unify` could write a character in another way: quickly no for almost all of them."""
    if unicodedata.category(letter) in _CHANGING or unicodedata.decomposition(letter):
        return True
    return letter in _LIGATURES or letter in _APOSTROPHES or letter in _HYPHENS or letter in _BLANKS


def read_name(text: str, alphabet: str, raw: bool = False) -> tuple[str, list[str]]:
    """The letters of a name that a model reads, and those that are left out; ``raw`` leaves the spelling as it is."""
    spelled = text if raw else unify(text)
    # Most names have no other letters than the alphabet's, which takes a tenth of the time to see.
    is_plain = spelled.isascii() and not spelled.strip(alphabet)
    pairs = [] if is_plain else list(_letters_with_usable_parts(spelled, alphabet))
    read = spelled if is_plain else "".join(parts for _, parts in pairs)
    return read if raw else " ".join(read.split()), [letter for letter, parts in pairs if not parts]


def is_usable(text: str, read: str) -> bool:
    """Whether a name can be read, given what :func:`read_name` keeps: where it has letters, one of them at least."""
    return bool(read.strip()) and (_has_letter(read) or not _has_letter(text))


def normalise(text: str, alphabet: str) -> str:
    """``text`` reduced to the letters of ``alphabet``, which must be in composed form (:func:`checked_alphabet`).

    A letter of the alphabet stays as it is. Any other is replaced by those of its parts (NFD) that are in the alphabet:
    with :data:`REFERENCE_ALPHABET`, ``"Ślusàrski"`` gives ``"Slusarski"``.
    """
    return "".join(parts for _, parts in _letters_with_usable_parts(text, alphabet))


def ignored_letters(text: str, alphabet: str) -> list[str]:
    """The letters of ``text``, in its order and composed form, of which :func:`normalise` keeps nothing."""
    return [letter for letter, parts in _letters_with_usable_parts(text, alphabet) if not parts]


def _letters_with_usable_parts(text: str, alphabet: str) -> Iterator[tuple[str, str]]:
    for letter in unicodedata.normalize("NFC", text):
        parts = letter if letter in alphabet else unicodedata.normalize("NFD", letter)
        yield letter, "".join(part for part in parts if part in alphabet)


def _has_letter(text: str) -> bool:
    return any(unicodedata.category(letter)[0] in "LMN" for letter in text)


def _spell(text: str) -> str:
    if text.isascii() and "`" not in text:
        return text
    composed = unicodedata.normalize("NFC", text)
    return unicodedata.normalize("NFC", "".join(map(_spell_letter, composed)))


@lru_cache(maxsize=4096)
def _spell_letter(letter: str) -> str:
    if letter in _LIGATURES or unicodedata.decomposition(letter).startswith(_SHAPES):
        return "".join(map(_spell_letter, unicodedata.normalize("NFKD", letter)))
    category = unicodedata.category(letter)
    if letter in _APOSTROPHES:
        return "'"
    if category == "Pd" or letter in _HYPHENS:
        return "-"
    if letter.isspace() or letter in _BLANKS:
        return " "
    return "" if category == "Cf" or _is_variation_selector(letter) else letter


def _is_variation_selector(letter: str) -> bool:
    return letter == "\u034f" or "\ufe00" <= letter <= "\ufe0f" or "\U000e0100" <= letter <= "\U000e01ef"
