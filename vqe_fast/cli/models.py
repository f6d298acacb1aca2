"""``vqe-fast models``: the models that ``--model`` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vqe_fast.models import ModelSpec


def models() -> None:
    """Lists the models: size, what each works on, and whether weights ship with the package."""
    import torch
    from rich.console import Console
    from rich.table import Table

    from vqe_fast.models import create_model, list_models, spec_of
    from vqe_fast.weights import shipped

    table = Table("model", "parameters", "works on", "receptive field", "weights", box=None)
    with_weights = shipped()
    for name in list_models():
        with torch.device("meta"):
            model = create_model(name)
        spec = spec_of(model)
        table.add_row(
            name,
            f"{sum(p.numel() for p in model.parameters() if p.requires_grad):,}",
            _inputs(spec),
            f"{spec.receptive_field} px" if spec.receptive_field else "the whole frame",
            "ship" if name in with_weights else "none",
        )
    Console().print(table)


def _inputs(spec: ModelSpec) -> str:
    inputs = ["luma" if spec.planes == "y" else "RGB"]
    if spec.recurrent:
        inputs.append("the whole clip")
    elif spec.temporal_radius:
        inputs.append(f"{2 * spec.temporal_radius + 1} frames")
    if spec.takes_qp:
        inputs.append("QP")
    return ", ".join(inputs)
