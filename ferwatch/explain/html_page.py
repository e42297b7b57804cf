"""Renders the pictures as one self-contained HTML page."""

from __future__ import annotations

import base64
from html import escape

from ferwatch.explain.trace import Trace, layer_table
from ferwatch.models.checkpoint import Checkpoint
from ferwatch.records import EMOTIONS
from ferwatch.render.figures import Array, Picture

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #5e6470; --ground: #fff; --rule: #d8dbe0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --faint: #a0a6b0; --ground: #15181c; --rule: #353a42; } }
body { margin: 0 auto; max-width: 64rem; padding: 2rem 1rem 4rem; color: var(--ink); background: var(--ground);
  font: 1.05rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.9rem; margin-bottom: 0.3rem; } h2 { font-size: 1.35rem; margin: 3rem 0 0.4rem; }
p { max-width: 46rem; margin: 0.4rem 0 1rem; } .faint { color: var(--faint); }
img { display: block; width: 100%; height: auto; border: 1px solid var(--rule); border-radius: 6px; background: #fff; }
nav ol { columns: 2 18rem; padding-left: 1.4rem; }
.table { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.9rem 0.2rem 0; text-align: left; border-bottom: 1px solid var(--rule); white-space: nowrap; }
.number { text-align: right; }
"""


def render_page(checkpoint: Checkpoint, pictures: list[Picture], trace: Trace, probabilities: Array) -> str:
    """Return one HTML document without external resources: every slide with its explanation, and the layer table."""
    top = int(probabilities.argmax())
    title = f"Inside {checkpoint.model}"
    contents = "".join(f'<li><a href="#{escape(p.name)}">{escape(p.title)}</a></li>' for p in pictures)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>\n'
        f"<h1>{escape(title)}</h1>\n"
        f'<p class="faint">One forward pass of one face: {EMOTIONS[top]}, {probabilities[top]:.1%}. '
        f"{trace.parameters:,} parameters, {trace.multiply_adds:,} multiply-adds. "
        f"Weights {checkpoint.checksum[:12] or 'not from a file'}.</p>\n"
        f'<nav><ol>{contents}<li><a href="#layers">Every layer</a></li></ol></nav>\n'
        + "".join(map(_section, pictures))
        + _table(trace)
        + "</body></html>\n"
    )


def _section(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode()
    return (
        f'<section id="{escape(picture.name)}"><h2>{escape(picture.title)}</h2>\n<p>{escape(picture.explanation)}</p>\n'
        f'<img alt="{escape(picture.title)}" src="data:image/png;base64,{data}"></section>\n'
    )


def _table(trace: Trace) -> str:
    rows = "".join(
        f"<tr><td>{escape(layer)}</td><td>{escape(operation)}</td><td>{output}</td>"
        f'<td class="number">{parameters:,}</td><td class="number">{multiply_adds:,}</td></tr>\n'
        for layer, operation, output, parameters, multiply_adds in layer_table(trace)
    )
    return (
        '<section id="layers"><h2>Every layer</h2>\n<p>In the order of the forward pass. A layer applied again has its '
        "parameters counted the first time. Multiply-adds are those of convolutions, matrix products and attention; "
        'elementwise operations are not counted.</p>\n<div class="table"><table><thead><tr>'
        "<th>layer</th><th>operation</th><th>output</th>"
        '<th class="number">parameters</th><th class="number">multiply-adds</th></tr></thead>\n'
        f'<tbody>{rows}</tbody><tfoot><tr><th colspan="3">total</th><th class="number">{trace.parameters:,}</th>'
        f'<th class="number">{trace.multiply_adds:,}</th></tr></tfoot></table></div></section>\n'
    )
