"""How many of an engine's devices a training takes."""

from collections.abc import Sequence

from keras_dnnts.errors import UserError, option_name


def choose_devices(there: Sequence[str], wanted: int | str | None) -> list[str]:
    """The devices to compute on, of those that are there, the best first.

    Args:
        there: their names.
        wanted: how many, ``"all"``, or None for one.

    Raises:
        UserError: there are fewer.

    >>> choose_devices(["gpu:0", "gpu:1", "gpu:2"], 2)
    ['gpu:0', 'gpu:1']
    """
    count = len(there) if wanted == "all" else int(wanted or 1)
    if count > len(there):
        found = f"only {', '.join(there)}" if len(there) < 9 else f"only {len(there)}"
        raise UserError(f"{option_name('devices')} {count}: there are {found}: use at most {len(there)}, or all")
    return list(there[:count])
