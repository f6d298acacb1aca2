// SSIM on a GPU: chooses the kernel and its grid.
#include "cuda_common.h"
#include "ssim_kernel.cuh"
#include "ssim_ops.h"

namespace vqe_fast {
namespace {

template <typename T>
using Computed = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <typename T>
SsimLaunch<T, Computed<T>> launch_of(const Tensor& input, const Tensor& target,
                                     const SsimOptions& options, bool gradient) {
  SsimLaunch<T, Computed<T>> launch{};
  launch.input = input.const_data_ptr<T>();
  launch.target = target.const_data_ptr<T>();
  for (int i = 0; i < 4; ++i) {
    launch.input_steps[i] = input.stride(i);
    launch.target_steps[i] = target.stride(i);
  }
  launch.planes = input.size(0) * input.size(1);
  launch.channels = input.size(1);
  launch.geometry = ssim_geometry<Computed<T>>(input.size(2), input.size(3), options);
  launch.plan(gradient);
  return launch;
}

template <typename T, int kWindow>
void run(const SsimLaunch<T, Computed<T>>& launch, cudaStream_t stream) {
  using C = Computed<T>;
  const auto blocks = static_cast<unsigned>(launch.blocks());
  if (launch.grad_target != nullptr) {
    ssim_kernel<T, C, kWindow, 2><<<blocks, kSsimThreads, 0, stream>>>(launch);
  } else if (launch.grad_input != nullptr) {
    ssim_kernel<T, C, kWindow, 1><<<blocks, kSsimThreads, 0, stream>>>(launch);
  } else {
    ssim_kernel<T, C, kWindow, 0><<<blocks, kSsimThreads, 0, stream>>>(launch);
  }
  STD_CUDA_KERNEL_LAUNCH_CHECK();
}

template <typename T>
void run(const SsimLaunch<T, Computed<T>>& launch, cudaStream_t stream) {
  if (launch.blocks() == 0) {
    return;
  }
  if (launch.geometry.window == 11) {
    run<T, 11>(launch, stream);
  } else {
    run<T, 0>(launch, stream);
  }
}

template <typename C>
C* values_of(Tensor* tensor) {
  return tensor == nullptr ? nullptr : tensor->mutable_data_ptr<C>();
}

struct Cuda {
  template <typename T>
  static void mean(const Tensor& input, const Tensor& target, const SsimOptions& options,
                   const SsimBlend& blend, Tensor& values, const SsimGradients& gradients) {
    using C = Computed<T>;
    const DeviceGuard guard(input.get_device_index());
    const cudaStream_t stream = current_stream(input);
    auto launch = launch_of<T>(input, target, options, gradients.input != nullptr);
    const int64_t in_value = values.dim() == 0 ? launch.planes : 1;
    const auto [per_position, per_pixel] = ssim_shares(launch.geometry, blend, in_value);
    Tensor sums = torch::stable::new_empty(input, {launch.blocks(), 2}, ScalarType::Double);
    launch.grad = static_cast<C>(-per_position);
    launch.grad_square = static_cast<C>(per_pixel);
    launch.grad_input = values_of<C>(gradients.input);
    launch.grad_target = values_of<C>(gradients.target);
    launch.sums = sums.mutable_data_ptr<double>();
    run(launch, stream);
    if (values.numel() == 0) {
      return;
    }
    ssim_value_kernel<C><<<static_cast<unsigned>(values.numel()), kSsimThreads, 0, stream>>>(
        launch.sums, launch.blocks() / values.numel(), blend.offset, per_position, per_pixel,
        values.mutable_data_ptr<C>());
    STD_CUDA_KERNEL_LAUNCH_CHECK();
  }

  template <typename T>
  static void map(const Tensor& input, const Tensor& target, const SsimOptions& options,
                  Tensor& output) {
    const DeviceGuard guard(input.get_device_index());
    auto launch = launch_of<T>(input, target, options, false);
    launch.similarity = values_of<Computed<T>>(&output);
    run(launch, current_stream(input));
  }

  template <typename T>
  static void map_backward(const Tensor& grad_output, const Tensor& input, const Tensor& target,
                           const SsimOptions& options, const SsimGradients& gradients) {
    using C = Computed<T>;
    const DeviceGuard guard(input.get_device_index());
    auto launch = launch_of<T>(input, target, options, true);
    launch.grad = 1;
    launch.grad_map = grad_output.const_data_ptr<C>();
    launch.grad_input = values_of<C>(gradients.input);
    launch.grad_target = values_of<C>(gradients.target);
    run(launch, current_stream(input));
  }
};

}  // namespace
}  // namespace vqe_fast

STABLE_TORCH_LIBRARY_IMPL(vqe_fast, CUDA, library) {
  library.impl("ssim_mean", TORCH_BOX(&vqe_fast::SsimOps<vqe_fast::Cuda>::mean));
  library.impl("ssim_map", TORCH_BOX(&vqe_fast::SsimOps<vqe_fast::Cuda>::map));
  library.impl("ssim_map_backward", TORCH_BOX(&vqe_fast::SsimOps<vqe_fast::Cuda>::map_backward));
}
