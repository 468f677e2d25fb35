"""``keras-dnnts data``: which data sets there are, and what of them is kept on this machine."""

from keras_dnnts.cli.options import spell
from keras_dnnts.datasets.image_cache import cache_dir, cached_images, clear_image_cache
from keras_dnnts.errors import UserError
from keras_dnnts.registry import all_studies

UNITS = ("bytes", "kB", "MB", "GB", "TB")


def list_data(fetch: bool) -> None:
    """Print every data set and where it is, and every file of decoded images.

    Args:
        fetch: download what is missing first.

    Raises:
        UserError: a download is not possible.
    """
    rows = [
        (title, study.name, UserError(place).spelled(spell))
        for study in all_studies()
        for title, place in study.data_sets(fetch)
    ]
    # Paths are printed whole at any width, for somebody to copy.
    titles, studies = (max(map(len, column)) for column in list(zip(*rows, strict=True))[:2])
    for title, study, place in rows:
        print(f"{title:{titles}}  {study:{studies}}  {place}")
    cached = cached_images()
    if not cached:
        print("No decoded images are cached.")
        return
    print(f"Decoded images ({format_size(sum(one.bytes for one in cached))}; {spell('clear_cache')} removes them):")
    for one in cached:
        print(f"{format_size(one.bytes):>{len('999.9 MB')}}  {one.path}{f'  from {one.source}' if one.source else ''}")


def clear_cache() -> None:
    """Remove all decoded images and print how much that freed.

    Raises:
        UserError: one cannot be removed.
    """
    freed = clear_image_cache()
    print(f"Removed {format_size(freed)} of decoded images from {cache_dir()}" if freed else "Nothing to remove")


def format_size(size: int) -> str:
    """A number of bytes, for a person.

    >>> format_size(999), format_size(3_140_000)
    ('999 bytes', '3.1 MB')
    """
    number, unit = float(size), 0
    while number >= 999.95 and unit < len(UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.1f} {UNITS[unit]}" if unit else f"{size} {UNITS[0]}"
