// SSIM and its gradient on a GPU. The formulas are those of ssim/ssim-inl.h.
//
// A block walks down a strip of the images. Its threads share the work in roles, a few warps each:
// one role blurs s and its square, one d and its square, and with gradients two blur the slopes. A
// thread has a few columns next to each other of two maps, and their open sums in registers. Rows
// go from role to role through shared memory, each two turns in turn, so that one barrier a row is
// enough: while the moments of a row are summed, the row before is compared, the slopes of the one
// before that are summed, and the gradient of one row more is written.
//
// Includes no CUDA header: the tests run it on the host.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ssim/ssim.h"
#include "ssim/ssim_blur.cuh"
#include "ssim/ssim_compare.cuh"

namespace vqe_fast {

// How a block works. kWindow: the window, or 0 for that of the launch. kGrads: of how many images
// the gradient is wanted.
template <typename C, int kWindow, int kGrads>
struct SsimBlock {
  static constexpr int kMaps = kGrads == 0 ? 1 : kGrads + 2;  // of slopes
  static constexpr int kRoles = kGrads == 0 ? 2 : 4;
  static constexpr int kWidth = SsimRow<C, kWindow>::kWidth;
  // Of threads, of one role.
  static constexpr int kLanes = kWindow == 0     ? (sizeof(C) == 8 ? 96 : 128)
                                : sizeof(C) == 8 ? 32
                                : kGrads == 0    ? 128
                                                 : 64;
  static constexpr int kThreads = kRoles * kLanes;
  static constexpr int kColumns = kLanes * kWidth;
  // Blocks of a multiprocessor: 16 warps of float32.
  static constexpr int kBlocks = sizeof(C) == 8 ? 1 : 512 / kThreads;

  // Columns that neighbouring windows share, rounded up so that strips begin alike.
  __host__ __device__ static constexpr int reach(int window) { return (window + 2) / 4 * 4; }
  // Columns from the first of a strip to that of the next one.
  __host__ __device__ static constexpr int strip(int window) {
    return kColumns - reach(window) * (kGrads == 0 ? 1 : 2);
  }
  // Columns that a strip loads before its own.
  __host__ __device__ static constexpr int before(int window, int margin) {
    return kGrads == 0 ? (margin + 3) / 4 * 4 : reach(window);
  }
};

// Calls visit(SsimBlock) with the one that fits.
template <typename C, typename Visit>
void ssim_with_block(int64_t window, int grads, Visit visit) {
  const auto with_window = [&]<int kWindow>() {
    if (grads == 2) {
      visit.template operator()<kWindow, 2>();
    } else if (grads == 1) {
      visit.template operator()<kWindow, 1>();
    } else {
      visit.template operator()<kWindow, 0>();
    }
  };
  if (window == 11) {
    with_window.template operator()<11>();
  } else if (window == 9) {
    with_window.template operator()<9>();
  } else if (window == 7) {
    with_window.template operator()<7>();
  } else {
    with_window.template operator()<0>();
  }
}

template <typename T, typename C>
struct SsimLaunch {
  const T *input, *target;  // [B, C, H, W], any strides
  int64_t input_strides[4], target_strides[4];
  int64_t planes, channels;
  int64_t bands, strips;  // blocks of a plane, along its height and its width
  int band_rows;          // of all bands but the last
  bool wide;              // four columns, from a multiple of four on, lie together and aligned
  bool squared;           // whether squared differences are summed
  SsimGeometry<C> geometry;
  SsimConstants<C> constants;
  C grad;                       // gradient of every similarity
  C grad_square;                // gradient of every squared difference
  const C* grad_map;            // [B, C, map_height, map_width]: of each, beside grad 1; or null
  C* similarity;                // [B, C, map_height, map_width] or null; without gradients only
  C *grad_input, *grad_target;  // [B, C, H, W] or null
  double* sums;  // [planes, bands, strips, 2] or null: of 1 - SSIM, of squared differences

