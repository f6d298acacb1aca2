// Fusion on a GPU: chooses the kernels and their grids.
#include "common/cuda.h"
#include "fusion/fusion_kernel.cuh"
#include "fusion/fusion_ops.h"

namespace vqe_fast {
namespace {

template <typename T>
using Computed = std::conditional_t<std::is_same_v<T, double>, double, float>;

FusionSize size_of(const Tensor& frames) {
  const auto side = [&](int i) { return static_cast<int>(frames.size(i)); };
  return {side(0), side(1), side(2), side(3)};
}

void strides_of(const Tensor& frames, int64_t* strides) {
  for (int i = 0; i < 4; ++i) {
    strides[i] = frames.stride(i);
  }
}

// A kernel's grid of blocks of threads, unless there is nothing to do.
template <typename Launch>
void run(void (*kernel)(Launch), int64_t blocks, int threads, const Launch& launch,
         const Tensor& like) {
  if (blocks > 0) {
    kernel<<<static_cast<unsigned>(blocks), threads, 0, current_stream(like)>>>(launch);
    STD_CUDA_KERNEL_LAUNCH_CHECK();
  }
}

template <typename T>
void add_frames(const Tensor& frames, BoxLaunch<T, Computed<T>>& launch) {
  launch.frames[launch.count] = frames.const_data_ptr<T>();
  strides_of(frames, launch.strides[launch.count++]);
}

template <typename T>
BoxLaunch<T, Computed<T>> box_launch(const Tensor& frames, int64_t radius) {
  BoxLaunch<T, Computed<T>> launch{};
  launch.grid = BoxGrid::of(size_of(frames), static_cast<int>(radius));
  add_frames<T>(frames, launch);
  return launch;
}

template <typename T>
SharpLaunch<T, Computed<T>> sharp_launch(const Tensor& smooth,
                                         const Sharpening<double>& sharpening) {
  SharpLaunch<T, Computed<T>> launch{};
  launch.size = size_of(smooth);
  launch.filter = sharpening_in<Computed<T>>(sharpening);
  launch.smooth = smooth.const_data_ptr<T>();
  strides_of(smooth, launch.smooth_strides);
  return launch;
}

template <typename T>
void sharpen(const SharpLaunch<T, Computed<T>>& launch, const Tensor& like) {
  using C = Computed<T>;
  with_sharp_variant(
      launch,
      [&](auto variant) {
        using Variant = decltype(variant);
        run(sharpen_rows_kernel<Variant, T, C>, Variant::blocks(launch.size), kSharpThreads, launch,
            like);
      },
      [&] {
        run(sharpen_tile_kernel<T, C>, TileGrid{launch.size}.blocks(), kTileThreads, launch, like);
      });
}

template <typename T>
T* values_of(Tensor* tensor) {
  return tensor == nullptr ? nullptr : tensor->mutable_data_ptr<T>();
}

struct Cuda {
  static Tensor new_empty(const Tensor& like, torch::headeronly::IntHeaderOnlyArrayRef sizes,
                          ScalarType type) {
    return torch::stable::new_empty(like, sizes, type);
  }

  template <typename T>
  static void variance(const Tensor& frames, const std::vector<Tensor>& neighbours, int64_t radius,
                       Tensor& map, Tensor& bounds) {
    using C = Computed<T>;
    const DeviceGuard guard(frames.get_device_index());
    auto launch = box_launch<T>(frames, radius);
    for (const Tensor& neighbour : neighbours) {
      add_frames<T>(neighbour, launch);
    }
    Tensor found = torch::stable::new_empty(frames, {launch.blocks(), 2}, bounds.scalar_type());
    launch.map = map.mutable_data_ptr<C>();
    launch.bounds = found.mutable_data_ptr<C>();
    with_box_variant(launch, [&](auto variant) {
      run(variance_kernel<decltype(variant), T, C>, launch.blocks(), kBoxThreads, launch, frames);
    });
    if (const int images = launch.grid.size.images; images > 0) {
      bounds_kernel<C><<<images, kBoundsThreads, 0, current_stream(frames)>>>(
          launch.bounds, launch.count, images, launch.grid.blocks_of_image(),
          bounds.mutable_data_ptr<C>());
      STD_CUDA_KERNEL_LAUNCH_CHECK();
    }
  }

  template <typename T>
  static void variance_backward(const Tensor& grad_output, const Tensor& frames, int64_t radius,
                                Tensor& gradient) {
    using C = Computed<T>;
    const DeviceGuard guard(frames.get_device_index());
    auto launch = box_launch<T>(frames, radius);
    Tensor means = torch::stable::new_empty(frames, grad_output.sizes(), ScalarType::Double);
    launch.means = means.mutable_data_ptr<double>();
    launch.grads = grad_output.const_data_ptr<C>();
    launch.gradient = gradient.mutable_data_ptr<C>();
    with_box_variant(launch, [&](auto variant) {
      using Variant = decltype(variant);
      run(mean_kernel<Variant, T, C>, launch.blocks(), kBoxThreads, launch, frames);
      run(variance_gradient_kernel<Variant, T, C>, launch.blocks(), kBoxThreads, launch, frames);
    });
  }

  template <typename T>
  static void fuse(const Tensor& detail, const Tensor& smooth, const Tensor& variance,
                   const Tensor& bounds, const Sharpening<double>& sharpening, Tensor& output) {
    using C = Computed<T>;
    const DeviceGuard guard(smooth.get_device_index());
    auto launch = sharp_launch<T>(smooth, sharpening);
    launch.detail = detail.const_data_ptr<T>();
    strides_of(detail, launch.detail_strides);
    launch.variance = variance.const_data_ptr<C>();
    launch.bounds = bounds.const_data_ptr<C>();
    launch.output = output.mutable_data_ptr<T>();
    sharpen<T>(launch, smooth);
  }

  template <typename T>
  static void fuse_backward(const Tensor& grad_output, const Tensor& variance, const Tensor& bounds,
                            const Sharpening<double>& sharpening,
                            const FusionGradients& gradients) {
    using C = Computed<T>;
    const DeviceGuard guard(grad_output.get_device_index());
    auto launch = sharp_launch<T>(grad_output, sharpening);
    launch.variance = variance.const_data_ptr<C>();
    launch.bounds = bounds.const_data_ptr<C>();
    launch.grad_detail = values_of<T>(gradients.detail);
    launch.grad_smooth = values_of<T>(gradients.smooth);
    sharpen<T>(launch, grad_output);
  }

  template <typename T>
  static void unsharp(const Tensor& frames, const Sharpening<double>& sharpening, Tensor& output) {
    const DeviceGuard guard(frames.get_device_index());
    auto launch = sharp_launch<T>(frames, sharpening);
    launch.output = output.mutable_data_ptr<T>();
    sharpen<T>(launch, frames);
  }
};

}  // namespace
}  // namespace vqe_fast

STABLE_TORCH_LIBRARY_IMPL(vqe_fast, CUDA, library) {
  using Ops = vqe_fast::FusionOps<vqe_fast::Cuda>;
  library.impl("local_variance", TORCH_BOX(&Ops::local_variance));
  library.impl("local_variance_backward", TORCH_BOX(&Ops::local_variance_backward));
  library.impl("astf_fuse", TORCH_BOX(&Ops::astf_fuse));
  library.impl("astf_fuse_backward", TORCH_BOX(&Ops::astf_fuse_backward));
  library.impl("unsharp_mask", TORCH_BOX(&Ops::unsharp_mask));
}
