"""BasicVSR for tests: small, with every weight random, and in plain PyTorch."""

import torch
from torch import nn
from torch.nn import functional

from vqe_fast.models import flow_warp


def randomised(model, std=0.05, seed=0):
    """Makes random what starts at zero; motion comes out as a pixel or so."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.any():
            for parameter in module.parameters():
                nn.init.normal_(parameter, std=std, generator=generator)
    return model.eval()


def plain_flow(spynet, reference, other):
    """SPyNet, one direction at a time."""
    height, width = reference.shape[-2:]
    size = (height + -height % 32, width + -width % 32)
    levels = []
    for frames in (reference, other):
        frames = functional.interpolate(frames, size, mode="bilinear", align_corners=False)
        images = [(frames - spynet.mean) / spynet.std]
        for _ in range(5):
            images.insert(0, functional.avg_pool2d(images[0], 2))
        levels.append(images)
    flow = torch.zeros_like(levels[0][0][:, :2])
    for i, level in enumerate(spynet.levels):
        if i > 0:
            flow = functional.interpolate(flow, None, 2, "bilinear", align_corners=True) * 2
        hidden = torch.cat((levels[0][i], flow_warp(levels[1][i], flow, "border"), flow), 1)
        for conv in level.convs[:-1]:
            hidden = functional.relu(conv(hidden))
        flow = flow + level.convs[-1](hidden)
    flow = functional.interpolate(flow, (height, width), mode="bilinear", align_corners=False)
    return torch.stack((flow[:, 0] * width / size[1], flow[:, 1] * height / size[0]), 1)


def plain_propagation(trunk, spynet, frames):
    """Features of each frame, running from the first to the last."""
    features = torch.zeros_like(frames[0][:, :1]).expand(-1, trunk.head.out_channels, -1, -1)
    result = []
    for i, frame in enumerate(frames):
        if i > 0:
            features = flow_warp(features, plain_flow(spynet, frame, frames[i - 1]))
        features = functional.leaky_relu(trunk.head(torch.cat((frame, features), 1)), 0.1)
        for block in trunk.blocks:
            features = features + block.second(functional.relu(block.first(features)))
        result.append(features)
    return result


def plain_basicvsr(model, clip):
    """BasicVSR from its definition, frame by frame and pair by pair."""
    frames = list(clip.unbind(1))
    backward = plain_propagation(model.backward_trunk, model.spynet, frames[::-1])[::-1]
    forward = plain_propagation(model.forward_trunk, model.spynet, frames)
    result = []
    for frame, *both in zip(frames, backward, forward, strict=True):
        features = functional.leaky_relu(model.fusion(torch.cat(both, 1)), 0.1)
        for conv in model.upsample:
            features = functional.leaky_relu(functional.pixel_shuffle(conv(features), 2), 0.1)
        residual = model.conv_last(functional.leaky_relu(model.conv_hr(features), 0.1))
        base = functional.interpolate(frame, scale_factor=model.scale, mode="bilinear")
        result.append(base + residual)
    return torch.stack(result, 1)
