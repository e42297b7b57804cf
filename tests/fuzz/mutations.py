"""Damage to files, from a seeded generator."""

from __future__ import annotations

import random
from collections.abc import Callable

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def flip_bits(data: bytearray, at: Callable[[], int], draw: random.Random) -> None:
    for _ in range(draw.choice((1, 3, 10, 100))):
        data[at()] ^= 1 << draw.randrange(8)


def extreme_number(data: bytearray, at: Callable[[], int], draw: random.Random) -> None:
    """A length, a count, a size, a time: the largest or the smallest there is."""
    for _ in range(draw.choice((1, 2, 5))):
        place, width = at(), draw.choice((1, 2, 4, 8))
        number = draw.choice(EXTREMES) & (1 << 8 * width) - 1
        data[place : place + width] = number.to_bytes(width, draw.choice(("big", "little")))


def noise(data: bytearray, at: Callable[[], int], draw: random.Random) -> None:
    place = at()
    length = min(draw.choice((4, 64, 1000, 10_000)), len(data) - place)
    data[place : place + length] = draw.randbytes(length)


def zeros(data: bytearray, at: Callable[[], int], draw: random.Random) -> None:
    place = at()
    length = min(draw.choice((4, 64, 1000, 10_000)), len(data) - place)
    data[place : place + length] = bytes(length)


def lose(data: bytearray, at: Callable[[], int], draw: random.Random) -> None:
    place = at()
    del data[place : place + draw.choice((1, 4, 188, 4000))]


def repeat(data: bytearray, at: Callable[[], int], draw: random.Random) -> None:
    place = at()
    data[place:place] = data[place : place + draw.choice((1, 4, 188, 4000))]


def cut(data: bytearray, at: Callable[[], int], _: random.Random) -> None:
    del data[at() :]


WAYS = (flip_bits, extreme_number, noise, zeros, lose, repeat, cut)


def mutate(whole: bytes, headers: list[range], draw: random.Random) -> tuple[bytes, str]:
    """Damages a file once or a few times; returns it and what was done.

    Half of the damage falls into `headers`, the parts that describe the rest, small as they are.
    """
    data = bytearray(whole)
    done = []

    def at() -> int:
        part = draw.choice(headers) if headers and draw.random() < 0.5 else range(len(data))
        return min(draw.choice(part), max(len(data) - 1, 0))

    for _ in range(draw.choice((1, 1, 2, 4))):
        if data:
            way = draw.choice(WAYS)
            way(data, at, draw)
            done.append(way.__name__)
    return bytes(data), "+".join(done)


FIELDS = ("", "nan", "inf", "-1", "1e308", "99999999999999999999", "0", "é", '"', "\x00", "a,b", "1_0", " ")


def mutate_table(whole: bytes, draw: random.Random) -> tuple[bytes, str]:
    """Damages a CSV: its bytes, or one field, one line or the order of its columns."""
    if draw.random() < 0.4:
        return mutate(whole, [], draw)
    lines = [line.split(",") for line in whole.decode().splitlines()]
    done = []
    for _ in range(draw.choice((1, 1, 2, 4))):
        way = draw.choice(("field", "line lost", "line twice", "column lost", "lines swapped"))
        line, column = draw.randrange(len(lines)), draw.randrange(len(lines[0]))
        if way == "field" and column < len(lines[line]):
            lines[line][column] = draw.choice(FIELDS)
        elif way == "line lost" and len(lines) > 1:
            del lines[line]
        elif way == "line twice":
            lines.insert(line, list(lines[line]))
        elif way == "column lost" and len(lines[0]) > 1:
            lines = [fields[:column] + fields[column + 1 :] for fields in lines]
        elif way == "lines swapped":
            other = draw.randrange(len(lines))
            lines[line], lines[other] = lines[other], lines[line]
        done.append(way)
    return "\n".join(",".join(fields) for fields in lines).encode() + b"\n", "+".join(done)
