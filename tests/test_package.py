import json
import subprocess
import sys

import pytest

import vqe_fast
from support.contract import ISA_LEVELS


def python(code, **options):
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_importing_the_package_is_light():
    """Nothing heavy is loaded before it is asked for, not even torch."""
    run = python("import sys, vqe_fast; print([m for m in sys.modules if '.' not in m])")
    assert run.returncode == 0, run.stderr
    assert not {"torch", "av", "triton", "matplotlib", "typer"} & set(eval(run.stdout))


def test_operators_need_no_video_and_no_gpu_kernels():
    run = python("import sys, vqe_fast.ops, vqe_fast.nn; print([*sys.modules])")
    assert run.returncode == 0, run.stderr
    assert not {"av", "matplotlib", "vqe_fast.kernels"} & set(eval(run.stdout))


def test_reading_qps_needs_no_torch():
    """``vqe-fast inspect`` answers at once."""
    code = "import sys, vqe_fast.cli.app, vqe_fast.inspection.inspect, vqe_fast.inspection.table"
    run = python(f"{code}; print([*sys.modules])")
    assert run.returncode == 0, run.stderr
    assert not {"torch", "matplotlib"} & set(eval(run.stdout))


def test_calling_operators_needs_no_compiler():
    """Importing it takes longer than importing torch."""
    run = python("import sys, vqe_fast.models, vqe_fast.video.enhance; print([*sys.modules])")
    assert run.returncode == 0, run.stderr
    assert "torch._dynamo" not in eval(run.stdout)


@pytest.mark.parametrize("name", vqe_fast.__all__)
def test_every_public_name_is_there(name):
    assert getattr(vqe_fast, name) is not None
    assert name in dir(vqe_fast)


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="has no attribute 'enhance_vidoe'"):
        _ = vqe_fast.enhance_vidoe


def test_info_is_complete_and_json():
    """What people paste into a bug report."""
    facts = json.loads(json.dumps(vqe_fast.info()))
    assert facts["vqe_fast"] == vqe_fast.__version__
    assert facts["packages"].keys() >= {"torch", "av", "numpy", "triton"}
    assert facts["built"]["cpu_library"] == "loaded"
    assert facts["built"]["torch_target"] == "2.10"
    assert facts["cpu"]["isa"] in ISA_LEVELS
    assert facts["operators"]["charbonnier"]["cpu"] == "c++"


def test_info_tells_why_an_operator_runs_on_the_reference():
    with vqe_fast.backend("reference"):
        backends = vqe_fast.info()["operators"]["charbonnier"]
    assert backends["cpu"] == "reference (backend 'reference' is asked for)"


def test_unknown_backend():
    with (
        pytest.raises(ValueError, match="backend must be one of auto, reference; got 'tritn'"),
        vqe_fast.backend("tritn"),
    ):
        pass


def test_backend_of_the_environment():
    code = "import vqe_fast; print(vqe_fast.info()['operators']['charbonnier']['cpu'])"
    run = python(code, env={"VQE_FAST_BACKEND": "reference"})
    assert run.stdout.strip() == "reference (backend 'reference' is asked for)"
    run = python("import vqe_fast; vqe_fast.backend", env={"VQE_FAST_BACKEND": "fast"})
    assert "backend must be one of auto, reference; got 'fast'" in run.stderr
