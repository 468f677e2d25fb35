"""Alphabets: which letters a model reads, and how a text is reduced to them."""

import string
import unicodedata
from collections.abc import Iterator

from keras_dnnts.errors import UserError, option_name

REFERENCE_ALPHABET = string.ascii_letters + " .,;'"


def checked_alphabet(letters: str) -> str:
    """``letters`` in Unicode's composed form (NFC), each of them one usable letter.

    Raises:
        UserError: there are none, or one of them comes twice.
    """
    alphabet = unicodedata.normalize("NFC", letters)
    if not alphabet.strip():
        raise UserError(
            f"the alphabet has no letters: list every usable letter once, such as {option_name('letters')} abcdef"
        )
    repeated = next((letter for letter in alphabet if alphabet.count(letter) > 1), None)
    if repeated is not None:
        raise UserError(f"the alphabet repeats the letter {repeated!r}: list every usable letter once")
    return alphabet


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
