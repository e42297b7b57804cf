"""Decoded pictures as a player shows them: upright, unmirrored, with square pixels, whole frames and 8-bit colours.

Each picture is converted by itself, with no memory of the one before, so that a video gives the same pictures wherever
decoding begins.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple, cast

import cv2
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ferwatch.records import Placement
from ferwatch.video import hdr
from ferwatch.video.deinterlace import deinterlace

MAX_PIXEL_ASPECT = 8
"""Largest ratio of the sides of a pixel; larger ones are taken for errors of the file."""
BOTTOM_FIELD_FIRST = frozenset({3, 4})
"""FFmpeg's field orders in which the lower field is shown first."""
GRAY_16 = frozenset({"gray16le", "gray16be"})


class Orientation(NamedTuple):
    """Steps that bring a stored picture upright: transposed first, then flipped."""

    transposed: bool = False
    flipped_across: bool = False
    """Left and right are exchanged."""
    flipped_down: bool = False
    """Top and bottom are exchanged."""

    @classmethod
    def of(cls, picture: VideoFrame) -> Orientation:
        """Return the orientation that the picture's display matrix asks for, to the nearest quarter turn."""
        try:
            matrix = picture.side_data.get("DISPLAYMATRIX")
        except ValueError:  # another entry of a kind that PyAV does not know hides them all; the angle is still told
            turned = round(picture.rotation / 90) % 4
            return (cls(), cls(True, False, True), cls(False, True, True), cls(True, True, False))[turned]
        if matrix is None:
            return cls()
        a, b, _, c, d, *_ = struct.unpack("=9i", bytes(cast(SideData, matrix))[:36])
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    @property
    def mirrored(self) -> bool:
        """True if left and right of the stored picture are exchanged before it is turned."""
        return (self.transposed + self.flipped_across + self.flipped_down) % 2 == 1

    @property
    def rotation(self) -> int:
        """Degrees clockwise by which the stored picture is turned, after it was mirrored left to right if it was."""
        if self.transposed:
            # Transposing is mirroring left to right and a quarter turn counterclockwise.
            return {(False, False): 270, (True, False): 90, (False, True): 270, (True, True): 90}[self[1:]]
        return 180 if self.flipped_down else 0

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the image (H, W, 3) upright; the same array where nothing is to be done."""
        if self.transposed:
            image = cv2.transpose(image)  # type: ignore[assignment]
        if self.flipped_across or self.flipped_down:
            code = -1 if self.flipped_across and self.flipped_down else int(self.flipped_across)
            image = cv2.flip(image, code)  # type: ignore[assignment]
        return image


class PixelAspect:
    """The shape of a stream's pixels: width by height, as players take it."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        own, coded = stream.sample_aspect_ratio, stream.codec_context.sample_aspect_ratio
        self._fixed = own if own and own != coded else None

    def current(self) -> Fraction:
        """Return the pixel aspect ratio of the picture decoded last; a container's own goes before the codec's."""
        shape = self.declared()
        return shape if 1 / MAX_PIXEL_ASPECT <= shape <= MAX_PIXEL_ASPECT else Fraction(1)

    def declared(self) -> Fraction:
        """Return what the file says, however improbable."""
        return self._fixed or self._stream.codec_context.sample_aspect_ratio or Fraction(1)


def display_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """Return width and height of a stored picture with square pixels: one side is enlarged, none made smaller."""
    if aspect > 1:
        return round(width * aspect), height
    return width, round(height / aspect)


class Geometry(NamedTuple):
    """How a stored picture becomes the one that a player shows."""

    orientation: Orientation
    size: tuple[int, int]
    """Width and height of the picture as it is displayed, in pixels."""

    @classmethod
    def of(cls, picture: VideoFrame, aspect: Fraction) -> Geometry:
        """Return the geometry of a picture whose pixels have this shape."""
        orientation = Orientation.of(picture)
        width, height = display_size(picture.width, picture.height, aspect)
        return cls(orientation, (height, width) if orientation.transposed else (width, height))


class GeometryReader:
    """Tells the geometry of a stream's pictures as they are decoded, one after another.

    Reading a display matrix takes a quarter of the time of decoding a small picture, so it is read at key frames and
    where size, angle or the shape of the pixels change; in between, it is that of the picture before.
    """

    def __init__(self, stream: VideoStream) -> None:
        self.aspect = PixelAspect(stream)
        self._latest: Geometry | None = None
        self._features: tuple[int, int, int, Fraction] | None = None

    def read(self, picture: VideoFrame) -> Geometry:
        """Return the geometry of a picture, which has to be the one that the stream decoded last.

        The shape of its pixels is read from the decoder.
        """
        features = picture.width, picture.height, picture.rotation, self.aspect.declared()
        if self._latest is None or picture.key_frame or features != self._features:
            self._latest, self._features = Geometry.of(picture, self.aspect.current()), features
        return self._latest


