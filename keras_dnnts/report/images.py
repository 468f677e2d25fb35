"""Pictures inside the page: arrays to data addresses, within a number of bytes."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

QUALITIES = (85, 70, 50, 30)
SMALLEST_SIDE = 8  # pixels


@dataclass(frozen=True)
class Sprite:
    """Many small pictures in one.

    Attributes:
        address: ``data:`` address of the grid of pictures, row by row.
        columns, rows: of the grid.
        ratio: width of one picture over its height.
    """

    address: str
    columns: int
    rows: int
    ratio: float

    @property
    def grid(self) -> dict[str, int]:
        """Its columns and rows, for the page's script."""
        return {"columns": self.columns, "rows": self.rows}


def build_sprite(images: np.ndarray, most_bytes: int) -> Sprite:
    """Lay images (N, H, W, 3) uint8, N at least 1, in one that takes at most about ``most_bytes``.

    Its quality is lowered, then its size, until it fits.
    """
    columns = int(np.ceil(np.sqrt(len(images))))
    rows = -(-len(images) // columns)
    height, width = images.shape[1:3]
    canvas = np.zeros((rows * columns, height, width, 3), np.uint8)
    canvas[: len(images)] = images
    grid = canvas.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)
    picture = Image.fromarray(grid.reshape(rows * height, columns * width, 3))
    return Sprite(_fit(picture, (columns, rows), most_bytes), columns, rows, width / height)


def encode_photo(image: np.ndarray, most_side: int = 160) -> str:
    """The address of an image (H, W, 3) uint8, shrunk to ``most_side`` pixels."""
    picture = Image.fromarray(image)
    picture.thumbnail((most_side, most_side))
    return _address(_encode(picture, 85))


def encode_maps(maps: np.ndarray, most_side: int = 64) -> str:
    """The address of activation maps (h, w, C) side by side in grey, each from its least to its largest value."""
    low, high = maps.min(axis=(0, 1)), maps.max(axis=(0, 1))
    grey = (255 * (maps - low) / np.where(high > low, high - low, 1)).astype(np.uint8)
    pictures = [Image.fromarray(channel) for channel in np.moveaxis(grey, -1, 0)]
    for picture in pictures:
        picture.thumbnail((most_side, most_side))
    width, height = pictures[0].size
    gap = max(1, width // 12)
    strip = Image.new("LA", ((width + gap) * len(pictures) - gap, height), (0, 0))
    for i, picture in enumerate(pictures):
        strip.paste(picture.convert("LA"), (i * (width + gap), 0))
    buffer = io.BytesIO()
    strip.save(buffer, "PNG", optimize=True)
    return _address(buffer.getvalue(), "png")


def _fit(picture: Image.Image, tiles: tuple[int, int], most_bytes: int) -> str:
    while True:
        for quality in QUALITIES:
            encoded = _encode(picture, quality)
            if 4 * len(encoded) / 3 <= most_bytes:
                return _address(encoded)
        sides = [picture.size[axis] // tiles[axis] // 2 for axis in (0, 1)]
        if min(sides) < SMALLEST_SIDE:
            return _address(encoded)
        picture = picture.resize((sides[0] * tiles[0], sides[1] * tiles[1]), Image.Resampling.BOX)


def _encode(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()


def _address(encoded: bytes, kind: str = "webp") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(encoded).decode('ascii')}"
