import pytest
import torch

from vqe_fast import create_model, nn
from vqe_fast.models import load_published, spec_of
from vqe_fast.models.pequenet import CONFIGURATIONS
from vqe_fast.weights import WeightsError


def randomised(**options):
    """A model whose output depends visibly on everything that goes in."""
    torch.manual_seed(0)
    model = create_model("pequenet", **options)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 4 and not name.startswith("vgg"):
            torch.nn.init.kaiming_normal_(parameter)
            # Attention neither to everything nor to one position.
            parameter.data *= 6 if "attention" in name else 0.6
    return model.eval()


@pytest.fixture(scope="module")
def model():
    return randomised()


def clip(batch=1, height=35, width=52, length=3):
    generator = torch.Generator().manual_seed(height)
    return torch.rand(batch, length, 1, height, width, generator=generator)


def test_size_of_the_papers_network(model):
    """Table VIII; and with VGG19 as far as it is used."""
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained == 26_329_281
    assert sum(p.numel() for p in model.parameters()) == 46_353_665
    assert spec_of(model).takes_qp and spec_of(model).temporal_radius == 1


@torch.no_grad()
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_configurations(configuration):
    """Each depends on what Table VI says it has, and on nothing else."""
    model = randomised(configuration=configuration)
    chosen = CONFIGURATIONS[configuration]
    frames = clip()
    enhanced = model(frames, 32 if chosen.qp_adaptation else None)
    assert enhanced.shape == (1, 1, 35, 52) and enhanced.std() > 1e-3
    assert spec_of(model).takes_qp == chosen.qp_adaptation == (configuration != "A")
    blocks = [m for m in model.modules() if isinstance(m, nn.CrossFrameAttention)]
    assert len(blocks) == len(chosen.attention_blocks)
    for index, has in ((0, configuration >= "C"), (2, configuration >= "G")):
        changed = frames.clone()
        changed[:, index] = 1 - changed[:, index]
        same = torch.equal(model(changed, 32 if chosen.qp_adaptation else None), enhanced)
        assert same != has


@torch.no_grad()
def test_stream_is_the_clip(model):
    """Each frame between its neighbours, the ends between themselves; VGG19 sees each once."""
    frames, seen = clip(length=4), []
    expected = []
    for t in range(4):
        window = frames[:, [max(t - 1, 0), t, min(t + 1, 3)]]
        expected.append(model(window, 30 + t))
    hook = model.vgg.register_forward_pre_hook(lambda *_: seen.append(1))
    stream = model.stream()
    for _ in range(2):
        pushed = [stream.push(frames[:, t], 30 + t) for t in range(4)]
        assert pushed[0] is None
        torch.testing.assert_close(
            torch.stack([*pushed[1:], stream.flush()]), torch.stack(expected)
        )
    hook.remove()
    assert len(seen) == 8 and stream.flush() is None


@torch.no_grad()
def test_columns(model):
    """As in the released inference, each column is a video of its own; its QPs are too."""
    columns = randomised(attention="columns")
    frames = clip(1, 16, 700)
    qp = torch.randint(22, 38, (1, 4, 7))
    actual = columns(frames, 37)
    for start, end in ((0, 320), (320, 640), (640, 700)):
        part = frames[..., start:end]
        torch.testing.assert_close(actual[..., start:end], model(part, 37))
    by_map = columns(frames, qp)
    full = qp.repeat_interleave(100, 2)
    torch.testing.assert_close(
        by_map[..., 320:640], model(frames[..., 320:640], full[..., 320:640])
    )
    assert columns(clip(1, 16, 330), 37).shape == (1, 1, 16, 330)


