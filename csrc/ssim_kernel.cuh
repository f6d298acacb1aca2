// SSIM and its gradient on a GPU. The formulas are those of ssim_body.h.
//
// A block walks down a strip of the images, a thread to a column of window positions. Each row of
// pixels is shared for the moments along the row; each thread sums its column of them. With
// gradients, each row of slopes is shared and summed in the same way, for the pixels of the strip.
//
// Includes no CUDA header: the tests run it on the host.
#pragma once

#include <cstdint>

#include "ssim.h"

namespace vqe_fast {

constexpr int kSsimThreads = 128;
constexpr int64_t kSsimBandRows = 64;

// Pixels of a strip: with gradients the window positions at its sides belong to its neighbours.
__host__ __device__ inline int64_t ssim_strip(int64_t window, bool gradient) {
  return kSsimThreads - (gradient ? window - 1 : 0);
}

template <typename T, typename C>
struct SsimLaunch {
  const T *input, *target;  // [B, C, H, W], any steps
  int64_t input_steps[4], target_steps[4];
  int64_t planes, channels;
  int64_t bands, strips;  // blocks of a plane, along its height and its width
  SsimGeometry<C> geometry;
  C grad;                       // gradient of every similarity
  C grad_square;                // gradient of every squared difference
  const C* grad_map;            // [B, C, map_height, map_width]: of each, beside grad 1; or null
  C* similarity;                // [B, C, map_height, map_width] or null
  C *grad_input, *grad_target;  // [B, C, H, W] or null
  double* sums;  // [planes, bands, strips, 2] or null: of 1 - SSIM, of squared differences

  void plan(bool gradient) {
    const int64_t strip = ssim_strip(geometry.window, gradient);
    bands = (geometry.height + kSsimBandRows - 1) / kSsimBandRows;
    strips = (geometry.width + strip - 1) / strip;
  }
  int64_t blocks() const { return planes * bands * strips; }
};

// Blurs a column as its rows come.
template <typename C, int kWindow>
struct SsimColumn {
  C open[kWindow != 0 ? kWindow : kMaxWindow] = {};