  // Lays the blocks out, for the gradients of so many images.
  void plan(int grads) {
    constexpr int64_t kEnoughBlocks = 2048, kFewestRows = 32, kMostRows = 256;
    const int window = static_cast<int>(geometry.window);
    const int margin = static_cast<int>(geometry.margin);
    const auto over = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
    ssim_with_block<C>(window, grads, [&]<int kWindow, int kGrads>() {
      using Block = SsimBlock<C, kWindow, kGrads>;
      const int64_t before = Block::before(window, margin);
      const int64_t columns = kGrads == 0
                                  ? std::max(geometry.width, geometry.map_width + before - margin)
                                  : geometry.width + before - (window - 1);
      strips = over(columns, Block::strip(window));
    });
    const int64_t rows = over(geometry.height * planes * strips, kEnoughBlocks);
    bands = over(geometry.height, std::clamp(rows, kFewestRows, kMostRows));
    band_rows = static_cast<int>(over(geometry.height, std::max<int64_t>(bands, 1)));
    constants = {geometry.luminance, 2 * geometry.c1, 2 * geometry.c2};
    wide = lies_wide(input, input_strides) && lies_wide(target, target_strides);
  }
  int64_t blocks() const { return planes * bands * strips; }

 private:
  static bool lies_wide(const T* image, const int64_t* strides) {
    return reinterpret_cast<uintptr_t>(image) % (4 * sizeof(T)) == 0 && strides[0] % 4 == 0 &&
           strides[1] % 4 == 0 && strides[2] % 4 == 0 && strides[3] == 1;
  }
};

// What a block takes from its pixels, and so from the means of s and d, times luminance.
template <typename C>
struct SsimShifts {
  C input, target, d, mean_s, mean_d;
};

__device__ inline int ssim_smaller(int a, int b) { return a < b ? a : b; }

// Adds up what the threads have, for all of them; the order does not depend on chance.
template <int kThreads, typename C>
__device__ double ssim_block_sum(C value) {
  constexpr int kLargestPower = kThreads >= 512   ? 512
                                : kThreads >= 256 ? 256
                                : kThreads >= 128 ? 128
                                                  : 64;
  __shared__ double parts[kThreads];
  const int thread = threadIdx.x;
  __syncthreads();
  parts[thread] = static_cast<double>(value);
  for (int half = kLargestPower; half > 0; half /= 2) {
    __syncthreads();
    if (thread < half && thread + half < kThreads) {
      parts[thread] += parts[thread + half];
    }
  }
  __syncthreads();
  return parts[0];
}

template <typename T, typename C, int kWindow, int kGrads>
__global__ void __launch_bounds__(SsimBlock<C, kWindow, kGrads>::kThreads,
                                  SsimBlock<C, kWindow, kGrads>::kBlocks)
    ssim_kernel(SsimLaunch<T, C> launch) {
  using Block = SsimBlock<C, kWindow, kGrads>;
  constexpr int kMaps = Block::kMaps, kWidth = Block::kWidth, kLanes = Block::kLanes;
  constexpr int kColumns = Block::kColumns, kThreads = Block::kThreads;
  constexpr int kEach = (kColumns + kThreads - 1) / kThreads;  // columns of a map, of a thread
  alignas(16) __shared__ C pixels[2][2][kColumns];             // s, d
  alignas(16) __shared__ C moments[2][4][kColumns];            // of s, s^2, d, d^2
  alignas(16) __shared__ C slopes[2][kMaps][kColumns];
  alignas(16) __shared__ C blurred[2][kMaps][kColumns];

  const SsimGeometry<C>& geometry = launch.geometry;
  const C* taps = geometry.taps;
  const int window = kWindow != 0 ? kWindow : static_cast<int>(geometry.window);
  const int height = static_cast<int>(geometry.height);
  const int width = static_cast<int>(geometry.width);
  const int map_height = static_cast<int>(geometry.map_height);
  const int map_width = static_cast<int>(geometry.map_width);
  const int margin = static_cast<int>(geometry.margin);
  const int thread = threadIdx.x;
  const int role = thread / kLanes, lane = thread % kLanes;

  const int strip = static_cast<int>(blockIdx.x % launch.strips);
  const int band = static_cast<int>(blockIdx.x / launch.strips % launch.bands);
  const int64_t plane = blockIdx.x / launch.strips / launch.bands;
  const int64_t image = plane / launch.channels, channel = plane % launch.channels;
  const T* input =
      launch.input + image * launch.input_strides[0] + channel * launch.input_strides[1];
  const T* target =
      launch.target + image * launch.target_strides[0] + channel * launch.target_strides[1];

  // Pixels of the strip: squared differences are summed from `own` to `own` + strip_width. Windows
  // and gradients lie so from the first column that is loaded that all strips together have each.
  const int strip_width = Block::strip(window);
  const int own = strip * strip_width, before = Block::before(window, margin);
  const int first_column = own - before;
  const int positions = kColumns - Block::reach(window);
  const int row_begin = band * launch.band_rows;
  const int row_end = ssim_smaller(row_begin + launch.band_rows, height);
  const int grown = (window - 1) * (kGrads == 0 ? 1 : 2);
  const int rows = row_end - row_begin + grown;
  const int first_row = row_begin - (kGrads == 0 ? margin : window - 1);
  // The first row of positions, which the row of pixels window - 1 completes.
  const int first_position = first_row + margin;

  // The mean of a few pixels; what s and d are less.
  __shared__ C samples[2][16];
  if (thread < 16) {
    const int across = ssim_smaller(strip_width, width - own);
    const int64_t row = row_begin + (row_end - row_begin - 1) * (thread / 4) / 4;
    const int64_t column = across > 0 ? own + (across - 1) * (thread % 4) / 4 : width - 1;
    const auto sample = [&](const T* from, const int64_t* strides) {
      return static_cast<C>(from[row * strides[2] + column * strides[3]]);
    };
    samples[0][thread] = sample(input, launch.input_strides);
    samples[1][thread] = sample(target, launch.target_strides);
  }
  __syncthreads();
  __shared__ SsimShifts<C> shared_shifts;
  if (thread == 0) {
    C of_input = 0, of_target = 0;
    for (int i = 0; i < 16; ++i) {
      of_input += samples[0][i] / 16;
      of_target += samples[1][i] / 16;
    }
    of_input = of_input - of_input == 0 ? of_input : C(0);
    of_target = of_target - of_target == 0 ? of_target : C(0);
    shared_shifts = {of_input, of_target, of_input - of_target,
                     (of_input + of_target) * geometry.luminance,
                     (of_input - of_target) * geometry.luminance};
  }
  __syncthreads();
  // With gradients registers are too scarce to keep them there.
  SsimShifts<C> own_shifts = shared_shifts;
  const SsimShifts<C>& shifts = kGrads == 0 ? own_shifts : shared_shifts;

  // Each role loads every kRoles-th row, one ahead in registers.
  const int quad_column = first_column + 4 * lane;
  const bool loads = 4 * lane < kColumns;
  const bool whole = launch.wide && quad_column >= 0 && quad_column + 4 <= width;
  const bool squared = launch.squared && quad_column >= own && quad_column < own + strip_width;
  const auto at_first_quad = [&](const T* from, const int64_t* strides) {
    return from + (first_row + role) * strides[2] + quad_column * strides[3];
  };
  const T* next_x = at_first_quad(input, launch.input_strides);
  const T* next_y = at_first_quad(target, launch.target_strides);
  SsimVector<T, 4> x, y;
  const auto fetch = [&](int i_row) {
    const int row = first_row + i_row;
    const bool inside = i_row < rows && row >= 0 && row < height;
    if (inside && whole) {
      x = ssim_load<4>(next_x);
      y = ssim_load<4>(next_y);
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const bool here = inside && quad_column + i >= 0 && quad_column + i < width;
        x.at[i] = here ? next_x[i * launch.input_strides[3]] : static_cast<T>(0.0f);
        y.at[i] = here ? next_y[i * launch.target_strides[3]] : static_cast<T>(0.0f);
      }
    }
    next_x += Block::kRoles * launch.input_strides[2];
    next_y += Block::kRoles * launch.target_strides[2];
  };
  if (loads) {
    fetch(role);
  }

