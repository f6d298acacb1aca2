// Fusion on the CPU: splits frames into tiles, one thread to a tile.
#include <algorithm>
#include <limits>
#include <vector>

#include "common/cpu.h"
#include "common/planes.h"
#include "common/tile.h"
#include "fusion/box.h"
#include "fusion/fusion_ops.h"
#include "fusion/fusion_tile.h"

#define VQE_FAST_KERNELS "fusion/fusion-inl.h"
#include "simd/foreach_isa.h"

namespace vqe_fast {
namespace {

// Tiles have a fixed size, so that sums do not depend on the number of threads. Each sums up the
// rows around its first one anew.
constexpr int64_t kBoxRows = 128;

using baseline::kBoxColumns;
using baseline::kBoxScratch;
using baseline::kSharpColumns;
using baseline::kSharpRows;
using baseline::kSharpScratch;

// Runs run(i, tile, its number, scratch) on every tile of `count` images of a size.
template <typename C, typename F>
void for_each_tile(int64_t count, const std::vector<Tile>& tiles, int64_t scratch_size,
                   const F& run) {
  const auto in_image = static_cast<int64_t>(tiles.size());
  torch::stable::parallel_for(0, count * in_image, 1, [&](int64_t begin, int64_t end) {
    const Scratch<C> scratch(scratch_size);
    for (int64_t i = begin; i < end; ++i) {
      run(i / in_image, tiles[i % in_image], i, scratch.get());
    }
  });
}

std::vector<double> shares_along(int64_t size, int64_t radius) {
  std::vector<double> shares(size);
  for (int64_t i = 0; i < size; ++i) {
    shares[i] = 1.0 / static_cast<double>(window_side(i, radius, size));
  }
  return shares;
}

template <typename T>
FrameView<T> frame_of(const Tensor& frames, int64_t image) {
  FrameView<T> frame{{}, frames.size(1), frames.size(2), frames.size(3)};
  for (int64_t c = 0; c < frame.channels; ++c) {
    frame.planes[c] = plane_of<T>(frames, image, c);
  }
  return frame;
}

template <typename C>
C* values_of(Tensor* tensor, int64_t start) {
  return tensor == nullptr ? nullptr : tensor->mutable_data_ptr<C>() + start;
}

// Runs run(frame, shares, tile, first pixel, number, scratch) on every tile of every frame.
template <typename T, typename F>
void for_each_window_tile(const Tensor& frames, int64_t radius, const F& run) {
  const int64_t height = frames.size(2), width = frames.size(3);
  const auto along_rows = shares_along(height, radius), along_columns = shares_along(width, radius);
  const WindowShares shares{radius, along_rows.data(), along_columns.data()};
  for_each_tile<double>(frames.size(0), tiles_of(height, width, kBoxRows, kBoxColumns), kBoxScratch,
                        [&](int64_t image, const Tile& tile, int64_t i, double* scratch) {
                          const FrameView<T> frame = frame_of<T>(frames, image);
                          run(frame, shares, tile, image * height * width, i, scratch);
                        });
}

// The same for the planes of frames that are sharpened: run(image, channel, first pixel of the
// plane, tile, scratch).
template <typename C, typename F>
void for_each_sharp_tile(const Tensor& frames, const F& run) {
  const int64_t channels = frames.size(1), height = frames.size(2), width = frames.size(3);
  const auto tiles = tiles_of(height, width, kSharpRows, kSharpColumns);
  for_each_tile<C>(frames.size(0) * channels, tiles, kSharpScratch,
                   [&](int64_t plane, const Tile& tile, int64_t, C* scratch) {
                     run(plane / channels, plane % channels, plane * height * width, tile, scratch);
                   });
}

struct Cpu {
  static Tensor new_empty(const Tensor& like, torch::headeronly::IntHeaderOnlyArrayRef sizes,
                          ScalarType type) {
    return on_large_pages(torch::stable::new_empty(like, sizes, type));
  }

  template <typename T>
  static void variance(const Tensor& frames, const std::vector<Tensor>& neighbours, int64_t radius,
                       Tensor& map, Tensor& bounds) {
    using C = baseline::Computed<T>;
    C* const to = bounds.mutable_data_ptr<C>();
    constexpr C kMost = std::numeric_limits<C>::infinity();
    for (int64_t image = 0; image < frames.size(0); ++image) {
      to[2 * image] = kMost;
      to[2 * image + 1] = -kMost;
    }
    widen_bounds<T>(frames, radius, &map, to);
    for (const Tensor& neighbour : neighbours) {
      widen_bounds<T>(neighbour, radius, nullptr, to);
    }
  }

  // The variances, unless map is null; bounds [B, 2] are made to hold them.
  template <typename T>
  static void widen_bounds(const Tensor& frames, int64_t radius, Tensor* map,
                           baseline::Computed<T>* bounds) {
    using C = baseline::Computed<T>;
    const int64_t height = frames.size(2), width = frames.size(3);
    const auto in_image =
        static_cast<int64_t>(tiles_of(height, width, kBoxRows, kBoxColumns).size());
    std::vector<C> found(2 * frames.size(0) * in_image);
    for_each_window_tile<T>(frames, radius,
                            [&](const FrameView<T>& frame, const WindowShares& shares,
                                const Tile& tile, int64_t start, int64_t i, double* scratch) {
                              VQE_FAST_CALL(variance_tile<T>, frame, shares, tile,
                                            values_of<C>(map, start), &found[2 * i], scratch);
                            });
    for (int64_t image = 0; image < frames.size(0); ++image) {
      const C* of_image = found.data() + 2 * image * in_image;
      C &low = bounds[2 * image], &high = bounds[2 * image + 1];
      for (int64_t i = 0; i < in_image; ++i) {
        // What is not a number stays.
        low = low <= of_image[2 * i] || low != low ? low : of_image[2 * i];
        high = high >= of_image[2 * i + 1] || high != high ? high : of_image[2 * i + 1];
      }
    }
  }

