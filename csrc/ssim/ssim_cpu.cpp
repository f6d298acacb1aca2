// SSIM on the CPU: splits planes into tiles, one thread to a tile.
#include <algorithm>
#include <vector>

#include "common/cpu.h"
#include "common/planes.h"
#include "common/tile.h"
#include "ssim/ssim_ops.h"
#include "ssim/ssim_tile.h"

#define VQE_FAST_KERNELS "ssim/ssim-inl.h"
#include "simd/foreach_isa.h"

namespace vqe_fast {
namespace {

// Tiles have a fixed size, so that sums do not depend on the number of threads. Taller ones would
// compute fewer rows twice, but leave threads without work.
constexpr int64_t kTileRows = 256;

std::vector<Tile> split(const Tensor& images) {
  return tiles_of(images.size(2), images.size(3), kTileRows, kSsimColumns);
}

// Runs work_of(plane, tile of the plane) on every tile of every plane.
template <typename T, typename F>
void for_each_tile(const Tensor& input, const Tensor& target, const SsimOptions& options,
                   const std::vector<Tile>& tiles, const F& work_of) {
  using C = baseline::Computed<T>;
  const auto geometry = ssim_geometry<C>(input.size(2), input.size(3), options);
  const int64_t in_plane = static_cast<int64_t>(tiles.size());
  const int64_t count = input.size(0) * input.size(1) * in_plane;
  torch::stable::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    const Scratch<C> scratch(ssim_scratch(options.window_size));
    for (int64_t i = begin; i < end; ++i) {
      const SsimWork<C> work = work_of(i / in_plane, i % in_plane);
      const int64_t image = i / in_plane / input.size(1), channel = i / in_plane % input.size(1);
      const auto x = plane_of<T>(input, image, channel), y = plane_of<T>(target, image, channel);
      const Tile& tile = tiles[i % in_plane];
      VQE_FAST_CALL(ssim_tile<T>, x, y, geometry, tile, work, scratch.get());
    }
  });
}

template <typename C>
C* plane_of_gradient(Tensor* gradient, int64_t plane) {
  return gradient == nullptr
             ? nullptr
             : gradient->mutable_data_ptr<C>() + plane * gradient->size(2) * gradient->size(3);
}

struct Cpu {
  template <typename T>
  static void mean(const Tensor& input, const Tensor& target, const SsimOptions& options,
                   const SsimBlend& blend, Tensor& values, const SsimGradients& gradients) {
    using C = baseline::Computed<T>;
    const std::vector<Tile> tiles = split(input);
    const int64_t in_plane = static_cast<int64_t>(tiles.size());
    const int64_t planes = input.size(0) * input.size(1);
    const int64_t in_value = values.dim() == 0 ? planes : 1;
    const auto [per_position, per_pixel] =
        ssim_shares(ssim_geometry<C>(input.size(2), input.size(3), options), blend, in_value);
    std::vector<double> dissimilarity(planes * in_plane), squares(planes * in_plane);
    const C grad = static_cast<C>(-per_position), grad_square = static_cast<C>(per_pixel);
    for_each_tile<T>(input, target, options, tiles, [&](int64_t plane, int64_t tile) {
      SsimWork<C> work{};
      work.grad = grad;
      work.grad_square = grad_square;
      work.grad_input = plane_of_gradient<C>(gradients.input, plane);
      work.grad_target = plane_of_gradient<C>(gradients.target, plane);
      work.dissimilarity = &dissimilarity[plane * in_plane + tile];
      work.squares = blend.mse_weight != 0 ? &squares[plane * in_plane + tile] : nullptr;
      return work;
    });
    C* to = values.mutable_data_ptr<C>();
    for (int64_t i = 0; i < values.numel(); ++i) {
      double dissimilar = 0, square = 0;
      for (int64_t k = i * in_value * in_plane; k < (i + 1) * in_value * in_plane; ++k) {
        dissimilar += dissimilarity[k];
        square += squares[k];
      }
      to[i] = static_cast<C>(blend.offset + dissimilar * per_position + square * per_pixel);
    }
  }

  template <typename T>
  static void map(const Tensor& input, const Tensor& target, const SsimOptions& options,
                  Tensor& output) {
    using C = baseline::Computed<T>;
    C* to = output.mutable_data_ptr<C>();
    const int64_t positions = output.size(2) * output.size(3);
    for_each_tile<T>(input, target, options, split(input), [&](int64_t plane, int64_t) {
      SsimWork<C> work{};
      work.similarity = to + plane * positions;
      return work;
    });
  }

  template <typename T>
  static void map_backward(const Tensor& grad_output, const Tensor& input, const Tensor& target,
                           const SsimOptions& options, const SsimGradients& gradients) {
    using C = baseline::Computed<T>;
    const C* grads = grad_output.const_data_ptr<C>();
    const int64_t positions = grad_output.size(2) * grad_output.size(3);
    for_each_tile<T>(input, target, options, split(input), [&](int64_t plane, int64_t) {
      SsimWork<C> work{};
      work.grad_map = grads + plane * positions;
      work.grad = 1;
      work.grad_input = plane_of_gradient<C>(gradients.input, plane);
      work.grad_target = plane_of_gradient<C>(gradients.target, plane);
      return work;
    });
  }
};

}  // namespace
}  // namespace vqe_fast

STABLE_TORCH_LIBRARY_IMPL(vqe_fast, CPU, library) {
  library.impl("ssim_mean", TORCH_BOX(&vqe_fast::SsimOps<vqe_fast::Cpu>::mean));
  library.impl("ssim_map", TORCH_BOX(&vqe_fast::SsimOps<vqe_fast::Cpu>::map));
  library.impl("ssim_map_backward", TORCH_BOX(&vqe_fast::SsimOps<vqe_fast::Cpu>::map_backward));
}
