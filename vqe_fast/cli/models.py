"""``vqe-fast models``: the models that ``--model`` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vqe_fast.models import ModelSpec


def models() -> None:
    """Lists the models: size, what each works on, and what the weights that ship gain."""
    import torch
    from rich.console import Console
    from rich.table import Table

    from vqe_fast.models import create_model, list_models, spec_of
    from vqe_fast.weights import shipped, shipped_options

    table = Table("model", "parameters", "works on", "receptive field", "weights", box=None)
    with_weights = shipped()
    for name in list_models():
        with torch.device("meta"):
            model = create_model(name, **shipped_options(name))
        spec = spec_of(model)
        table.add_row(
            name,
            f"{sum(p.numel() for p in model.parameters() if p.requires_grad):,}",
            _inputs(spec),
            f"{spec.receptive_field} px" if spec.receptive_field else "the whole frame",
            "ship" if name in with_weights else "none" if model.state_dict() else "needs none",
        )
    console = Console()
    console.print(table)
    measured = {name: card["measured"] for name, card in with_weights.items() if "measured" in card}
    for name, settings in measured.items():
        gains = Table("encoder", "ΔPSNR, dB", "worst clip", "ΔSSIM", box=None)
        for setting, gain in settings.items():
            gains.add_row(
                setting,
                f"{gain['psnr_gain']:+.2f}",
                f"{gain['worst_psnr_gain']:+.2f}",
                f"{gain['ssim_gain']:+.4f}",
            )
        console.print(f"\nWhat the weights of {name} gain on {with_weights[name]['validated_on']}:")
        console.print(gains)


def _inputs(spec: ModelSpec) -> str:
    inputs = ["luma" if spec.planes == "y" else "RGB"]
    if spec.recurrent:
        inputs.append("the whole clip")
    elif spec.temporal_radius:
        inputs.append(f"{2 * spec.temporal_radius + 1} frames")
    if spec.takes_qp:
        inputs.append("QP")
    return ", ".join(inputs)