  template <typename T>
  static void variance_backward(const Tensor& grad_output, const Tensor& frames, int64_t radius,
                                Tensor& gradient) {
    using C = baseline::Computed<T>;
    Tensor means =
        new_empty(frames, {frames.size(0), frames.size(2), frames.size(3)}, ScalarType::Double);
    double* mean = means.mutable_data_ptr<double>();
    for_each_window_tile<T>(frames, radius,
                            [&](const FrameView<T>& frame, const WindowShares& shares,
                                const Tile& tile, int64_t start, int64_t, double* scratch) {
                              VQE_FAST_CALL(mean_tile<T>, frame, shares, tile, mean + start,
                                            scratch);
                            });
    const C* grads = grad_output.const_data_ptr<C>();
    C* to = gradient.mutable_data_ptr<C>();
    for_each_window_tile<T>(frames, radius,
                            [&](const FrameView<T>& frame, const WindowShares& shares,
                                const Tile& tile, int64_t start, int64_t, double* scratch) {
                              VQE_FAST_CALL(variance_gradient_tile<T>, frame, grads + start,
                                            mean + start, shares, tile, to + start * frame.channels,
                                            scratch);
                            });
  }

  template <typename T>
  static void fuse(const Tensor& detail, const Tensor& smooth, const Tensor& variance,
                   const Tensor& bounds, const Sharpening<double>& sharpening, Tensor& output) {
    using C = baseline::Computed<T>;
    const int64_t height = detail.size(2), width = detail.size(3);
    const auto filter = sharpening_in<C>(sharpening);
    const C *map = variance.const_data_ptr<C>(), *limits = bounds.const_data_ptr<C>();
    T* to = output.mutable_data_ptr<T>();
    for_each_sharp_tile<C>(detail, [&](int64_t image, int64_t channel, int64_t start,
                                       const Tile& tile, C* scratch) {
      const auto d = plane_of<T>(detail, image, channel), s = plane_of<T>(smooth, image, channel);
      const auto range = VarianceRange<C>::of(limits + 2 * image);
      const C* of_image = map + image * height * width;
      VQE_FAST_CALL(fuse_tile<T>, d, s, of_image, range, filter, height, width, tile, to + start,
                    scratch);
    });
  }

  template <typename T>
  static void fuse_backward(const Tensor& grad_output, const Tensor& variance, const Tensor& bounds,
                            const Sharpening<double>& sharpening,
                            const FusionGradients& gradients) {
    using C = baseline::Computed<T>;
    const int64_t height = grad_output.size(2), width = grad_output.size(3);
    const auto filter = sharpening_in<C>(sharpening);
    const C *map = variance.const_data_ptr<C>(), *limits = bounds.const_data_ptr<C>();
    for_each_sharp_tile<C>(grad_output, [&](int64_t image, int64_t channel, int64_t start,
                                            const Tile& tile, C* scratch) {
      const auto grads = plane_of<T>(grad_output, image, channel);
      const auto range = VarianceRange<C>::of(limits + 2 * image);
      const C* of_image = map + image * height * width;
      VQE_FAST_CALL(fuse_gradient_tile<T>, grads, of_image, range, filter, height, width, tile,
                    values_of<T>(gradients.detail, start), values_of<T>(gradients.smooth, start),
                    scratch);
    });
  }

  template <typename T>
  static void unsharp(const Tensor& frames, const Sharpening<double>& sharpening, Tensor& output) {
    using C = baseline::Computed<T>;
    const int64_t height = frames.size(2), width = frames.size(3);
    const auto filter = sharpening_in<C>(sharpening);
    T* to = output.mutable_data_ptr<T>();
    for_each_sharp_tile<C>(
        frames, [&](int64_t image, int64_t channel, int64_t start, const Tile& tile, C* scratch) {
          const auto plane = plane_of<T>(frames, image, channel);
          VQE_FAST_CALL(sharpen_tile<T>, plane, filter, height, width, tile, to + start, scratch);
        });
  }
};

}  // namespace
}  // namespace vqe_fast

STABLE_TORCH_LIBRARY_IMPL(vqe_fast, CPU, library) {
  using Ops = vqe_fast::FusionOps<vqe_fast::Cpu>;
  library.impl("local_variance", TORCH_BOX(&Ops::local_variance));
  library.impl("local_variance_backward", TORCH_BOX(&Ops::local_variance_backward));
  library.impl("astf_fuse", TORCH_BOX(&Ops::astf_fuse));
  library.impl("astf_fuse_backward", TORCH_BOX(&Ops::astf_fuse_backward));
  library.impl("unsharp_mask", TORCH_BOX(&Ops::unsharp_mask));
}
