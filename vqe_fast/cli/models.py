"""``vqe-fast models``: the models that ``--model`` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vqe_fast.models import ModelSpec

_PLANES = {"y": "luma", "rgb": "RGB", "yuv": "luma and chroma"}


def models() -> None:
    """Lists the models: size, what each works on, and what the weights that ship gain."""
    import torch
    from rich.console import Console
    from rich.table import Table

    from vqe_fast.models import cost, create_model, list_models, spec_of
    from vqe_fast.models.cost import COUNTED_SIZE
    from vqe_fast.weights import sharp_card, shipped, shipped_options

    table = Table(box=None, pad_edge=False)
    table.add_column("model", no_wrap=True)
    table.add_column("parameters", justify="right", no_wrap=True)
    table.add_column("kMAC/pixel", justify="right", no_wrap=True)
    for title in ("works on", "receptive field", "weights"):
        table.add_column(title)
    with_weights = shipped()
    for name in list_models():
        with torch.device("meta"):
            model = create_model(name, **shipped_options(name))
        spending = cost(model)
        table.add_row(
            name,
            f"{spending.parameters:,}",
            _rounded(spending.kmac_per_pixel),
            _inputs(spec_of(model)),
            f"{spending.receptive_field} px" if spending.receptive_field else "the whole frame",
            "ship, sharp"
            if sharp_card(name) in with_weights
            else "ship"
            if name in with_weights
            else "none"
            if model.state_dict()
            else "no need",
        )
    console = Console()
    console.print(table)
    height, width = COUNTED_SIZE
    console.print(
        f"\nkMAC/pixel: thousands of multiply-adds for a pixel of output, at {width}×{height}; "
        "a model that looks at the whole frame needs more for a larger one."
    )
    measured = {name: card["measured"] for name, card in with_weights.items() if "measured" in card}
    for name, settings in measured.items():
        gains = Table("encoder", "ΔPSNR, dB", "worst clip", "ΔSSIM", box=None, pad_edge=False)
        if any("chroma_gain" in gain for gain in settings.values()):
            gains.add_column("ΔPSNR of chroma")
        for setting, gain in settings.items():
            chroma = [f"{gain['chroma_gain']:+.2f}"] if "chroma_gain" in gain else []
            gains.add_row(
                setting,
                f"{gain['psnr_gain']:+.2f}",
                f"{gain['worst_psnr_gain']:+.2f}",
                f"{gain['ssim_gain']:+.4f}",
                *chroma,
            )
        console.print(f"\nWhat the weights of {name} gain on {with_weights[name]['validated_on']}:")
        console.print(gains)


def _rounded(number: float) -> str:
    """Three digits, or all before the point."""
    return f"{number:.3g}" if number < 100 else f"{number:,.0f}"


def _inputs(spec: ModelSpec) -> str:
    inputs = [_PLANES[spec.planes]]
    if spec.recurrent:
        inputs.append("clips")
    elif spec.temporal_radius:
        inputs.append(f"{2 * spec.temporal_radius + 1} frames")
    if spec.takes_qp:
        inputs.append("QP")
    if spec.takes_coding:
        inputs += ["codec", "frame type"]
    return ", ".join(inputs)
