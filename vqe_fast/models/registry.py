"""Registry of models by name, and ``ModelSpec``, what each needs from its caller."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, cast

from torch import nn

Planes = Literal["y", "rgb", "yuv"]
"""What a model sees of a frame, see :class:`ModelSpec`."""


@dataclass(frozen=True)
class ModelSpec:
    """Specification of a model's inputs, for pipeline and trainer: neither of them names a model.

    Attributes:
        planes: ``"y"`` for luma (B, 1, H, W), ``"rgb"`` for colour (B, 3, H, W), ``"yuv"`` for
            Y'CbCr (B, 3, H, W) with chroma enlarged to the size of luma by repeating samples, or
            (B, 1, H, W) for frames without chroma.
        temporal_radius: neighbouring frames needed on each side; 0 for a single-frame model.
        recurrent: whether the output depends on the whole clip; the radius is then 0.
        takes_qp: whether ``forward`` takes the quantisation parameter of each frame.
        receptive_field: side in pixels of the square of inputs that one output pixel depends on;
            0 where it depends on all of them.
        alignment: tiles must start at multiples of this many pixels to give the untiled result.
            Frames of any size are taken: the model pads by itself.
        value_range: range of the samples that go in and come out.
        takes_coding: whether ``forward`` takes, after the QP, the codes of codec and type of frame
            of :mod:`vqe_fast.models.coding`.
        coding_of_window: whether QP and type of frame are those of each frame of the window or
            clip, (B, T), not of the middle one. A recurrent model that takes QPs takes each.
        scale: how many times as wide and as high the output is.
        casts_inputs: whether ``forward`` takes and returns float32 whatever the dtype of its
            weights. Another model is called in the dtype of its weights, and what it returns is
            turned into float32: 16 bits are then too few for a sum with the frame itself.

    Raises:
        ValueError: a recurrent model takes the QP of one frame alone.
    """

    planes: Planes
    temporal_radius: int
    recurrent: bool
    takes_qp: bool
    receptive_field: int
    alignment: int
    value_range: tuple[float, float]
    takes_coding: bool = False
    coding_of_window: bool = False
    scale: int = 1
    casts_inputs: bool = False

    def __post_init__(self) -> None:
        if self.recurrent and self.takes_qp and not self.coding_of_window:
            raise ValueError("a recurrent model takes the QP of each frame: set coding_of_window")


class Model(Protocol):
    """A registered model: a module that carries its :class:`ModelSpec`."""

    spec: ModelSpec


_BUILDERS: dict[str, Callable[..., nn.Module]] = {}


def register_model(builder: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Decorator: makes ``builder`` available to :func:`create_model` under its function name.

    Raises:
        ValueError: a model of that name exists already.
    """
    name = builder.__name__
    if name in _BUILDERS:
        raise ValueError(f"a model named {name!r} is registered already")
    _BUILDERS[name] = builder
    return builder


def list_models() -> list[str]:
    """Names that :func:`create_model` takes, sorted."""
    return sorted(_BUILDERS)


def create_model(name: str, *, pretrained: bool = False, **options: object) -> nn.Module:
    """Builds the model ``name``.

    Args:
        name: one of :func:`list_models`.
        pretrained: load the weights that ship with the package, and build the model with the
            options that they were trained with. A model without parameters needs none.
        **options: the model's own options, documented on its class.

    Returns:
        The module in training mode; ``module.spec`` is its :class:`ModelSpec`.

    Raises:
        ValueError: unknown name, or no weights ship for this model.
        TypeError: an option that the model does not have.
    """
    if name not in _BUILDERS:
        raise ValueError(f"no model is named {name!r}; there are: {', '.join(list_models())}")
    builder = _BUILDERS[name]
    known = inspect.signature(builder).parameters
    unknown = [option for option in options if option not in known]
    if unknown:
        raise TypeError(
            f"{name} has no option {', '.join(map(repr, unknown))}; "
            f"it has: {', '.join(known) or 'none'}"
        )
    if not pretrained:
        return builder(**options)
    from vqe_fast.weights import load_shipped, shipped_options

    model = builder(**shipped_options(name) | options)
    if model.state_dict():
        load_shipped(model, name)
    return model


def spec_of(model: nn.Module) -> ModelSpec:
    """The spec that a model built by :func:`create_model` carries."""
    return cast(Model, model).spec