  // What a thread blurs: its columns of the two maps of its role.
  const bool of_pixels = role < 2;
  const int lane_column = lane * kWidth;
  const int loaded = SsimRow<C, kWindow>::loaded(window);
  const int from_column = ssim_smaller(lane_column, kColumns - loaded);
  SsimColumn<C, kWindow> columns[2][kWidth];
  const auto blur = [&](int map, const SsimRow<C, kWindow>& row, C* to) {
    SsimVector<C, kWidth> sums;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      sums.at[i] = columns[map][i].push(row.sum(i, taps), taps, window);
    }
    ssim_store(to + lane_column, sums);
  };

  // What a thread compares.
  bool valid[kEach];
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int column = thread + i * kThreads, position = first_column + margin + column;
    valid[i] = column < positions && position >= 0 && position < map_width;
  }
  const bool counted = valid[0] && thread >= margin && thread < margin + strip_width;

  // The pixel whose gradient a thread writes.
  const int pixel = first_column + window - 1 + thread;
  const bool written = thread < strip_width && pixel >= 0 && pixel < width;

  C dissimilarity = 0, squares = 0;
  for (int i_row = 0; i_row < rows + (kGrads == 0 ? 1 : 3); ++i_row) {
    const int turn = i_row % 2;
    if (loads && i_row % Block::kRoles == role && i_row < rows) {
      SsimVector<C, 4> s, d;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const C input_rest = static_cast<C>(x.at[i]) - shifts.input;
        const C target_rest = static_cast<C>(y.at[i]) - shifts.target;
        s.at[i] = input_rest + target_rest;
        d.at[i] = input_rest - target_rest;
      }
      ssim_store(&pixels[turn][0][4 * lane], s);
      ssim_store(&pixels[turn][1][4 * lane], d);
      const int row = first_row + i_row;
      if (squared && row >= row_begin && row < row_end) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const C difference = d.at[i] + shifts.d;  // 0 outside of the image
          squares += difference * difference;
        }
      }
      fetch(i_row + Block::kRoles);
    }
    __syncthreads();

    if (of_pixels) {
      if (i_row < rows) {
        SsimRow<C, kWindow> row(&pixels[turn][role][from_column], window);
        blur(0, row, moments[turn][2 * role]);
        row.square();
        blur(1, row, moments[turn][2 * role + 1]);
      }
    } else if constexpr (kGrads != 0) {
      const int i_slopes = i_row - 2;
      if (i_slopes >= window - 1 && i_slopes < rows) {
        const int map = 2 * (role - 2);
        blur(0, SsimRow<C, kWindow>(&slopes[turn][map][from_column], window), blurred[turn][map]);
        if (map + 1 < kMaps) {
          blur(1, SsimRow<C, kWindow>(&slopes[turn][map + 1][from_column], window),
               blurred[turn][map + 1]);
        }
      }
    }

    const int i_compared = i_row - 1;
    if (i_compared >= window - 1 && i_compared < rows) {
      const int position_row = first_position + i_compared - (window - 1);
      const bool in_map = position_row >= 0 && position_row < map_height;
      const auto compared = [&](int column) {
        const auto& of = moments[1 - turn];
        return SsimWindow<C>(of[0][column], of[1][column], of[2][column], of[3][column],
                             shifts.mean_s, shifts.mean_d, launch.constants);
      };
      const int64_t o_map = (plane * map_height + position_row) * map_width + first_column + margin;
      if constexpr (kGrads == 0) {
        if (in_map) {
#pragma unroll
          for (int i = 0; i < kEach; ++i) {
            const C value =
                compared(ssim_smaller(thread + i * kThreads, kColumns - 1)).dissimilarity();
            dissimilarity += valid[i] ? value : C(0);
          }
          if (launch.similarity != nullptr) {
            for (int i = 0; i < kEach; ++i) {
              const int column = thread + i * kThreads;
              if (valid[i]) {
                launch.similarity[o_map + column] = compared(column).similarity();
              }
            }
          }
        }
      } else if (thread < kColumns) {
        C slope[4] = {};
        if (in_map && valid[0]) {
          const auto window_here = compared(thread);
          const bool row_counted = position_row >= row_begin && position_row < row_end;
          dissimilarity += row_counted && counted ? window_here.dissimilarity() : C(0);
          const C grad = launch.grad_map != nullptr ? launch.grad_map[o_map + thread] : C(1);
          window_here.slopes(grad, slope);
        }
#pragma unroll
        for (int map = 0; map < kMaps; ++map) {
          slopes[1 - turn][map][thread] = slope[map];
        }
      }
    }

    if constexpr (kGrads != 0) {
      const int i_blurred = i_row - 3;
      if (i_blurred >= grown && written) {
        const int64_t row = row_begin + i_blurred - grown;
        const int64_t o_input = row * launch.input_strides[2];
        const int64_t o_target = row * launch.target_strides[2];
        const int64_t o_gradient = (plane * height + row) * width;
        const C x_here = static_cast<C>(input[o_input + pixel * launch.input_strides[3]]);
        const C y_here = static_cast<C>(target[o_target + pixel * launch.target_strides[3]]);
        const C two_x = 2 * (x_here - shifts.input), two_y = 2 * (y_here - shifts.target);
        const C by_square = ((two_x - two_y) / 2 + shifts.d) * (2 * launch.grad_square);
        const C grad = 2 * launch.grad;
        const auto& of = blurred[1 - turn];
        launch.grad_input[o_gradient + pixel] =
            (of[0][thread] + two_y * of[2][thread] - two_x * of[1][thread]) * grad + by_square;
        if constexpr (kGrads == 2) {
          launch.grad_target[o_gradient + pixel] =
              (of[3][thread] + two_x * of[2][thread] - two_y * of[1][thread]) * grad - by_square;
        }
      }
    }
  }
  if (launch.sums != nullptr) {
    const double total = ssim_block_sum<kThreads>(dissimilarity);
    const double total_squares = ssim_block_sum<kThreads>(squares);
    if (thread == 0) {
      launch.sums[2 * static_cast<int64_t>(blockIdx.x)] = total;
      launch.sums[2 * static_cast<int64_t>(blockIdx.x) + 1] = total_squares;
    }
  }
}

constexpr int kSsimValueThreads = 128;

// values[i] = offset + per_position * (sum of 1 - SSIM) + per_pixel * (sum of squares) over `count`
// pairs of sums.
template <typename C>
__global__ void ssim_value_kernel(const double* sums, int64_t count, double offset,
                                  double per_position, double per_pixel, C* values) {
  double dissimilarity = 0, squares = 0;
  const int64_t value = blockIdx.x;
  for (int64_t i = threadIdx.x; i < count; i += kSsimValueThreads) {
    dissimilarity += sums[2 * (value * count + i)];
    squares += sums[2 * (value * count + i) + 1];
  }
  dissimilarity = ssim_block_sum<kSsimValueThreads>(dissimilarity);
  squares = ssim_block_sum<kSsimValueThreads>(squares);
  if (threadIdx.x == 0) {
    values[value] = static_cast<C>(offset + per_position * dissimilarity + per_pixel * squares);
  }
}

}  // namespace vqe_fast
