"""Writes pair.png and pair.json: two faces side by side."""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.figure import Figure

from ferwatch.compare.comparison import MIN_CHANGE_DEVIATIONS, Comparison, Side
from ferwatch.records import EMOTIONS
from ferwatch.render.figures import FAINT_INK, INK, place, probability_bars, render, show_frame, show_gray, slide
from ferwatch.utils.files import atomic_write, make_folder


def write_comparison(pairs: list[list[Comparison]], out: Path) -> list[Path]:
    """Write pair.json and a picture of every pair (pair.png, or pair-1.png and so on), and return the files.

    Args:
        pairs: for each pair of faces, one comparison per model.
        out: folder to write into; it is made where it is missing.

    Raises OutputError where the folder cannot be written.
    """
    make_folder(out)
    files = []
    for number, comparisons in enumerate(pairs, start=1):
        files.append(out / ("pair.png" if len(pairs) == 1 else f"pair-{number}.png"))
        with atomic_write(files[-1]) as temp_path:
            temp_path.write_bytes(render(_picture(comparisons)))
    files.append(out / "pair.json")
    with atomic_write(files[-1]) as temp_path:
        content = {"pairs": [[comparison.as_dict() for comparison in comparisons] for comparisons in pairs]}
        temp_path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return files


def _picture(comparisons: list[Comparison]) -> Figure:
    return _one_model(comparisons[0]) if len(comparisons) == 1 else _several_models(comparisons)


def _one_model(comparison: Comparison) -> Figure:
    figure = slide(_headline(comparison), _caption(comparison))
    sides = ((comparison.left, comparison.before), (comparison.right, comparison.after))
    for column, (side, probabilities) in enumerate(sides):
        left = 0.53 * column
        _show_side(figure, side, (left, 0.48, 0.47, 0.47), (left, 0.0, 0.17, 0.38))
        axes = place(figure, left + 0.26, 0.0, 0.21, 0.38)
        probability_bars(axes, probabilities, comparison.model, comparison.jitter[column])
    return figure


def _several_models(comparisons: list[Comparison]) -> Figure:
    """Return a slide with one row per face and one column of bars per model."""
    first = comparisons[0]
    figure = slide(
        "One pair of faces, several classifiers",
        "Rows: the two faces. Columns: the models. Whiskers: one standard deviation of the model's own jitter over "
        f"{_crops(first)}. Below: the Jensen-Shannon divergence of the two answers.",
    )
    width = 0.56 / len(comparisons)
    for row, side in enumerate((first.left, first.right)):
        bottom = 0.52 - 0.46 * row
        _show_side(figure, side, (0, bottom, 0.2, 0.38), (0.22, bottom, 0.12, 0.38))
        for column, comparison in enumerate(comparisons):
            axes = place(figure, 0.44 + column * width, bottom, width - 0.02, 0.38)
            probabilities = comparison.after if row else comparison.before
            probability_bars(axes, probabilities, "" if row else comparison.model, comparison.jitter[row])
            if column:
                axes.set_yticks([])
            if row:
                text = f"{comparison.divergence:.2f} bit"
                axes.text(
                    0.5, -0.06, text, transform=axes.transAxes, ha="center", va="top", fontsize=12, color=FAINT_INK
                )
    return figure


def _show_side(
    figure: Figure, side: Side, frame: tuple[float, float, float, float], crop: tuple[float, float, float, float]
) -> None:
    axes = place(figure, *frame)
    show_frame(axes, side.snapshot.image, side.face.bbox)
    axes.set_title(f"{side.snapshot.name}, face {side.face.face_id}", fontsize=12, color=INK, pad=6)
    show_gray(place(figure, *crop), side.face.crop)


def _headline(comparison: Comparison) -> str:
    before, after = (EMOTIONS[int(p.argmax())] for p in (comparison.before, comparison.after))
    return f"From {before} to {after}" if before != after else f"Both {before}"


def _caption(comparison: Comparison) -> str:
    points = 100 * comparison.change
    marked = sorted((i for i in range(len(EMOTIONS)) if comparison.beyond_jitter[i]), key=lambda i: -abs(points[i]))
    said = ", ".join(f"{EMOTIONS[i]} {points[i]:+.0f}" for i in marked) or "none"
    return (
        f"Jensen-Shannon divergence {comparison.divergence:.2f} bit. Changes in points beyond "
        f"{MIN_CHANGE_DEVIATIONS:g} standard deviations of the model's own jitter (whiskers: one, over "
        f"{_crops(comparison)}): {said}."
    )


def _crops(comparison: Comparison) -> str:
    return " and ".join(dict.fromkeys(f"{len(s.crops)} {s.jitter_source}" for s in (comparison.left, comparison.right)))
