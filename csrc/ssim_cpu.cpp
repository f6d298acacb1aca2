// SSIM on the CPU: splits planes into tiles, one thread to a tile.
#include <algorithm>
#include <tuple>
#include <vector>

#include "cpu_common.h"
#include "ssim.h"

#define VQE_FAST_KERNEL_BODY "ssim_body.h"
#include "for_each_isa.h"

namespace vqe_fast {
namespace {

// Tiles have a fixed size, so that sums do not depend on the number of threads. Taller ones would
// compute fewer rows twice, but leave threads without work.
constexpr int64_t kTileRows = 256;

template <typename T>
using Computed = baseline::Computed<T>;

struct Options {
  int64_t window_size;
  double sigma, c1, c2;
  bool same;
};

// The tiles of a plane.
std::vector<SsimTile> split(int64_t height, int64_t width) {
  const int64_t bands = (height + kTileRows - 1) / kTileRows;
  const int64_t strips = (width + kSsimColumns - 1) / kSsimColumns;
  std::vector<SsimTile> tiles;
  for (int64_t band = 0; band < bands; ++band) {
    for (int64_t strip = 0; strip < strips; ++strip) {
      tiles.push_back({height * band / bands, height * (band + 1) / bands, width * strip / strips,
                       width * (strip + 1) / strips});
    }
  }
  return tiles;
}

template <typename C>
SsimGeometry<C> geometry_of(const Tensor& input, const Options& options) {
  SsimGeometry<C> geometry{};
  geometry.height = input.size(2);
  geometry.width = input.size(3);
  geometry.window = options.window_size;
  geometry.margin = options.same ? options.window_size / 2 : 0;
  geometry.map_height = geometry.height + 2 * geometry.margin - options.window_size + 1;
  geometry.map_width = geometry.width + 2 * geometry.margin - options.window_size + 1;
  fill_gaussian(options.window_size, options.sigma, geometry.taps);
  const bool luminance = std::isfinite(options.c1);
  geometry.luminance = luminance ? 1 : 0;
  geometry.c1 = luminance ? static_cast<C>(options.c1) : 1;
  geometry.c2 = static_cast<C>(options.c2);
  return geometry;
}

template <typename T>
SsimPlane<T> plane_of(const Tensor& images, int64_t plane) {
  const int64_t channels = images.size(1);
  const int64_t start = plane / channels * images.stride(0) + plane % channels * images.stride(1);
  return {images.const_data_ptr<T>() + start, images.stride(2), images.stride(3)};
}

// Runs work_of(plane, tile of the plane) on every tile of every plane.
template <typename T, typename F>
void for_each_tile(const Tensor& input, const Tensor& target, const Options& options,
                   const std::vector<SsimTile>& tiles, const F& work_of) {
  const auto geometry = geometry_of<Computed<T>>(input, options);
  const int64_t in_plane = static_cast<int64_t>(tiles.size());
  const int64_t count = input.size(0) * input.size(1) * in_plane;
  torch::stable::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    const Scratch<Computed<T>> scratch(ssim_scratch(options.window_size));
    for (int64_t i = begin; i < end; ++i) {
      const SsimWork<Computed<T>> work = work_of(i / in_plane, i % in_plane);
      const auto x = plane_of<T>(input, i / in_plane), y = plane_of<T>(target, i / in_plane);
      const SsimTile& tile = tiles[i % in_plane];
      VQE_FAST_CALL(ssim_tile<T>, x, y, geometry, tile, work, scratch.get());
    }
  });
}

struct Value {
  double offset, weight, mse_weight;
};

// values: one for all planes or one for each; grad_input, grad_target: of values, may be null.
template <typename T>
void mean(const Tensor& input, const Tensor& target, const Options& options, const Value& value,
          Tensor& values, Tensor* grad_input, Tensor* grad_target) {
  using C = Computed<T>;
  const std::vector<SsimTile> tiles = split(input.size(2), input.size(3));
  const int64_t planes = input.size(0) * input.size(1);
  const int64_t in_plane = static_cast<int64_t>(tiles.size());
  const auto geometry = geometry_of<C>(input, options);
  const int64_t pixels = geometry.height * geometry.width;
  const int64_t in_value = values.dim() == 0 ? planes : 1;
  const double per_position =
      value.weight / static_cast<double>(in_value * geometry.map_height * geometry.map_width);
  const double per_pixel = value.mse_weight / static_cast<double>(in_value * pixels);
  C* of_input = grad_input != nullptr ? grad_input->mutable_data_ptr<C>() : nullptr;
  C* of_target = grad_target != nullptr ? grad_target->mutable_data_ptr<C>() : nullptr;
  std::vector<double> dissimilarity(planes * in_plane), squares(planes * in_plane);
  for_each_tile<T>(input, target, options, tiles, [&](int64_t plane, int64_t tile) {
    SsimWork<C> work{};
    work.grad = static_cast<C>(-per_position);
    work.grad_square = static_cast<C>(per_pixel);
    work.grad_input = of_input != nullptr ? of_input + plane * pixels : nullptr;
    work.grad_target = of_target != nullptr ? of_target + plane * pixels : nullptr;
    work.dissimilarity = &dissimilarity[plane * in_plane + tile];
    work.squares = value.mse_weight != 0 ? &squares[plane * in_plane + tile] : nullptr;
    return work;
  });
  C* to = values.mutable_data_ptr<C>();
  for (int64_t i = 0; i < values.numel(); ++i) {
    double dissimilar = 0, square = 0;
    for (int64_t k = i * in_value * in_plane; k < (i + 1) * in_value * in_plane; ++k) {
      dissimilar += dissimilarity[k];
      square += squares[k];
    }
    to[i] = static_cast<C>(value.offset + dissimilar * per_position + square * per_pixel);
  }
}

