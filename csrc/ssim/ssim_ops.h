// The SSIM operators around the kernels of a device: what they allocate and what they hand on.
#pragma once

#include <tuple>
#include <vector>

#include "common/tensor.h"
#include "ssim/ssim.h"

namespace vqe_fast {

// Where gradients go; null for one that nobody asked for, the target's also without the input's.
struct SsimGradients {
  Tensor *input, *target;
};

// Device has, for images of type T: mean(input, target, options, blend, values, gradients), map(
// input, target, options, output) and map_backward(grad_output, input, target, options, gradients).
template <typename Device>
struct SsimOps {
  static ScalarType computed_type(const Tensor& input) {
    return input.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
  }

  static SsimOptions options_of(int64_t window_size, const std::vector<double>& constants,
                                bool same) {
    return {window_size, constants[0], constants[1], constants[2], same};
  }

  // Images of the gradients that are asked for, empty tensors for the others.
  static std::tuple<Tensor, Tensor> new_gradients(const Tensor& input, bool of_input,
                                                  bool of_target) {
    const auto gradient = [&](bool asked) {
      const auto type = computed_type(input);
      return asked ? torch::stable::new_empty(input, input.sizes(), type)
                   : torch::stable::new_empty(input, {0}, type);
    };
    return {gradient(of_input), gradient(of_target)};
  }

  static std::tuple<Tensor, Tensor, Tensor> mean(const Tensor& input, const Tensor& target,
                                                 int64_t window_size,
                                                 const std::vector<double>& constants,
                                                 const std::vector<int64_t>& choices) {
    STD_TORCH_CHECK(constants.size() == 6 && choices.size() == 4,
                    "ssim_mean takes 6 constants and 4 choices");
    const bool per_plane = choices[1] != 0, of_input = choices[2] != 0, of_target = choices[3] != 0;
    const SsimOptions options = options_of(window_size, constants, choices[0] != 0);
    const SsimBlend blend{constants[3], constants[4], constants[5]};
    const auto type = computed_type(input);
    Tensor values = per_plane
                        ? torch::stable::new_empty(input, {input.size(0), input.size(1)}, type)
                        : torch::stable::new_empty(input, {}, type);
    auto [grad_input, grad_target] = new_gradients(input, of_input, of_target);
    // The images may change places: then the gradient of the target is that of the input.
    const bool swap = of_target && !of_input;
    const Tensor &x = swap ? target : input, &y = swap ? input : target;
    const SsimGradients gradients{of_input ? &grad_input
                                  : swap   ? &grad_target
                                           : nullptr,
                                  of_input && of_target ? &grad_target : nullptr};
    THO_DISPATCH_V2(x.scalar_type(), "ssim_mean", AT_WRAP([&] {
                      Device::template mean<scalar_t>(x, y, options, blend, values, gradients);
                    }),
                    VQE_FAST_FLOAT_TYPES);
    return {values, grad_input, grad_target};
  }

  static Tensor map(const Tensor& input, const Tensor& target, int64_t window_size,
                    const std::vector<double>& constants, bool same) {
    STD_TORCH_CHECK(constants.size() == 3, "ssim_map takes 3 constants");
    const SsimOptions options = options_of(window_size, constants, same);
    const int64_t less = same ? 0 : window_size - 1;
    Tensor output = torch::stable::new_empty(
        input, {input.size(0), input.size(1), input.size(2) - less, input.size(3) - less},
        computed_type(input));
    THO_DISPATCH_V2(input.scalar_type(), "ssim_map", AT_WRAP([&] {
                      Device::template map<scalar_t>(input, target, options, output);
                    }),
                    VQE_FAST_FLOAT_TYPES);
    return output;
  }

  static std::tuple<Tensor, Tensor> map_backward(const Tensor& grad_output, const Tensor& input,
                                                 const Tensor& target, int64_t window_size,
                                                 const std::vector<double>& constants,
                                                 const std::vector<bool>& choices) {
    STD_TORCH_CHECK(constants.size() == 3 && choices.size() == 3,
                    "ssim_map_backward takes 3 constants and 3 choices");
    const bool of_input = choices[1], of_target = choices[2];
    const SsimOptions options = options_of(window_size, constants, choices[0]);
    const Tensor grads = torch::stable::contiguous(grad_output);
    auto [grad_input, grad_target] = new_gradients(input, of_input, of_target);
    if (!of_input && !of_target) {
      return {grad_input, grad_target};
    }
    const Tensor &x = of_input ? input : target, &y = of_input ? target : input;
    const SsimGradients gradients{of_input ? &grad_input : &grad_target,
                                  of_input && of_target ? &grad_target : nullptr};
    THO_DISPATCH_V2(x.scalar_type(), "ssim_map_backward", AT_WRAP([&] {
                      Device::template map_backward<scalar_t>(grads, x, y, options, gradients);
                    }),
                    VQE_FAST_FLOAT_TYPES);
    return {grad_input, grad_target};
  }
};

}  // namespace vqe_fast
