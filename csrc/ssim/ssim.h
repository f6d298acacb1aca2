// The window, the constants and the value of SSIM, the same for every device.
#pragma once

#include <cmath>
#include <cstdint>
#include <tuple>

namespace vqe_fast {

constexpr int64_t kMaxWindow = 33;

// A Gaussian of `window` taps. The one in the middle makes up for what rounding took from the
// others: their sum is 1, lest every moment be off by the same factor.
template <typename C>
void fill_gaussian(int64_t window, double sigma, C* taps) {
  const int64_t half = window / 2;
  double values[kMaxWindow];
  double sum = 0;
  for (int64_t i = 0; i < window; ++i) {
    const double offset = static_cast<double>(i - half);
    values[i] = std::exp(-offset * offset / (2 * sigma * sigma));
    sum += values[i];
  }
  double rest = 1;
  for (int64_t i = 0; i < window; ++i) {
    taps[i] = static_cast<C>(values[i] / sum);
    rest -= i == half ? 0 : static_cast<double>(taps[i]);
  }
  taps[half] = static_cast<C>(rest);
}

// Window positions count from the first one that is used: position p sees the pixels p - margin
// to p - margin + window - 1, zeros where they lie outside.
template <typename C>
struct SsimGeometry {
  int64_t height, width;          // of the images
  int64_t map_height, map_width;  // of the window positions
  int64_t window, margin;
  C taps[kMaxWindow];  // sum 1, symmetric
  C c1, c2;            // (k1 range)^2 and (k2 range)^2
  C luminance;         // 1, or 0 to leave l out of SSIM; c1 must be above 0 then
};

struct SsimOptions {
  int64_t window_size;
  double sigma, c1, c2;  // c1 below 0 leaves l out of SSIM
  bool same;
};

// value = offset + weight * mean(1 - SSIM) + mse_weight * mean squared difference
struct SsimBlend {
  double offset, weight, mse_weight;
};

template <typename C>
SsimGeometry<C> ssim_geometry(int64_t height, int64_t width, const SsimOptions& options) {
  SsimGeometry<C> geometry{};
  geometry.height = height;
  geometry.width = width;
  geometry.window = options.window_size;
  geometry.margin = options.same ? options.window_size / 2 : 0;
  geometry.map_height = geometry.height + 2 * geometry.margin - options.window_size + 1;
  geometry.map_width = geometry.width + 2 * geometry.margin - options.window_size + 1;
  fill_gaussian(options.window_size, options.sigma, geometry.taps);
  const bool luminance = options.c1 >= 0;
  geometry.luminance = luminance ? 1 : 0;
  geometry.c1 = luminance ? static_cast<C>(options.c1) : 1;
  geometry.c2 = static_cast<C>(options.c2);
  return geometry;
}

// What a value counts each position and each pixel, where `planes` planes make up a value.
template <typename C>
std::tuple<double, double> ssim_shares(const SsimGeometry<C>& geometry, const SsimBlend& blend,
                                       int64_t planes) {
  const auto positions = static_cast<double>(planes * geometry.map_height * geometry.map_width);
  const auto pixels = static_cast<double>(planes * geometry.height * geometry.width);
  return {blend.weight / positions, blend.mse_weight / pixels};
}

}  // namespace vqe_fast
