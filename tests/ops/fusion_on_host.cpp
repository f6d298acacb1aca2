// The fusion kernels of the GPU, run on the host: see test_fusion_kernel.py.
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <algorithm>

#include "../support/cuda_on_host.h"
#include "fusion/fusion_kernel.cuh"

using namespace vqe_fast;

// Null pointers leave a thing out.
struct VarianceCall {
  int64_t count;
  const void* frames[kMaxFrames];
  int64_t sizes[4], steps[kMaxFrames][4];
  int64_t radius;
  void *map, *bounds;
  double* means;
  const void* grads;
  void* gradient;
};

struct SharpenCall {
  const void *detail, *smooth;
  int64_t sizes[4], detail_steps[4], smooth_steps[4];
  double amount;
  int64_t taps_size;
  const double* taps;
  bool transposed;
  const void *variance, *bounds;
  void *output, *grad_detail, *grad_smooth;
};

namespace {

FusionSize size_of(const int64_t* sizes) {
  const auto side = [&](int i) { return static_cast<int>(sizes[i]); };
  return {side(0), side(1), side(2), side(3)};
}

}  // namespace

template <typename T, typename C>
void run(const VarianceCall& call) {
  BoxLaunch<T, C> launch{};
  launch.grid = BoxGrid::of(size_of(call.sizes), call.radius);
  launch.count = call.count;
  for (int frame = 0; frame < launch.count; ++frame) {
    launch.frames[frame] = static_cast<const T*>(call.frames[frame]);
    std::copy_n(call.steps[frame], 4, launch.strides[frame]);
  }
  launch.map = static_cast<C*>(call.map);
  std::vector<C> found(2 * launch.blocks());
  launch.bounds = found.data();
  const int images = launch.grid.size.images;
  with_box_variant(launch, [&](auto variant) {
    cuda_on_host::launch(launch.blocks(), kBoxThreads,
                         [&] { variance_kernel<decltype(variant)>(launch); });
  });
  cuda_on_host::launch(images, kBoundsThreads, [&] {
    bounds_kernel<C>(found.data(), launch.count, images, launch.grid.blocks_of_image(),
                     static_cast<C*>(call.bounds));
  });
  if (call.gradient == nullptr) {
    return;
  }
  launch.means = call.means;
  launch.grads = static_cast<const C*>(call.grads);
  launch.gradient = static_cast<C*>(call.gradient);
  with_box_variant(launch, [&](auto variant) {
    using Variant = decltype(variant);
    cuda_on_host::launch(launch.blocks(), kBoxThreads, [&] { mean_kernel<Variant>(launch); });
    cuda_on_host::launch(launch.blocks(), kBoxThreads,
                         [&] { variance_gradient_kernel<Variant>(launch); });
  });
}

template <typename T, typename C>
void run(const SharpenCall& call) {
  SharpLaunch<T, C> launch{};
  launch.size = size_of(call.sizes);
  launch.filter = {static_cast<C>(call.amount), call.taps_size, {}, call.transposed};
  std::copy_n(call.taps, call.taps_size, launch.filter.taps);
  launch.detail = static_cast<const T*>(call.detail);
  launch.smooth = static_cast<const T*>(call.smooth);
  std::copy_n(call.detail_steps, 4, launch.detail_strides);
  std::copy_n(call.smooth_steps, 4, launch.smooth_strides);
  launch.variance = static_cast<const C*>(call.variance);
  launch.bounds = static_cast<const C*>(call.bounds);
  launch.output = static_cast<T*>(call.output);
  launch.grad_detail = static_cast<T*>(call.grad_detail);
  launch.grad_smooth = static_cast<T*>(call.grad_smooth);
  with_sharp_variant(
      launch,
      [&](auto variant) {
        using Variant = decltype(variant);
        cuda_on_host::launch(Variant::blocks(launch.size), kSharpThreads,
                             [&] { sharpen_rows_kernel<Variant>(launch); });
      },
      [&] {
        cuda_on_host::launch(TileGrid{launch.size}.blocks(), kTileThreads,
                             [&] { sharpen_tile_kernel(launch); });
      });
}

#define RUN(name, T, C)                                                           \
  extern "C" void variance_##name(const VarianceCall* call) { run<T, C>(*call); } \
  extern "C" void sharpen_##name(const SharpenCall* call) { run<T, C>(*call); }

RUN(float64, double, double)
RUN(float32, float, float)
RUN(bfloat16, torch::headeronly::BFloat16, float)
RUN(float16, torch::headeronly::Half, float)