  // Takes the next row, returns the sum over the window that ends there.
  __device__ C push(C value, const C* taps, int window) {
    const C closed = open[0] + taps[0] * value;
#pragma unroll
    for (int j = 0; j < window - 2; ++j) {
      open[j] = open[j + 1] + taps[j + 1] * value;
    }
    if (window > 1) {
      open[window - 2] = taps[0] * value;
    }
    return closed;
  }
};

template <typename C>
__device__ C ssim_positive(C value) {
  return value < 0 ? C(0) : value;
}

template <typename C>
__device__ C ssim_divide(C numerator, C denominator, C inverse) {
  const C quotient = numerator * inverse;
  return quotient + (numerator - quotient * denominator) * inverse;
}

template <typename C>
struct SsimResult {
  C similarity, dissimilarity;
  C slopes[4];  // from the input's mean, by squares, by products, from the target's mean
};

template <typename C>
__device__ SsimResult<C> ssim_compare(const C* moments, C shift_s, C shift_d, C grad,
                                      const SsimGeometry<C>& geometry) {
  const C m_s = moments[0], m_d = moments[1];
  const C mean_s = (m_s + shift_s) * geometry.luminance;
  const C mean_d = (m_d + shift_d) * geometry.luminance;
  const C mean_x = mean_s + mean_d, mean_y = mean_s - mean_d;
  const C square_d = mean_d * mean_d;
  const C sum_l = mean_s * mean_s + 2 * geometry.c1 + square_d, inverse_l = 1 / sum_l;
  const C variance_s = ssim_positive(moments[2] - m_s * m_s);
  const C variance_d = ssim_positive(moments[3] - m_d * m_d);
  const C sum_c = variance_s + variance_d + 2 * geometry.c2, inverse_c = 1 / sum_c;
  const C l = ssim_divide(mean_x * mean_y + 2 * geometry.c1, sum_l, inverse_l);
  const C c = ssim_divide(variance_s - variance_d + 2 * geometry.c2, sum_c, inverse_c);
  const C a = 2 * square_d * inverse_l, b = 2 * variance_d * inverse_c;
  const C product = l * inverse_c * grad, square = c * product, mean = c * inverse_l * grad;
  const C m_x = m_s + m_d, m_y = m_s - m_d;
  return {l * c,
          a + b - a * b,
          {mean * (mean_y - l * mean_x) + m_x * square - m_y * product, square, product,
           mean * (mean_x - l * mean_y) + m_y * square - m_x * product}};
}

// Adds up what the threads have, for all of them; the order does not depend on chance.
template <typename C>
__device__ double ssim_block_sum(C value) {
  __shared__ double parts[kSsimThreads];
  const int thread = threadIdx.x;
  __syncthreads();
  parts[thread] = static_cast<double>(value);
  for (int half = kSsimThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (thread < half) {
      parts[thread] += parts[thread + half];
    }
  }
  __syncthreads();
  return parts[0];
}

// kWindow: the window, or 0 for the one of the geometry. kGrads: of how many images the gradient
// is wanted.
template <typename T, typename C, int kWindow, int kGrads>
__global__ void ssim_kernel(SsimLaunch<T, C> launch) {
  constexpr int kMaps = kGrads == 0 ? 1 : kGrads + 2;
  constexpr int kWidest = kSsimThreads + (kWindow != 0 ? kWindow : kMaxWindow) - 1;
  __shared__ C pixels[2][2][kWidest];  // two rows in turn: sums, differences
  __shared__ C slopes[kMaps][kSsimThreads];

  const SsimGeometry<C>& geometry = launch.geometry;
  const int window = kWindow != 0 ? kWindow : static_cast<int>(geometry.window);
  const int thread = threadIdx.x;
  const int64_t strip = blockIdx.x % launch.strips;
  const int64_t band = blockIdx.x / launch.strips % launch.bands;
  const int64_t plane = blockIdx.x / launch.strips / launch.bands;
  const int64_t image = plane / launch.channels, channel = plane % launch.channels;
  const T* input = launch.input + image * launch.input_steps[0] + channel * launch.input_steps[1];
  const T* target =
      launch.target + image * launch.target_steps[0] + channel * launch.target_steps[1];

  const int64_t width_of_strip = ssim_strip(window, kGrads != 0);
  const int64_t row_begin = band * kSsimBandRows;
  const int64_t row_end =
      row_begin + kSsimBandRows < geometry.height ? row_begin + kSsimBandRows : geometry.height;
  const int64_t column_begin = strip * width_of_strip;
  const int64_t before = kGrads != 0 ? window - 1 - geometry.margin : 0;
  const int64_t after = kGrads != 0 ? geometry.margin : 0;

  // What this thread stands for: a column of positions, and one of pixels.
  const int64_t position = column_begin - before + thread;
  const bool computed = position >= 0 && position < geometry.map_width;
  const int64_t pixel = column_begin + thread;
  const bool mine = thread < width_of_strip && pixel < geometry.width;
  const bool counted =
      computed && position >= column_begin && position < column_begin + width_of_strip;
  const int at_pixel = static_cast<int>(before + geometry.margin) + thread;

  const auto value = [&](const T* from, const int64_t* steps, int64_t row, int64_t column) {
    return static_cast<C>(from[row * steps[2] + column * steps[3]]);
  };

  // The mean of a few pixels; what s and d are less.
  __shared__ C samples[2][16];
  if (thread < 16) {
    const int64_t widest = column_begin + width_of_strip < geometry.width
                               ? width_of_strip
                               : geometry.width - column_begin;
    const int64_t row = row_begin + (row_end - row_begin - 1) * (thread / 4) / 4;
    const int64_t column = column_begin + (widest - 1) * (thread % 4) / 4;
    samples[0][thread] = value(input, launch.input_steps, row, column);
    samples[1][thread] = value(target, launch.target_steps, row, column);
  }
  __syncthreads();
  C input_shift = 0, target_shift = 0;
  for (int i = 0; i < 16; ++i) {
    input_shift += samples[0][i] / 16;
    target_shift += samples[1][i] / 16;
  }
  input_shift = input_shift - input_shift == 0 ? input_shift : C(0);
  target_shift = target_shift - target_shift == 0 ? target_shift : C(0);
  const C shift_s = input_shift + target_shift, shift_d = input_shift - target_shift;

  SsimColumn<C, kWindow> moment_columns[4], slope_columns[kMaps];
  C dissimilarity = 0, squares = 0;
  const int64_t first = row_begin - before - geometry.margin;
  const int64_t last = row_end - 1 + after - geometry.margin + window - 1;
  for (int64_t row = first; row <= last; ++row) {
    auto& shared = pixels[(row - first) % 2];
    for (int i = thread; i < kSsimThreads + window - 1; i += kSsimThreads) {
      const int64_t column = column_begin - before - geometry.margin + i;
      C x = 0, y = 0;
      if (row >= 0 && row < geometry.height && column >= 0 && column < geometry.width) {
        x = value(input, launch.input_steps, row, column);
        y = value(target, launch.target_steps, row, column);
      }
      shared[0][i] = (x - input_shift) + (y - target_shift);
      shared[1][i] = (x - input_shift) - (y - target_shift);
    }
    __syncthreads();
    if (mine && row >= row_begin && row < row_end) {
      const C difference = shared[1][at_pixel] + shift_d;
      squares += difference * difference;
    }

    C moments[4] = {};
#pragma unroll
    for (int j = 0; j < window; ++j) {
      const C s = shared[0][thread + j], d = shared[1][thread + j], tap = geometry.taps[j];
      moments[0] += tap * s;
      moments[1] += tap * d;
      moments[2] += tap * s * s;
      moments[3] += tap * d * d;
    }
    for (int map = 0; map < 4; ++map) {
      moments[map] = moment_columns[map].push(moments[map], geometry.taps, window);
    }
    const int64_t position_row = row + geometry.margin - window + 1;
    if (position_row < row_begin - before) {
      continue;
    }

    const bool valid = computed && position_row >= 0 && position_row < geometry.map_height;
    SsimResult<C> result = {};
    if (valid) {
      const int64_t place =
          (plane * geometry.map_height + position_row) * geometry.map_width + position;
      const C grad = launch.grad_map != nullptr ? launch.grad_map[place] : C(1);
      result = ssim_compare(moments, shift_s, shift_d, grad, geometry);
      if (counted && position_row >= row_begin && position_row < row_end) {
        dissimilarity += result.dissimilarity;
        if (launch.similarity != nullptr) {
          launch.similarity[place] = result.similarity;
        }
      }
    }
    if constexpr (kGrads != 0) {
      for (int map = 0; map < kMaps; ++map) {
        slopes[map][thread] = result.slopes[map];
      }
      __syncthreads();
      C blurred[kMaps] = {};
      if (thread < width_of_strip) {
#pragma unroll
        for (int j = 0; j < window; ++j) {
          for (int map = 0; map < kMaps; ++map) {
            blurred[map] += geometry.taps[j] * slopes[map][thread + j];
          }
        }
      }
      for (int map = 0; map < kMaps; ++map) {
        blurred[map] = slope_columns[map].push(blurred[map], geometry.taps, window);
      }
      const int64_t pixel_row = position_row - geometry.margin;
      if (mine && pixel_row >= row_begin && pixel_row < row_end) {
        const C x = 2 * (value(input, launch.input_steps, pixel_row, pixel) - input_shift);
        const C y = 2 * (value(target, launch.target_steps, pixel_row, pixel) - target_shift);
        const C by_square = ((x - y) / 2 + shift_d) * (2 * launch.grad_square);
        const C grad = 2 * launch.grad;
        const int64_t place = (plane * geometry.height + pixel_row) * geometry.width + pixel;
        launch.grad_input[place] =
            (blurred[0] + y * blurred[2] - x * blurred[1]) * grad + by_square;
        if constexpr (kGrads == 2) {
          launch.grad_target[place] =
              (blurred[3] + x * blurred[2] - y * blurred[1]) * grad - by_square;
        }
      }
    }
  }
  if (launch.sums != nullptr) {
    const double total = ssim_block_sum(dissimilarity), total_squares = ssim_block_sum(squares);
    if (thread == 0) {
      launch.sums[2 * static_cast<int64_t>(blockIdx.x)] = total;
      launch.sums[2 * static_cast<int64_t>(blockIdx.x) + 1] = total_squares;
    }
  }
}

// values[i] = offset + per_position * (sum of 1 - SSIM) + per_pixel * (sum of squares) over `count`
// pairs of sums.
template <typename C>
__global__ void ssim_value_kernel(const double* sums, int64_t count, double offset,
                                  double per_position, double per_pixel, C* values) {
  double dissimilarity = 0, squares = 0;
  const int64_t value = blockIdx.x;
  for (int64_t i = threadIdx.x; i < count; i += kSsimThreads) {
    dissimilarity += sums[2 * (value * count + i)];
    squares += sums[2 * (value * count + i) + 1];
  }
  dissimilarity = ssim_block_sum(dissimilarity);
  squares = ssim_block_sum(squares);
  if (threadIdx.x == 0) {
    values[value] = static_cast<C>(offset + per_position * dissimilarity + per_pixel * squares);
  }
}

}  // namespace vqe_fast
