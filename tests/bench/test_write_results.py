"""The page of what the weights that ship gain."""

import re

import pytest
import write_results

from support.media import write_clip


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Where it writes, and less to measure."""
    docs, work = tmp_path / "docs", tmp_path / "work"
    docs.mkdir()
    monkeypatch.setattr(write_results, "DOCS", docs)
    monkeypatch.setattr(write_results, "WORK", work)
    monkeypatch.setattr(write_results, "MODELS", ["galteri_very_fast"])
    qp_37 = [{"codec": "libx264", "mode": "qp", "values": [37]}]
    monkeypatch.setattr(write_results, "CODECS", qp_37)

    def demonstrate(folder):
        folder.mkdir()
        (folder / "before_after.png").write_bytes(b"a picture")

    monkeypatch.setattr(write_results, "demonstrate", demonstrate)
    return docs


def test_page(places, tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    write_clip(clips / "a.mkv", codec="ffv1", size=(64, 48), frames=3)
    write_results.main(clips, 3)
    page = (places / "results.md").read_text("utf-8")
    assert page.startswith("# Results\n") and "{" not in page
    for title in ("by codec", "Means", "Quality over time", "CAR-CNN", "PeQuENet", "Conditions"):
        assert re.search(f"^## .*{title}", page, re.MULTILINE), title
    assert "| galteri_very_fast |" in page and "frames/s" not in page
    assert page.count("worst clip's ΔPSNR") == page.count("ΔPSNR of chroma |") == 1
    pictures = set(re.findall(r"\]\((results/[\w.]+)\)", page))
    assert pictures == {f"results/{path.name}" for path in (places / "results").iterdir()}
    assert len(pictures) == 3
