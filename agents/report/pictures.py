"""Pictures of objects as PNG in data URIs."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from gfn_envs.arrays import IntArray
from gfn_envs.dag import Dag
from gfn_envs.rendering import Image


def picture(dag: Dag, state: IntArray) -> str | None:
    """The environment's picture of a state, as a data URI; None if it draws none."""
    try:
        image = dag.render_image(state)
    except (NotImplementedError, ImportError):
        return None
    return "data:image/png;base64," + base64.b64encode(png(image)).decode()


def png(image: Image) -> bytes:
    """An RGB image (H, W, 3) as a PNG file (RFC 2083): 8 bits per channel, no filter."""
    height, width, _ = image.shape
    rows = np.zeros((height, 1 + 3 * width), dtype=np.uint8)
    rows[:, 1:] = image.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
