"""Errors a user can act on."""

import re
from collections.abc import Callable

# Private letters of Unicode around the name of an option, which the command line spells otherwise than a program does.
_START, _END = "\ue000", "\ue001"
_OPTION = re.compile(f"{_START}(\\w+){_END}")


def option_name(name: str) -> str:
    """Mark the name of a config's field, or of an argument, within the message of a :class:`UserError`."""
    return f"{_START}{name}{_END}"


class UserError(Exception):
    """A mistake in the user's input: one line that says what is wrong, where, and what to do.

    The command line prints it on stderr, with options in its own spelling, and exits with code 2.

    >>> from keras_dnnts import NamesConfig, UserError
    >>> try:
    ...     NamesConfig(schedule="falling")
    ... except UserError as error:
    ...     print(error)
    unknown schedule 'falling': use one of constant, linear, cosine
    """

    def __str__(self) -> str:
        return self.spelled(str)

    def spelled(self, spell: Callable[[str], str]) -> str:
        """The message, with every option's name as ``spell`` writes it."""
        return _OPTION.sub(lambda match: spell(match[1]), super().__str__())


class PassingError(UserError):
    """What hinders a run at this moment, and not by anything that it does: the same may succeed later."""
