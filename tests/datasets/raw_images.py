"""Image files written byte by byte: of pixels that Pillow reads but does not write."""

import struct
import zlib


def pnm(kind, most, values):
    """A PBM, PGM or PPM of values up to ``most``, with pixels as text or as bytes."""
    height, width = values.shape[:2]
    head = f"P{kind}\n{width} {height}\n{most}\n".encode()
    if kind <= 3:
        return head + " ".join(map(str, values.ravel().tolist())).encode() + b"\n"
    return head + values.astype(">u2" if most > 255 else "u1").tobytes()


def png(colour_type, depth, width, row, transparent):
    """A PNG of one row, with the grey or colour that is transparent."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, colour_type, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" + row))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"tRNS", transparent) + pixels + chunk(b"IEND", b"")


def tiff(bits, photometric, shape, data, order="<", alpha=2, sample_format=1):
    """An uncompressed TIFF; ``bits`` of each channel, of which a second or fourth is ``alpha`` (1: premultiplied)."""
    tags = {256: [shape[1]], 257: [shape[0]], 258: bits, 259: [1], 262: [photometric], 273: [0]}
    tags |= {277: [len(bits)], 278: [shape[0]], 279: [len(data)]}
    if len(bits) in (2, 4):
        tags[338] = [alpha]
    tags[339] = [sample_format] * len(bits)
    end = 8 + 2 + 12 * len(tags) + 4
    longer = {tag: values for tag, values in tags.items() if len(values) > 2}
    tags[273] = [end + sum(2 * len(values) for values in longer.values())]
    entries, beyond = b"", b""
    for tag, values in tags.items():
        content = struct.pack(f"{order}{len(values)}H", *values)
        if tag in longer:
            beyond, content = beyond + content, struct.pack(f"{order}I", end + len(beyond))
        entries += struct.pack(f"{order}HHI", tag, 3, len(values)) + content.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    return head + entries + bytes(4) + beyond + data
