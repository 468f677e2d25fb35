"""Errors a user can act on."""


class UserError(Exception):
    """Something in what the user gave is wrong: one line that says what, where and what to do.

    The command line prints it on stderr and exits with code 2.

    >>> from keras_dnnts import NamesConfig, UserError
    >>> try:
    ...     NamesConfig(cell="transformer")
    ... except UserError as error:
    ...     print(error)
    unknown --cell 'transformer': use one of rnn, gru, lstm
    """