@torch.no_grad()
def test_forms_of_a_qp(model):
    """A number, one a frame, a map of blocks; between the table's rows."""
    frames = clip(2)
    expected = model(frames, 37)
    for qp in (37.0, torch.tensor(37), torch.tensor([37, 37]), torch.full((2, 3, 4), 37.0)):
        torch.testing.assert_close(model(frames, qp), expected, rtol=1e-3, atol=1e-5)
    between = model(frames, 34.5)
    assert not torch.allclose(between, expected, atol=1e-4)
    two = model(frames, torch.tensor([37, 34.5]))
    torch.testing.assert_close(two[0], expected[0], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(two[1], between[1], rtol=1e-3, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("scale", (3, 4, 5))
def test_attention_maps(model, scale):
    """Rows of the softmax: with them the values give what attention finds."""
    frames, pixels = clip(1, 48, 64), [(0, 0), (17, 40), (47, 63)]
    maps = model.attention_maps(frames, pixels, scale)
    assert list(maps) == ["previous", "following"]
    tap, step = {3: (2, 4), 4: (3, 8), 5: (4, 16)}[scale]
    features = [model.features(frame)[0][tap] for frame in frames.unbind(1)]
    for name, reference in (("previous", features[0]), ("following", features[2])):
        weights = maps[name]
        assert weights.shape == (1, 3, 48 // step, 64 // step)
        torch.testing.assert_close(weights.sum((2, 3)), torch.ones(1, 3))
        found = model.branches[name].attention[str(scale)](features[1], reference)
        for index, (row, column) in enumerate(pixels):
            expected = (weights[:, index, None] * reference).sum((2, 3))
            torch.testing.assert_close(
                found[..., row // step, column // step], expected, rtol=1e-4, atol=1e-4
            )


def test_downsampled_attention():
    """Section IV-G-1: another result of the same size, from the same weights."""
    frames = clip(1, 48, 67)
    coarse = randomised(attention_downsample=2)
    with torch.no_grad():
        enhanced = coarse(frames, 30)
        assert enhanced.shape == (1, 1, 48, 67)
        assert not torch.allclose(enhanced, randomised()(frames, 30), atol=1e-5)
    maps = coarse.attention_maps(frames, [(47, 60)])
    assert maps["previous"].shape == (1, 1, 6, 8)


def test_gradients():
    """Everything that is trained learns; VGG19 does not."""
    model = randomised().train()
    model(clip(1, 32, 32), 27).square().mean().backward()
    for name, parameter in model.named_parameters():
        if name.startswith("vgg"):
            assert parameter.grad is None
        else:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def published_keys(head="QENet"):
    """The keys of a checkpoint of the authors' code → ours, spelt out."""
    groups = {"1_1": (0,), "2_1": (2, 5), "3_1": (7, 10), "4_1": (12, 14, 16, 19)}
    groups |= {"5_1": (21, 23, 25, 28), "5_4": (30, 32, 34)}
    pairs = {
        f"features.to_relu_{tap}.{layer}": f"vgg.features.{layer}"
        for tap, layers in groups.items()
        for layer in layers
    }
    for theirs, ours in (("minus", "previous"), ("plus", "following")):
        for scale in (3, 4, 5):
            pairs[f"att{scale}_{theirs}.proj_tgt"] = f"branches.{ours}.attention.{scale}.query"
            pairs[f"att{scale}_{theirs}.proj_ref"] = f"branches.{ours}.attention.{scale}.key"
        for number in (4, 3, 2, 1):
            block = f"branches.{ours}.decoder.{4 - number}"
            pairs[f"dec{number}_{theirs}.conv1"] = f"{block}.before"
            pairs[f"dec{number}_{theirs}.conv2"] = f"{block}.after"
    for theirs, ours in (
        ("fc.0", "modulation"),
        ("in_conv", "input"),
        ("hid_conv1", "hidden.0"),
        ("hid_conv2", "hidden.1"),
        ("out_conv", "output"),
    ):
        pairs[f"{head}.{theirs}"] = f"head.{ours}"
    return {f"{a}.{kind}": f"{b}.{kind}" for a, b in pairs.items() for kind in ("weight", "bias")}


@pytest.mark.parametrize("wrapped", (False, True))
@pytest.mark.parametrize("head", ("QENet", "QPNet"))
def test_published_keys(model, head, wrapped):
    """A checkpoint of the authors' code loads strictly, of one GPU or of several; the head has one
    name in network_PeQuENet_QPAdaptation.py since January 2022, and another before."""
    own = model.state_dict()
    names = published_keys(head)
    assert sorted(names.values()) == sorted(own)
    prefix = "module." if wrapped else ""
    state = {prefix + theirs: own[ours] for theirs, ours in names.items()}
    loaded = create_model("pequenet").eval()
    load_published(loaded, {"state_dict": state} if wrapped else state)
    frames = clip()
    with torch.no_grad():
        assert torch.equal(loaded(frames, 37), model(frames, 37))


def test_another_configurations_checkpoint():
    """What does not fit is named as the file names it."""
    names, own = published_keys(), create_model("pequenet", configuration="F").state_dict()
    state = {theirs: own[ours] for theirs, ours in names.items() if ours in own}
    with pytest.raises(WeightsError, match=r"lacks att3_plus\.proj_ref\.bias, .* and 9 more"):
        load_published(create_model("pequenet"), state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"configuration": "J"}, "configuration must be one of A, B.*; got 'J'"),
        ({"attention": "rows"}, "attention must be exact or columns, got 'rows'"),
        ({"branches": ["next"]}, "branches must be some of previous, following"),
        ({"branches": []}, "branches must be some of"),
        ({"attention_blocks": [0]}, "attention_blocks must be some of 1 to 6"),
        ({"branches": ["previous"]}, "attention block 2 belongs to the branch 'following'"),
        ({"alignment": "dcn"}, "alignment must be one of attention, deformable, flow; got 'dcn'"),
        ({"alignment": "flow", "attention_downsample": 2}, "attention_downsample must be 1"),
        ({"attention_downsample": 0}, "downsample must be a whole number of at least 1"),
        ({"qps": (37, 22)}, "qps must be strictly ascending"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        create_model("pequenet", **options)


def test_wrong_arguments(model):
    for call, message in (
        (lambda: model(clip()[:, :2], 37), r"frames must be \(B, 3, 1, H, W\), got \(1, 2, 1"),
        (lambda: model(clip()), "qp must be given"),
        (lambda: model(clip(1, 15, 40), 37), "at least 16×16, got 15×40"),
        (lambda: model(clip(), 64), "qp must be a finite number in 0 to 63"),
        (lambda: model.features(torch.zeros(1, 3, 32, 32)), r"luma must be \(B, 1, H, W\)"),
        (lambda: model.attention_maps(clip(), [(35, 0)]), "positions must lie in 8×13"),
        (lambda: model.attention_maps(clip(), [(0, 0)], 2), "attends to nothing at scale 2"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
