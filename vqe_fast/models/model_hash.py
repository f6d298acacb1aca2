"""Model hash: the identity of a model, of all that decides what it computes."""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
"""Names that PyTorch itself gives a module: parameters, hooks, whether it is being trained."""


def model_hash(model: nn.Module) -> str:
    """SHA-256 of a model: class and code, options, submodules, buffers and weights.

    Two models of equal weights differ if a class, an activation, or an attribute does: a number,
    a string, a function, a data class, or a collection of these. Code is that of the functions of
    classes that PyTorch does not bring. Values that are none of these, such as what a module keeps
    for calls to come, count by their type alone; devices and the mode of training do not count.

    Args:
        model: any module.

    Returns:
        64 hexadecimal digits, the same in every process with the same versions of Python and
        PyTorch.
    """
    digest = hashlib.sha256()
    for name, module in model.named_modules():
        digest.update(f"module {name} {module.extra_repr()}\n".encode())
        for part in _class(type(module)):
            digest.update(part)
        own = {key: value for key, value in vars(module).items() if key not in _OF_EVERY_MODULE}
        for part in _value(own, frozenset()):
            digest.update(part)
    for part in _weights(model):
        digest.update(part)
    return digest.hexdigest()


def weights_hash(model: nn.Module) -> str | None:
    """SHA-256 of a model's weights alone: names, dtypes, shapes and values, buffers too.

    Args:
        model: any module.

    Returns:
        64 hexadecimal digits, the same in every process and version; None if there are no weights.
    """
    digest, is_empty = hashlib.sha256(), True
    for part in _weights(model):
        digest.update(part)
        is_empty = False
    return None if is_empty else digest.hexdigest()


def _weights(model: nn.Module) -> Iterator[bytes]:
    named = [*model.named_parameters(), *model.named_buffers()]
    for name, tensor in sorted(named, key=lambda each: each[0]):
        yield f"tensor {name}\n".encode()
        yield from _tensor(tensor)


def _class(kind: type) -> Iterator[bytes]:
    for each in kind.__mro__:
        yield f"class {each.__module__}.{each.__qualname__}\n".encode()
        if each.__module__.partition(".")[0] not in ("builtins", "torch"):
            for name, value in sorted(vars(each).items()):
                function = getattr(value, "__func__", getattr(value, "fget", value))
                if isinstance(function, FunctionType):
                    yield f"def {name}\n".encode()
                    yield from _code(function.__code__)


def _code(code: CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr(code.co_names).encode()
    constants = code.co_consts
    if constants and isinstance(constants[0], str) and not code.co_name.startswith("<"):
        constants = constants[1:]  # the docstring
    for constant in constants:
        if isinstance(constant, CodeType):
            yield from _code(constant)
        elif isinstance(constant, frozenset):  # its order is another in another process
            yield repr(sorted(map(repr, constant))).encode()
        else:
            yield repr(constant).encode()


def _value(value: Any, within: frozenset[int]) -> Iterator[bytes]:
    """Parts of a value; ``within`` are the identities of those that it is a part of."""
    yield f"{type(value).__module__}.{type(value).__qualname__}:".encode()
    if id(value) in within:
        return
    within |= {id(value)}
    if value is None or isinstance(
        value, bool | int | float | complex | str | bytes | torch.dtype | torch.memory_format
    ):
        yield repr(value).encode()
    elif isinstance(value, enum.Enum):
        yield value.name.encode()
    elif isinstance(value, Tensor):
        yield from _tensor(value)
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype} {value.shape}".encode() + value.tobytes()
    elif isinstance(value, nn.Module):
        yield model_hash(value).encode()
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _value(key, within)
            yield from _value(each, within)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _value(each, within)
    elif isinstance(value, AbstractSet):
        yield from sorted(b"".join(_value(each, within)) for each in value)
    elif isinstance(value, functools.partial):
        yield from _value((value.func, value.args, value.keywords), within)
    elif isinstance(value, MethodType):
        yield from _value(value.__func__, within)
    elif isinstance(value, FunctionType):
        yield f"{value.__module__}.{value.__qualname__}".encode()
        yield from _code(value.__code__)
        yield from _value((value.__defaults__, value.__kwdefaults__), within)
        for cell in value.__closure__ or ():
            with suppress(ValueError):  # it is empty until its name is bound
                yield from _value(cell.cell_contents, within)
    elif isinstance(value, type):
        yield from _class(value)
    elif dataclasses.is_dataclass(value):
        for each in dataclasses.fields(value):
            yield from _value(getattr(value, each.name), within)
    elif callable(value):
        yield str(getattr(value, "__qualname__", "")).encode()
    yield b"\n"


def _tensor(tensor: Tensor) -> Iterator[bytes]:
    yield f"{tensor.dtype} {tuple(tensor.shape)}\n".encode()
    yield tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
