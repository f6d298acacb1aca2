"""Writes docs/options.md: the options of an enhancement, from where they are defined.

Run: ``make options``.
"""

from pathlib import Path

from vqe_fast.video.options import GROUPS, all_options

TARGET = Path(__file__).parents[1] / "docs" / "options.md"

_HEAD = """# Options of an enhancement

Made by `make options` from `vqe_fast/video/options.py`, where each option is defined once. On the
command line `clip_frames=24` is `--clip-frames 24`. What decides the frames must be the same when
a run is resumed.
"""


def page():
    """The text of the page."""
    lines = [_HEAD]
    for wanted in GROUPS:
        lines += [f"## {wanted.__doc__.strip().rstrip('.')}", ""]
        lines += ["| option | default | meaning | decides the frames |", "|---|---|---|---|"]
        lines += [
            f"| `{each.name}` | {_default(each)} | {_meaning(about)} | "
            f"{'yes' if about.decides_frames else 'no'} |"
            for group, each, about in all_options()
            if group is wanted
        ]
        lines.append("")
    return "\n".join(lines)


def _default(each):
    return "–" if each.default is None else f"`{each.default}`"


def _meaning(about):
    bounds = [
        f"{word} {value:g}"
        for word, value in (("at least", about.least), ("at most", about.most))
        if value is not None and f"at least {value:g}" not in about.doc
    ]
    told = about.doc.replace("``", "`").rstrip(".")
    return told[0].upper() + told[1:] + "".join(f"; {bound}" for bound in bounds)


if __name__ == "__main__":
    TARGET.write_text(page())
