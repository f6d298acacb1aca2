"""Every registered model, as small as its options allow, with every weight random."""

import torch

from vqe_fast import create_model

_TEMPORAL = {
    "width": 8,
    "deep_width": 8,
    "before": 1,
    "after": 1,
    "reference_width": 8,
    "fusion_width": 8,
    "fusion_blocks": 1,
}

SMALL = {
    "astf": {"width": 8, "blocks": 1, "radius": 3, "sharpen": 0.5},
    "basicvsr": {"scale": 1, "width": 8, "blocks": 1},
    "carcnn": {"width": 8, "blocks": 2, "qp_adaptive": True},
    "carcnn_small": {"width": 8, "blocks": 2, "qp_adaptive": True},
    "dualres_m": {"width": 8, "deep_width": 12, "before": 2, "deep": 1, "after": 1},
    "dualres_r": _TEMPORAL,
    "dualres_s": {"width": 8, "deep_width": 8, "before": 1, "after": 1},
    "dualres_t": _TEMPORAL,
    "galteri_base": {"width": 8, "blocks": 2},
    "galteri_ensemble": {
        "generator": "galteri_very_fast",
        "qps": [20, 30, 36],
        "generator_options": {"blocks": 2},
    },
    "galteri_fast": {"blocks": 2},
    "galteri_very_fast": {"blocks": 2},
    "identity": {},
    "multiscale": {},
    "pequenet": {},
}
"""Name → options."""


def randomised(name):
    """A model whose output depends on everything in it, also on what starts at zero."""
    torch.manual_seed(0)
    model = create_model(name, **SMALL[name])
    for key, parameter in model.named_parameters():
        if not parameter.any() and parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.05)
        if name == "pequenet" and parameter.dim() == 4 and "vgg" not in key:
            torch.nn.init.kaiming_normal_(parameter)
            # Attention neither to everything nor to one position.
            parameter.data *= 6 if "attention" in key else 0.6
    return model.eval()
