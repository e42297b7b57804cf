"""Import before torchvision: lets a torchvision built for CUDA load beside a CPU build of torch.

Such a torchvision cannot load its compiled operators there, and its import stops with "operator torchvision::nms does
not exist", although ferwatch uses none of them. Declaring the two that it asks for at import is enough. Where the
operators do load, they are registered under the same schema and nothing here takes effect.
"""

import importlib.util
from pathlib import Path

import torch


def _operators_load() -> bool:
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return True  # let the import of torchvision say what is wrong
    try:
        for library in Path(found.origin).parent.glob("_C.*"):
            torch.ops.load_library(library)
    except OSError:
        return False
    return True


if not _operators_load():
    library = torch.library.Library(
        "torchvision", "DEF"
    )  # kept in a module variable: its end would undo the declarations
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
