// SSIM on a GPU: chooses the kernel and its grid.
#include <climits>

#include "common/cuda.h"
#include "ssim/ssim_kernel.cuh"
#include "ssim/ssim_ops.h"

namespace vqe_fast {
namespace {

template <typename T>
using Computed = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <typename T>
SsimLaunch<T, Computed<T>> launch_of(const Tensor& input, const Tensor& target,
                                     const SsimOptions& options, const SsimGradients& gradients) {
  STD_TORCH_CHECK(input.size(2) < INT_MAX / 2 && input.size(3) < INT_MAX / 2,
                  "images must be less than 2^30 high and wide");
  SsimLaunch<T, Computed<T>> launch{};
  launch.input = input.const_data_ptr<T>();
  launch.target = target.const_data_ptr<T>();
  for (int i = 0; i < 4; ++i) {
    launch.input_strides[i] = input.stride(i);
    launch.target_strides[i] = target.stride(i);
  }
  launch.planes = input.size(0) * input.size(1);
  launch.channels = input.size(1);
  launch.geometry = ssim_geometry<Computed<T>>(input.size(2), input.size(3), options);
  launch.plan((gradients.input != nullptr) + (gradients.target != nullptr));
  return launch;
}

template <typename T>
void run(const SsimLaunch<T, Computed<T>>& launch, cudaStream_t stream) {
  using C = Computed<T>;
  if (launch.blocks() == 0) {
    return;
  }
  const auto blocks = static_cast<unsigned>(launch.blocks());
  const int grads = (launch.grad_input != nullptr) + (launch.grad_target != nullptr);
  ssim_with_block<C>(launch.geometry.window, grads, [&]<int kWindow, int kGrads>() {
    constexpr int kThreads = SsimBlock<C, kWindow, kGrads>::kThreads;
    ssim_kernel<T, C, kWindow, kGrads><<<blocks, kThreads, 0, stream>>>(launch);
  });
  STD_CUDA_KERNEL_LAUNCH_CHECK();
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
    auto launch = launch_of<T>(input, target, options, gradients);
    const int64_t in_value = values.dim() == 0 ? launch.planes : 1;
    const auto [per_position, per_pixel] = ssim_shares(launch.geometry, blend, in_value);
    Tensor sums = torch::stable::new_empty(input, {launch.blocks(), 2}, ScalarType::Double);
    launch.grad = static_cast<C>(-per_position);
    launch.grad_square = static_cast<C>(per_pixel);
    launch.squared = per_pixel != 0;
    launch.grad_input = values_of<C>(gradients.input);
    launch.grad_target = values_of<C>(gradients.target);
    launch.sums = sums.mutable_data_ptr<double>();
    run(launch, stream);
    if (values.numel() == 0) {
      return;
    }
    ssim_value_kernel<C><<<static_cast<unsigned>(values.numel()), kSsimValueThreads, 0, stream>>>(
        launch.sums, launch.blocks() / values.numel(), blend.offset, per_position, per_pixel,
        values.mutable_data_ptr<C>());
    STD_CUDA_KERNEL_LAUNCH_CHECK();
  }

  template <typename T>
  static void map(const Tensor& input, const Tensor& target, const SsimOptions& options,
                  Tensor& output) {
    const DeviceGuard guard(input.get_device_index());
    auto launch = launch_of<T>(input, target, options, {});
    launch.similarity = values_of<Computed<T>>(&output);
    run(launch, current_stream(input));
  }

  template <typename T>
  static void map_backward(const Tensor& grad_output, const Tensor& input, const Tensor& target,
                           const SsimOptions& options, const SsimGradients& gradients) {
    using C = Computed<T>;
    const DeviceGuard guard(input.get_device_index());
    auto launch = launch_of<T>(input, target, options, gradients);
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
