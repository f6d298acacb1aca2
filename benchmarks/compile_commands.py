"""``make compile-commands``: how each source of csrc is compiled, for editors.

Run: ``python benchmarks/compile_commands.py``. It asks ``setup.py``, builds nothing, and leaves
``compile_commands.json`` in the checkout, where clangd looks for it; headers are compiled as the
sources beside them. Sources in CUDA C++ are in it where there is nvcc, as clang reads them.
"""

import json
import os
import runpy
import shutil
import sysconfig
from pathlib import Path

import setuptools

ROOT = Path(__file__).resolve().parents[1]


def command(extension, source):
    """The compiler's options for a source of an extension."""
    options = extension.extra_compile_args
    options = options["cxx"] if isinstance(options, dict) else options
    folders = [*extension.include_dirs, sysconfig.get_path("include")]
    macros = [f"-D{name}={value}" for name, value in extension.define_macros]
    start = os.environ.get("CXX", "c++").split()
    if source.endswith(".cu"):
        toolkit = next(Path(folder).parent for folder in folders if _has_cuda(folder))
        start = ["clang++", "-x", "cuda", f"--cuda-path={toolkit}", "--cuda-gpu-arch=sm_80"]
        start += ["-nocudalib", "-Wno-unknown-cuda-version"]
    return [*start, *options, *macros, *(f"-I{folder}" for folder in folders), "-c", source]


def _has_cuda(folder):
    return Path(folder, "cuda_runtime.h").exists()


def main():
    """Writes the file."""
    os.chdir(ROOT)
    if shutil.which("nvcc"):
        os.environ["FORCE_CUDA"] = "1"
    keywords = {}
    setuptools.setup = keywords.update
    runpy.run_path("setup.py")
    entries = [
        {"directory": str(ROOT), "file": source, "arguments": command(extension, source)}
        for extension in keywords["ext_modules"]
        for source in extension.sources
    ]
    (ROOT / "compile_commands.json").write_text(json.dumps(entries, indent=1) + "\n", "utf-8")
    print(f"compile_commands.json: {len(entries)} sources")


if __name__ == "__main__":
    main()