class PictureConverter:
    """Converts decoded pictures to images.

    Args:
        bottom_field_first: whether the lower line of an interlaced picture was recorded first.
        gray_bits: bits that the values of 16-bit gray pictures use; see `gray_bits`.
    """

    def __init__(self, bottom_field_first: bool = False, gray_bits: int | None = None) -> None:
        self._first_line = int(bottom_field_first)
        self._gray_bits = gray_bits

    def image(self, picture: VideoFrame, geometry: Geometry) -> NDArray[np.uint8]:
        """Return the picture as it is displayed, (H, W, 3) BGR; the array is the caller's own."""
        image = self._colours(picture)
        if picture.interlaced_frame:
            image = deinterlace(image, self._first_line)
        image = geometry.orientation.apply(image)
        if image.shape[1::-1] != geometry.size:
            image = cv2.resize(image, geometry.size, interpolation=cv2.INTER_CUBIC)  # type: ignore[assignment]
        return image

    def _colours(self, picture: VideoFrame) -> NDArray[np.uint8]:
        if hdr.dynamic_range(picture) != "SDR":
            return hdr.tone_map(picture)
        if self._gray_bits is not None and picture.format.name in GRAY_16:
            picture = _full_range(picture, self._gray_bits)
        image: NDArray[np.uint8] = picture.to_ndarray(format="bgr24", threads=1)  # type: ignore[assignment]
        if picture.format.name == "bgr24":
            image = image.copy()  # the decoder may reuse its own
        return image


def has_bottom_field_first(context: VideoCodecContext) -> bool:
    """Return whether the lower field of a stream's interlaced pictures was recorded first; DV's always is."""
    return context.name == "dvvideo" or context.field_order in BOTTOM_FIELD_FIRST


def gray_bits(pictures: Sequence[VideoFrame]) -> int | None:
    """Return how many bits the values of 16-bit gray pictures use: 8, 10, 12, 14 or 16; None for other pictures.

    Thermal and machine-vision cameras write values of fewer bits without shifting them up.
    """
    gray = [picture for picture in pictures if picture.format.name in GRAY_16]
    if not gray:
        return None
    largest = max(int(picture.to_ndarray().max()) for picture in gray)
    return next(bits for bits in (8, 10, 12, 14, 16) if largest < 1 << bits)


def _full_range(picture: VideoFrame, bits: int) -> VideoFrame:
    """Return a 16-bit gray picture whose values are shifted so that `bits` bits fill the range."""
    values = picture.to_ndarray().astype(np.uint32) << (16 - bits)
    shifted = VideoFrame.from_ndarray(np.minimum(values, 0xFFFF).astype(np.uint16), format="gray16le")
    shifted.color_range, shifted.colorspace = picture.color_range, picture.colorspace
    return shifted


def placement(size: tuple[int, int], canvas: tuple[int, int]) -> Placement | None:
    """Return where a picture of another size lies in the video's frame: centred, as large as fits.

    Both sizes are width and height in pixels. None where they are the same.
    """
    if size == canvas:
        return None
    scale = min(canvas[0] / size[0], canvas[1] / size[1])
    return Placement(scale, (canvas[0] - scale * size[0]) / 2, (canvas[1] - scale * size[1]) / 2)


def letterbox(image: NDArray[np.uint8], place: Placement | None, canvas: tuple[int, int]) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) in the video's frame, with black beside it; the image itself where it fills the frame.

    Args:
        place: where it lies, from `placement`.
        canvas: width and height of the video's frame in pixels.
    """
    if place is None:
        return image
    width = min(max(round(image.shape[1] * place.scale), 1), canvas[0])
    height = min(max(round(image.shape[0] * place.scale), 1), canvas[1])
    left, top = min(round(place.x), canvas[0] - width), min(round(place.y), canvas[1] - height)
    method = cv2.INTER_AREA if place.scale < 1 else cv2.INTER_CUBIC
    framed = np.zeros((canvas[1], canvas[0], 3), np.uint8)
    framed[top : top + height, left : left + width] = cv2.resize(image, (width, height), interpolation=method)
    return framed
