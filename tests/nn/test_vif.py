"""VIF: against libvmaf's feature of the same name, and what it must and must not reward."""

import json
import subprocess

import pytest
import torch
from torch.nn import functional as F

from vqe_fast.nn.vif import contrast_loss, vif_loss

SIZE = 160


def pair():
    """A picture of 8 bits with detail, and the same blurred and noisy, (1, 1, H, W) in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    coarse = 40 + 170 * torch.rand(1, 1, SIZE // 16, SIZE // 16, generator=generator)
    smooth = F.interpolate(coarse, SIZE, mode="bicubic")
    detail = 24 * torch.randn(1, 1, SIZE, SIZE, generator=generator)
    original = (smooth + F.avg_pool2d(F.pad(detail, (1, 1, 1, 1)), 3, 1)).clamp(0, 255).round()
    blurred = F.avg_pool2d(F.pad(original, (1, 1, 1, 1), mode="reflect"), 3, 1)
    noisy = blurred + 3 * torch.randn(1, 1, SIZE, SIZE, generator=generator)
    return noisy.clamp(0, 255).round() / 255, original / 255


def scales_of_libvmaf(images, folder):
    """VIF at four scales of (restored, original), by FFmpeg."""
    package = pytest.importorskip(
        "imageio_ffmpeg", reason="imageio-ffmpeg has libvmaf: pip install imageio-ffmpeg"
    )
    inputs = []
    for number, image in enumerate(images):
        path = folder / f"{number}.gray"
        path.write_bytes((255 * image).round().byte().numpy().tobytes())
        inputs += ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{SIZE}x{SIZE}", "-i", path.name]
    planes = ";".join(f"[{number}]format=yuv420p[p{number}]" for number in range(2))
    graph = f"{planes};[p0][p1]libvmaf=feature='name=float_vif':log_fmt=json:log_path=vif.json"
    command = [package.get_ffmpeg_exe(), "-v", "error", *inputs, "-lavfi", graph, "-f", "null", "-"]
    subprocess.run(command, check=True, cwd=folder)
    (frame,) = json.loads((folder / "vif.json").read_text("utf-8"))["frames"]
    return [frame["metrics"][f"vif_scale{number}"] for number in range(4)]


def test_it_is_libvmafs(tmp_path):
    """But for borders, where libvmaf mirrors and ours looks only at what is there."""
    images = pair()
    expected = sum(scales_of_libvmaf(images, tmp_path)) / 4
    assert 0.5 < expected < 0.95
    assert 1 - vif_loss(*images, gain_limit=100).item() == pytest.approx(expected, abs=0.02)


def test_what_it_rewards():
    """Nothing but the original's own detail: no blur, no noise, no contrast beyond it."""
    worse, original = pair()
    assert vif_loss(original, original).item() == pytest.approx(0, abs=1e-5)
    strong = 0.5 + 1.2 * (original - 0.5)
    assert vif_loss(strong, original) == pytest.approx(0, abs=1e-3)
    assert vif_loss(strong, original, gain_limit=100) < -0.02
    assert vif_loss(0.5 + 0.8 * (original - 0.5), original) > 0.02
    assert vif_loss(worse, original) > 0.05


def test_channels_and_gradients():
    worse, original = pair()
    coloured = torch.cat([worse, 1 - worse, worse.mT], dim=1)
    others = original.expand(-1, 3, -1, -1)
    torch.testing.assert_close(vif_loss(coloured, others, channels=1), vif_loss(worse, original))
    flat = torch.full_like(original, 0.5).requires_grad_()
    vif_loss(flat, flat.detach().clone()).backward()
    assert flat.grad.isfinite().all()
    moved = worse.clone().requires_grad_()
    loss = vif_loss(moved, original)
    loss.backward()
    assert vif_loss(moved.detach() - 0.5 * moved.grad, original) < loss


def test_small_images_are_refused():
    with pytest.raises(ValueError, match="at least 44×44"):
        vif_loss(torch.rand(1, 1, 43, 64), torch.rand(1, 1, 43, 64))


def test_contrast():
    """What lacks of it, at every scale alike; neither noise nor more of it is a loss."""
    _, original = pair()
    for factor in (0.0, 0.5, 1.0, 1.5):
        found = contrast_loss(0.5 + factor * (original - 0.5), original)
        assert found.item() == pytest.approx(max(0.0, 1 - factor), abs=1e-3)
    coloured = torch.cat([0.5 * original, original, original], dim=1)
    others = original.expand(-1, 3, -1, -1)
    assert contrast_loss(coloured, others, channels=1).item() == pytest.approx(0.5, abs=1e-3)
    moved = (0.7 * original).requires_grad_()
    contrast_loss(moved, original).backward()
    assert moved.grad.isfinite().all() and moved.grad.abs().sum() > 0