template <typename T>
void map(const Tensor& input, const Tensor& target, const Options& options, Tensor& output) {
  using C = Computed<T>;
  C* to = output.mutable_data_ptr<C>();
  const int64_t positions = output.size(2) * output.size(3);
  for_each_tile<T>(input, target, options, split(input.size(2), input.size(3)),
                   [&](int64_t plane, int64_t) {
                     SsimWork<C> work{};
                     work.similarity = to + plane * positions;
                     return work;
                   });
}

template <typename T>
void map_backward(const Tensor& grad_output, const Tensor& input, const Tensor& target,
                  const Options& options, Tensor* grad_input, Tensor* grad_target) {
  using C = Computed<T>;
  const C* grads = grad_output.const_data_ptr<C>();
  C* of_input = grad_input->mutable_data_ptr<C>();
  C* of_target = grad_target != nullptr ? grad_target->mutable_data_ptr<C>() : nullptr;
  const int64_t positions = grad_output.size(2) * grad_output.size(3);
  const int64_t pixels = input.size(2) * input.size(3);
  for_each_tile<T>(input, target, options, split(input.size(2), input.size(3)),
                   [&](int64_t plane, int64_t) {
                     SsimWork<C> work{};
                     work.grad_map = grads + plane * positions;
                     work.grad = 1;
                     work.grad_input = of_input + plane * pixels;
                     work.grad_target = of_target != nullptr ? of_target + plane * pixels : nullptr;
                     return work;
                   });
}

ScalarType computed_type(const Tensor& input) {
  return input.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

// Images of the gradients that are asked for, empty tensors for the others.
std::tuple<Tensor, Tensor> new_gradients(const Tensor& input, bool of_input, bool of_target) {
  const auto gradient = [&](bool asked) {
    const auto type = computed_type(input);
    return asked ? torch::stable::new_empty(input, input.sizes(), type)
                 : torch::stable::new_empty(input, {0}, type);
  };
  return {gradient(of_input), gradient(of_target)};
}

// SSIM does not change when its images change places, so a gradient of the target alone is that of
// the input after they have.
template <typename F>
void in_order(const Tensor& input, const Tensor& target, Tensor& grad_input, Tensor& grad_target,
              bool of_input, bool of_target, const F& run) {
  if (of_input) {
    run(input, target, &grad_input, of_target ? &grad_target : nullptr);
  } else {
    run(target, input, of_target ? &grad_target : nullptr, nullptr);
  }
}

std::tuple<Tensor, Tensor, Tensor> ssim_mean(const Tensor& input, const Tensor& target,
                                             int64_t window_size, double sigma, double c1,
                                             double c2, bool same, double offset, double weight,
                                             double mse_weight, bool per_plane, bool of_input,
                                             bool of_target) {
  const Options options{window_size, sigma, c1, c2, same};
  const auto type = computed_type(input);
  Tensor values = per_plane ? torch::stable::new_empty(input, {input.size(0), input.size(1)}, type)
                            : torch::stable::new_empty(input, {}, type);
  auto [grad_input, grad_target] = new_gradients(input, of_input, of_target);
  in_order(input, target, grad_input, grad_target, of_input, of_target,
           [&, &values = values](const Tensor& x, const Tensor& y, Tensor* of_x, Tensor* of_y) {
             const Value value{offset, weight, mse_weight};
             THO_DISPATCH_V2(x.scalar_type(), "ssim_mean", AT_WRAP([&] {
                               mean<scalar_t>(x, y, options, value, values, of_x, of_y);
                             }),
                             VQE_FAST_FLOAT_TYPES);
           });
  return {values, grad_input, grad_target};
}

Tensor ssim_map(const Tensor& input, const Tensor& target, int64_t window_size, double sigma,
                double c1, double c2, bool same) {
  const Options options{window_size, sigma, c1, c2, same};
  const int64_t less = same ? 0 : window_size - 1;
  Tensor output = torch::stable::new_empty(
      input, {input.size(0), input.size(1), input.size(2) - less, input.size(3) - less},
      computed_type(input));
  THO_DISPATCH_V2(input.scalar_type(), "ssim_map",
                  AT_WRAP([&] { map<scalar_t>(input, target, options, output); }),
                  VQE_FAST_FLOAT_TYPES);
  return output;
}

std::tuple<Tensor, Tensor> ssim_map_backward(const Tensor& grad_output, const Tensor& input,
                                             const Tensor& target, int64_t window_size,
                                             double sigma, double c1, double c2, bool same,
                                             bool of_input, bool of_target) {
  const Options options{window_size, sigma, c1, c2, same};
  const Tensor grads = torch::stable::contiguous(grad_output);
  auto [grad_input, grad_target] = new_gradients(input, of_input, of_target);
  in_order(input, target, grad_input, grad_target, of_input, of_target,
           [&](const Tensor& x, const Tensor& y, Tensor* of_x, Tensor* of_y) {
             if (of_x == nullptr) {
               return;
             }
             THO_DISPATCH_V2(x.scalar_type(), "ssim_map_backward", AT_WRAP([&] {
                               map_backward<scalar_t>(grads, x, y, options, of_x, of_y);
                             }),
                             VQE_FAST_FLOAT_TYPES);
           });
  return {grad_input, grad_target};
}

}  // namespace
}  // namespace vqe_fast

STABLE_TORCH_LIBRARY_IMPL(vqe_fast, CPU, library) {
  library.impl("ssim_mean", TORCH_BOX(&vqe_fast::ssim_mean));
  library.impl("ssim_map", TORCH_BOX(&vqe_fast::ssim_map));
  library.impl("ssim_map_backward", TORCH_BOX(&vqe_fast::ssim_map_backward));
}
