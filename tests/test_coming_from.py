"""``docs/coming-from.md``, line by line: our calls against the libraries, or their formulas."""

import importlib
import inspect
import re
import warnings
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from support.similarity import gaussian, similarity, uniform
from vqe_fast import nn
from vqe_fast.models.vgg import VGG

PAGE = (Path(__file__).parents[1] / "docs" / "coming-from.md").read_text("utf-8")
TITLE, *SECTIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)
TABLES = {
    section.partition("\n")[0]: re.findall(r"^\| `(.+)` \| `(.+)` \|$", section, re.MULTILINE)
    for section in SECTIONS
}
REFUSED = TABLES.pop("What is refused")
ROWS = [(library, *row) for library, rows in TABLES.items() for row in rows]
ALWAYS = {"pytorch-msssim", "scikit-image", "BD-rate"}
"""Whose packages the tests depend on: they need no formula."""


def blocks(section):
    return re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def names_of(library):
    """What the page's code defines before a table; a library that is not there is left out."""
    torch.manual_seed(0)
    found = {}
    chosen = next(each for each in SECTIONS if each.startswith(library + "\n"))
    for code in blocks(TITLE) + blocks(chosen):
        try:
            exec(code, found)
        except ImportError as error:
            if library in ALWAYS:
                pytest.skip(str(error))
    for name in ("pytorch_msssim", "piq", "lpips"):
        try:
            found[name] = importlib.import_module(name)
        except ImportError:
            continue
    if library == "LPIPS":
        channels = (64, 128, 256, 512, 512)
        found["trunk"] = VGG(16).requires_grad_(False)
        found["heads"] = [torch.rand(count) for count in channels]
        found["x"], found["y"] = (found[name][..., :48, :48] for name in "xy")
    return found


# Formulas, from the sources of the libraries, of the calls in the left columns.


def squared_error(x, y):
    return (x.double() - y.double()).square().mean((-3, -2, -1))


def decibels(error, peak=1.0):
    return 10 * torch.log10(peak**2 / error)


def reflected_map(x, y, taps=None, **constants):
    margins = (len(gaussian() if taps is None else taps) // 2,) * 4
    x, y = (F.pad(image.double(), margins, mode="reflect") for image in (x, y))
    return similarity(x, y, taps, **constants)


def of_eight_bits(x, y, taps=None):
    return similarity(x, y, taps, c1=(0.01 * 255) ** 2, c2=(0.03 * 255) ** 2)


def multiscale(x, y):
    weights, product = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333), 1.0
    for scale, weight in enumerate(weights):
        each = similarity(x, y, c1=1e-4 if scale == 4 else 1e12)
        product = product * each.mean((-2, -1)).relu() ** weight
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return product


def charbonnier(x, y, eps=1e-12):
    return ((x.double() - y.double()) ** 2 + eps).sqrt()


def softmax_attention(n, scale, heads=1):
    q, k, v = (n["tokens"](n[name]).double().unflatten(2, (heads, -1)) for name in "qkv")
    weights = torch.einsum("blhe,bmhe->bhlm", scale * q, k).softmax(-1)
    return torch.einsum("bhlm,bmhe->blhe", weights, v).flatten(2)


def perceptual(n, normalize):
    shift, scale = torch.tensor([[-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]])[..., None, None]
    x, y = (2 * n[name] - 1 if normalize else n[name] for name in "xy")
    distance = 0.0
    for number, head in enumerate(n["heads"], start=1):
        tap = [f"relu{number}_{2 if number < 3 else 3}"]
        a, b = (F.normalize(n["trunk"]((each - shift) / scale, tap)[0]) for each in (x, y))
        distance = distance + ((a - b).square() * head[:, None, None]).sum(1).mean((1, 2))
    return distance.view(-1, 1, 1, 1)


