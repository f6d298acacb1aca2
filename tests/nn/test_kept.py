"""What modules keep of their parameters: found again, and made anew when it must be."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad

import vqe_fast
from support.process_group import one_process
from vqe_fast.nn import QPModulatedConv2d, QPModulation
from vqe_fast.nn.kept import Kept, holding


@pytest.fixture
def modulation():
    torch.manual_seed(0)
    return QPModulation(4, 6).eval()


def fresh(modulation, qp):
    """The gains without anything kept."""
    return copy.deepcopy(modulation).gains(qp)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gains_of_a_number_are_kept(modulation, mode):
    with mode():
        first = modulation.gains(30)
        assert modulation.gains(30.0) is first
        assert modulation.gains(31) is not first
        assert torch.equal(first, fresh(modulation, 30))
        assert modulation.gains(torch.tensor(30)) is not first


def test_nothing_is_kept_with_gradients(modulation):
    assert modulation.gains(30) is not modulation.gains(30)
    with torch.no_grad():
        modulation.gains(30)
    modulation.gains(30).sum().backward()
    assert modulation.bias.grad.abs().sum() > 0


def step_of_training(module):
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()


def other_state(module):
    module.load_state_dict({name: value + 1 for name, value in module.state_dict().items()})


def other_parameter(module):
    module.bias = torch.nn.Parameter(module.bias + 1)


def other_memory(module):
    module.bias.data = module.bias.data + 1


@torch.no_grad()
@pytest.mark.parametrize(
    "change",
    [step_of_training, other_state, other_parameter, other_memory, lambda module: module.double()],
    ids=["step", "state", "parameter", "memory", "dtype"],
)
def test_changed_parameters_are_noticed(modulation, change):
    conv = QPModulatedConv2d(6, 2, 3).eval()
    features = torch.rand(1, 6, 5, 5)
    before = modulation.gains(30)
    conv(features, before)
    change(modulation)
    change(conv)
    after = modulation.gains(30)
    assert not torch.equal(after, before)
    assert torch.equal(after, fresh(modulation, 30))
    features = features.to(conv.weight.dtype)
    assert torch.equal(conv(features, after), copy.deepcopy(conv)(features, after))


@torch.no_grad()
def test_what_was_changed_by_its_taker_is_not_given_again(modulation):
    expected = modulation.gains(30).clone()
    modulation.gains(30).mul_(2)
    assert torch.equal(modulation.gains(30), expected)


@torch.no_grad()
def test_autocast_and_backend_make_their_own(modulation):
    modulation.bfloat16()
    kept = modulation.gains(30)
    with torch.autocast("cpu", torch.bfloat16):
        assert modulation.gains(30).dtype == torch.float32
    with vqe_fast.backend("reference"):
        assert modulation.gains(30) is not kept
    assert modulation.gains(30) is kept


@torch.no_grad()
def test_parameters_that_fsdp_gathers(modulation):
    """Into the same memory, without another version."""
    with one_process():
        before = modulation.gains(30).clone()
        with torch.autograd._unsafe_preserve_version_counter(modulation.bias):
            modulation.bias.add_(1)
        assert not torch.equal(modulation.gains(30), before)


@torch.no_grad()
def test_parameters_with_tangents(modulation):
    """Whose memory is that of parameters without."""
    features = torch.ones(1, 6, 1, 1)
    expected = modulation(features, 30)
    with forward_ad.dual_level():
        duals = {
            name: forward_ad.make_dual(parameter.detach(), torch.ones_like(parameter))
            for name, parameter in modulation.named_parameters()
        }
        result = torch.func.functional_call(modulation, duals, (features, 30))
        assert forward_ad.unpack_dual(result).tangent.abs().sum() > 0
    assert torch.equal(modulation(features, 30), expected)


def test_parameters_without_versions():
    """Those of inference mode may change unnoticed."""
    with torch.inference_mode():
        module = QPModulation(4, 6)
        before = module.gains(30).clone()
        module.bias.add_(1)
        assert not torch.equal(module.gains(30), before)


@torch.no_grad()
def test_gains_of_inference_mode():
    conv = QPModulatedConv2d(6, 2, 3).eval()
    features = torch.rand(1, 6, 5, 5)
    with torch.inference_mode():
        gains = torch.rand(1, 6)
        before = conv(features, gains)
        gains.mul_(2)
        assert not torch.equal(conv(features, gains), before)


@torch.no_grad()
def test_modes_that_make_other_tensors_leave_nothing(modulation):
    with FakeTensorMode(allow_non_fake_inputs=True):
        modulation.gains(30)
    assert type(modulation.gains(30)) is torch.Tensor


@torch.no_grad()
def test_parameters_of_a_functional_call(modulation):
    """Other tensors in their place, for one call."""
    kept = modulation.gains(30)
    others = {name: parameter + 1 for name, parameter in modulation.named_parameters()}
    features = torch.ones(1, 6, 1, 1)
    changed = torch.func.functional_call(modulation, others, (features, 30))
    assert not torch.equal(changed.flatten(), kept.flatten())
    assert torch.equal(modulation(features, 30).flatten(), kept.flatten())


@torch.no_grad()
def test_copies_begin_with_nothing(modulation):
    kept = modulation.gains(30)
    keys = set(modulation.state_dict())
    assert keys == {"weight", "bias"}
    for twin in (copy.deepcopy(modulation), pickle.loads(pickle.dumps(modulation))):
        assert twin.gains(30) is not kept and torch.equal(twin.gains(30), kept)
    shared = copy.deepcopy(modulation, {id(each): each for each in modulation.parameters()})
    modulation.bias.add_(1)
    assert torch.equal(shared.gains(30), modulation.gains(30))


def test_the_last_few_are_kept():
    kept, source, made = Kept(2), torch.zeros(1), []

    def get(key):
        def make():
            made.append(key)
            return source + key

        assert kept.get(key, (source,), make).item() == key

    with torch.no_grad():
        for key in (1, 2, 1, 3, 1, 2):
            get(key)
    assert made == [1, 2, 3, 2]


@torch.no_grad()
def test_what_is_taken_can_be_held(modulation):
    kept = modulation.gains(30)
    with holding() as taken:
        modulation.gains(30)
        modulation.gains(31)
    modulation.gains(32)
    assert taken[0] is kept and taken[1] is modulation.gains(31) and len(taken) == 2


def test_two_threads_and_one_module(modulation):
    conv = QPModulatedConv2d(6, 2, 3).eval()
    features = torch.rand(1, 6, 5, 5)

    @torch.inference_mode()
    def run(qp):
        return conv(features, modulation.gains(qp)).clone()

    expected = {qp: copy.deepcopy(conv)(features, fresh(modulation, qp)) for qp in range(22, 62)}
    with ThreadPoolExecutor(2) as pool:
        for qp, result in zip(list(expected) * 20, pool.map(run, list(expected) * 20), strict=True):
            torch.testing.assert_close(result, expected[qp], rtol=0, atol=1e-6)


@torch.no_grad()
def test_compiled_after_it_was_kept(modulation):
    """The graph has the parameters, not what was kept."""
    modulation.gains(30)
    compiled = torch.compile(modulation, backend="aot_eager", fullgraph=True)
    features = torch.rand(1, 6, 2, 2)
    before = compiled(features, 30)
    modulation.bias.add_(1)
    torch.testing.assert_close(compiled(features, 30), modulation(features, 30))
    assert not torch.equal(compiled(features, 30), before)
