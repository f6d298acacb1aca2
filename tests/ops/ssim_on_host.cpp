// The SSIM kernels of the GPU, run on the host: see test_ssim_kernel.py.
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include "../support/cuda_on_host.h"
#include "ssim/ssim_kernel.cuh"

using namespace vqe_fast;

namespace {

int grads_of(const void* grad_input, const void* grad_target) {
  return (grad_input != nullptr) + (grad_target != nullptr);
}

template <typename T, typename C>
void run(const SsimLaunch<T, C>& launch) {
  const int grads = grads_of(launch.grad_input, launch.grad_target);
  ssim_with_block<C>(launch.geometry.window, grads, [&]<int kWindow, int kGrads>() {
    cuda_on_host::launch(launch.blocks(), SsimBlock<C, kWindow, kGrads>::kThreads,
                         [&] { ssim_kernel<T, C, kWindow, kGrads>(launch); });
  });
}

}  // namespace

// Null pointers leave a thing out; without grad_map the gradients are those of the value.
struct Call {
  const void *input, *target;
  int64_t sizes[4], input_steps[4], target_steps[4];
  SsimOptions options;
  SsimBlend blend;
  const void* grad_map;
  void *value, *similarity, *grad_input, *grad_target;
};

template <typename T, typename C>
void run(const Call& call) {
  SsimLaunch<T, C> launch{};
  launch.input = static_cast<const T*>(call.input);
  launch.target = static_cast<const T*>(call.target);
  for (int i = 0; i < 4; ++i) {
    launch.input_strides[i] = call.input_steps[i];
    launch.target_strides[i] = call.target_steps[i];
  }
  launch.planes = call.sizes[0] * call.sizes[1];
  launch.channels = call.sizes[1];
  launch.geometry = ssim_geometry<C>(call.sizes[2], call.sizes[3], call.options);
  launch.plan(grads_of(call.grad_input, call.grad_target));
  const auto [per_position, per_pixel] = ssim_shares(launch.geometry, call.blend, launch.planes);
  launch.squared = per_pixel != 0;
  launch.grad_map = static_cast<const C*>(call.grad_map);
  launch.grad = launch.grad_map != nullptr ? C(1) : static_cast<C>(-per_position);
  launch.grad_square = launch.grad_map != nullptr ? C(0) : static_cast<C>(per_pixel);
  launch.similarity = static_cast<C*>(call.similarity);
  launch.grad_input = static_cast<C*>(call.grad_input);
  launch.grad_target = static_cast<C*>(call.grad_target);
  std::vector<double> sums(2 * launch.blocks());
  launch.sums = call.value != nullptr ? sums.data() : nullptr;
  run(launch);
  if (call.value != nullptr) {
    cuda_on_host::launch(1, kSsimValueThreads, [&] {
      ssim_value_kernel<C>(sums.data(), launch.blocks(), call.blend.offset, per_position, per_pixel,
                           static_cast<C*>(call.value));
    });
  }
}

extern "C" void run_float64(const Call* call) { run<double, double>(*call); }
extern "C" void run_float32(const Call* call) { run<float, float>(*call); }
extern "C" void run_bfloat16(const Call* call) { run<torch::headeronly::BFloat16, float>(*call); }
extern "C" void run_float16(const Call* call) { run<torch::headeronly::Half, float>(*call); }