FORMULAS = {
    "fused-ssim": (
        lambda n: zeros_around(n["x"], n["y"]).mean(),
        lambda n: similarity(n["x"], n["y"]).mean(),
        lambda n: 1 - zeros_around(n["x"], n["y"]).mean(),
    ),
    "torchmetrics": (
        lambda n: reflected_map(n["x"], n["y"]).mean(),
        lambda n: reflected_map(n["x"], n["y"], gaussian(15, 2.0)).mean(),
        lambda n: reflected_map(n["x"], n["y"], uniform(7)).mean(),
        lambda n: (lambda each: (each.mean(), each))(reflected_map(n["x"], n["y"])),
        lambda n: reflected_map(n["x"], n["y"]).mean((1, 2, 3)),
        lambda n: reflected_map(
            *(n[name].clamp(16, 235) for name in ("x255", "y255")),
            c1=(0.01 * 219) ** 2,
            c2=(0.03 * 219) ** 2,
        ).mean(),
        lambda n: decibels(squared_error(n["x"], n["y"]).mean()),
        lambda n: decibels(squared_error(n["x"], n["y"])),
    ),
    "piq": (
        lambda n: similarity(n["x"], n["y"]).mean(),
        lambda n: similarity(F.avg_pool2d(n["x"], 2), F.avg_pool2d(n["y"], 2)).mean(),
        lambda n: similarity(n["x"], n["y"]).mean((1, 2, 3)),
        lambda n: 1 - similarity(n["x"], n["y"]).mean(),
        lambda n: multiscale(n["x"].double(), n["y"].double()).mean(),
        lambda n: decibels(squared_error(n["x"], n["y"]) + 1e-8).mean(),
        lambda n: decibels(squared_error(n["x"], n["x"]) + 1e-8).mean(),
    ),
    "Kornia": (
        lambda n: reflected_map(n["x"], n["y"]),
        lambda n: similarity(n["x"], n["y"]),
        lambda n: of_eight_bits(n["x255"], n["y255"], gaussian(7)),
        lambda n: (1 - reflected_map(n["x"], n["y"], gaussian(5)).mean()) / 2,
        lambda n: charbonnier(n["x"], n["y"], 1.0) - 1,
        lambda n: decibels(squared_error(n["x"], n["y"]).mean()),
    ),
    "BasicSR": (
        lambda n: 0.5 * charbonnier(n["x"], n["y"], 1e-6).sum(),
        lambda n: charbonnier(n["x"], n["y"]).mean(),
        lambda n: 0.5 * (charbonnier(n["x"], n["y"]) * n["w"]).sum() / (3 * n["w"].double().sum()),
        lambda n: charbonnier(n["x"], n["y"], 1e-6).mean(),
        lambda n: (charbonnier(n["x"], n["y"]) * n["w"]).sum(),
        lambda n: decibels(squared_error(*cropped(n)), 255),
        lambda n: of_eight_bits(*cropped(n)).mean(),
        lambda n: decibels(squared_error(n["x"], n["y"]) + 1e-8),
        lambda n: similarity(n["x"], n["y"]).mean((1, 2, 3)),
    ),
    "MMagic": (
        lambda n: 0.5 * charbonnier(n["x"], n["y"], 1e-6).mean(),
        lambda n: (charbonnier(n["x"], n["y"]) * n["w"]).sum() / (3 * n["w"].double().sum()),
        lambda n: (
            (charbonnier(n["x"], n["y"]) * n["w"]).sum((1, 2, 3)) / (3 * n["w"].sum((1, 2, 3)))
        ).mean(),
        lambda n: decibels(squared_error(n["x255"][0], n["y255"][0]), 255),
        lambda n: of_eight_bits(n["x255"][0], n["y255"][0]).mean(),
    ),
    "LPIPS": (
        lambda n: perceptual(n, normalize=True),
        lambda n: perceptual({**n, "x": 2 * n["x"] - 1, "y": 2 * n["y"] - 1}, False).mean(),
    ),
    "Attention: PyTorch, flash-attention, NATTEN": (
        lambda n: softmax_attention(n, 1.0),
        lambda n: softmax_attention(n, 8**-0.5),
        lambda n: softmax_attention(n, 8**-0.5),
        lambda n: softmax_attention(n, 4**-0.5, heads=2),
        lambda n: softmax_attention({**n, "q": n["k"]}, 8**-0.5).mT.unflatten(2, (5, 9)),
    ),
}


def zeros_around(x, y):
    return similarity(F.pad(x, (5,) * 4), F.pad(y, (5,) * 4))


def cropped(n):
    return (n[name][0, :, 4:-4, 4:-4] for name in ("x8", "y8"))


def close(found, expected):
    found, expected = (
        tuple(torch.as_tensor(each).double() for each in (v if isinstance(v, tuple) else (v,)))
        for v in (found, expected)
    )
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("library", "there", "here"), ROWS, ids=[row[1] for row in ROWS])
def test_line(library, there, here):
    names = names_of(library)
    found, compared = eval(here, names), False
    if library in FORMULAS:
        rows = [row[0] for row in TABLES[library]]
        assert len(rows) == len(FORMULAS[library])
        close(found, FORMULAS[library][rows.index(there)](names))
        compared = True
    called = re.match(r"(?:1 - )?(\w+)", there)[1]
    if called in names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            close(found, eval(there, names))
        compared = True
    elif library in ALWAYS:
        pytest.skip(f"{called} is not installed")
    assert compared


@pytest.mark.parametrize(("call", "told"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(call, told):
    names = names_of("BD-rate")
    with pytest.raises((TypeError, ValueError)) as raised:
        eval(call, names)
    assert told in str(raised.value)


def test_every_library_has_its_table():
    assert all(TABLES.values()) and set(FORMULAS) | ALWAYS == set(TABLES)
    lines = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(lines) == len(ROWS) + len(REFUSED)


@pytest.mark.parametrize("module", ("SSIM", "MS_SSIM"))
def test_arguments_of_pytorch_msssim(module):
    """In their order, with their defaults; ours that it has not are given by name."""
    theirs = inspect.signature(getattr(pytest.importorskip("pytorch_msssim"), module))
    ours = inspect.signature(getattr(nn, module)).parameters.values()
    taken = {each.name: each.default for each in ours if each.kind is not each.KEYWORD_ONLY}
    assert list(taken.items()) == [(p.name, p.default) for p in theirs.parameters.values()]


def test_what_torchmetrics_takes_by_itself():
    """It does not look at ``kernel_size`` of a Gaussian, and takes the range of the values."""
    image = pytest.importorskip("torchmetrics.functional.image")
    theirs = image.structural_similarity_index_measure
    x, y = torch.rand(2, 1, 1, 40, 40).mul(0.5).unbind()
    assert theirs(x, y, data_range=1.0, kernel_size=5) == theirs(x, y, data_range=1.0)
    span = max((each.max() - each.min()).item() for each in (x, y))
    assert theirs(x, y) == theirs(x, y, data_range=span) != theirs(x, y, data_range=1.0)


def test_kornia_adds_to_the_denominator():
    metrics = pytest.importorskip("kornia.metrics")
    black = torch.zeros(1, 1, 16, 16)
    assert metrics.ssim(black, black, 11).mean().item() == pytest.approx(0.99999, abs=2e-6)
    assert nn.SSIM(1.0)(black, black) == 1
