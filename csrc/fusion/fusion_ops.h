// The fusion operators around the kernels of a device: what they check, allocate and hand on.
#pragma once

#include <algorithm>
#include <tuple>
#include <vector>

#include "common/tensor.h"
#include "fusion/box.h"
#include "fusion/fusion.h"

namespace vqe_fast {

// Where gradients go; null for one that nobody asked for.
struct FusionGradients {
  Tensor *detail, *smooth;
};

// Device has, for frames of type T: variance(frames, neighbours, radius, map, bounds),
// variance_backward(grad_output, frames, radius, gradient), fuse(detail, smooth, variance, bounds,
// sharpening, output), fuse_backward(grad_output, variance, bounds, sharpening, gradients),
// unsharp(frames, sharpening, output), and new_empty(like, sizes, type).
template <typename Device>
struct FusionOps {
  static ScalarType computed_type(const Tensor& frames) {
    return frames.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
  }

  static void check_radius(int64_t radius) {
    STD_TORCH_CHECK(0 <= radius && radius <= kMaxRadius, "radius must be 0 to ", kMaxRadius,
                    ", got ", radius);
  }

  // Whether two tensors of one shape and dtype are the same memory.
  static bool are_same(const Tensor& one, const Tensor& other) {
    bool same = one.const_data_ptr() == other.const_data_ptr();
    for (int i = 0; i < one.dim() && same; ++i) {
      same = one.stride(i) == other.stride(i);
    }
    return same;
  }

  static Sharpening<double> sharpening_of(double amount, const std::vector<double>& taps,
                                          bool transposed) {
    const auto size = static_cast<int64_t>(taps.size());
    STD_TORCH_CHECK(size % 2 == 1 && size <= kMaxTaps, "there must be an odd number of taps, 1 to ",
                    kMaxTaps, ", got ", size);
    Sharpening<double> sharpening{amount, size, {}, transposed};
    std::copy(taps.begin(), taps.end(), sharpening.taps);
    return sharpening;
  }

  static std::tuple<Tensor, Tensor> local_variance(const Tensor& frames,
                                                   const std::vector<Tensor>& neighbours,
                                                   int64_t radius) {
    check_radius(radius);
    STD_TORCH_CHECK(neighbours.size() <= kMaxNeighbours, "there must be at most ", kMaxNeighbours,
                    " neighbours, got ", neighbours.size());
    std::vector<Tensor> others;
    for (const Tensor& neighbour : neighbours) {
      bool alike = neighbour.scalar_type() == frames.scalar_type() && neighbour.dim() == 4 &&
                   neighbour.get_device_index() == frames.get_device_index();
      for (int i = 0; i < 4 && alike; ++i) {
        alike = neighbour.size(i) == frames.size(i);
      }
      STD_TORCH_CHECK(alike, "neighbours must have the shape, dtype and device of the frames");
      if (!are_same(neighbour, frames)) {
        others.push_back(neighbour);
      }
    }
    const auto type = computed_type(frames);
    Tensor map =
        Device::new_empty(frames, {frames.size(0), 1, frames.size(2), frames.size(3)}, type);
    Tensor bounds = torch::stable::new_empty(frames, {frames.size(0), 2}, type);
    THO_DISPATCH_V2(frames.scalar_type(), "local_variance", AT_WRAP([&] {
                      Device::template variance<scalar_t>(frames, others, radius, map, bounds);
                    }),
                    VQE_FAST_FLOAT_TYPES);
    return {map, bounds};
  }

  static Tensor local_variance_backward(const Tensor& grad_output, const Tensor& frames,
                                        int64_t radius) {
    check_radius(radius);
    const Tensor grads = torch::stable::contiguous(grad_output);
    Tensor gradient = Device::new_empty(frames, frames.sizes(), computed_type(frames));
    THO_DISPATCH_V2(frames.scalar_type(), "local_variance_backward", AT_WRAP([&] {
                      Device::template variance_backward<scalar_t>(grads, frames, radius, gradient);
                    }),
                    VQE_FAST_FLOAT_TYPES);
    return gradient;
  }

  static Tensor astf_fuse(const Tensor& detail, const Tensor& smooth, const Tensor& variance,
                          const Tensor& bounds, double amount, const std::vector<double>& taps) {
    const auto sharpening = sharpening_of(amount, taps, false);
    const Tensor map = torch::stable::contiguous(variance);
    const Tensor limits = torch::stable::contiguous(bounds);
    Tensor output = Device::new_empty(detail, detail.sizes(), detail.scalar_type());
    THO_DISPATCH_V2(detail.scalar_type(), "astf_fuse", AT_WRAP([&] {
                      Device::template fuse<scalar_t>(detail, smooth, map, limits, sharpening,
                                                      output);
                    }),
                    VQE_FAST_FLOAT_TYPES);
    return output;
  }

  static std::tuple<Tensor, Tensor> astf_fuse_backward(const Tensor& grad_output,
                                                       const Tensor& variance, const Tensor& bounds,
                                                       double amount,
                                                       const std::vector<double>& taps,
                                                       const std::vector<bool>& needed) {
    STD_TORCH_CHECK(needed.size() == 2, "astf_fuse_backward takes 2 needs");
    const auto sharpening = sharpening_of(amount, taps, true);
    const Tensor map = torch::stable::contiguous(variance);
    const Tensor limits = torch::stable::contiguous(bounds);
    const auto gradient = [&](bool asked) {
      const auto type = grad_output.scalar_type();
      return asked ? Device::new_empty(grad_output, grad_output.sizes(), type)
                   : torch::stable::new_empty(grad_output, {0}, type);
    };
    Tensor of_detail = gradient(needed[0]), of_smooth = gradient(needed[1]);
    const FusionGradients gradients{needed[0] ? &of_detail : nullptr,
                                    needed[1] ? &of_smooth : nullptr};
    THO_DISPATCH_V2(grad_output.scalar_type(), "astf_fuse_backward", AT_WRAP([&] {
                      Device::template fuse_backward<scalar_t>(grad_output, map, limits, sharpening,
                                                               gradients);
                    }),
                    VQE_FAST_FLOAT_TYPES);
    return {of_detail, of_smooth};
  }

  static Tensor unsharp_mask(const Tensor& frames, double amount, const std::vector<double>& taps,
                             bool transposed) {
    const auto sharpening = sharpening_of(amount, taps, transposed);
    Tensor output = Device::new_empty(frames, frames.sizes(), frames.scalar_type());
    THO_DISPATCH_V2(frames.scalar_type(), "unsharp_mask", AT_WRAP([&] {
                      Device::template unsharp<scalar_t>(frames, sharpening, output);
                    }),
                    VQE_FAST_FLOAT_TYPES);
    return output;
  }
};

template <typename C>
Sharpening<C> sharpening_in(const Sharpening<double>& sharpening) {
  Sharpening<C> same{static_cast<C>(sharpening.amount), sharpening.size, {}, sharpening.transposed};
  std::copy(sharpening.taps, sharpening.taps + sharpening.size, same.taps);
  return same;
}

}  // namespace vqe_fast
