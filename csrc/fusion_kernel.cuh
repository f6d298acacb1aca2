// Fusion on a GPU. The formulas are those of fusion_body.h.
//
// Windows: a block walks down a band of rows, a thread to a column; its sums gain the row that
// enters the window and lose the one that leaves it, and the columns' sums are shared to be added
// up along the row. Sharpening: a block has a tile of pixels and what lies around it in shared
// memory.
//
// Includes no CUDA header: the tests run it on the host.
#pragma once

#include <cstdint>

#include "fusion.h"

namespace vqe_fast {

constexpr int kFusionThreads = 256;
constexpr int64_t kBandRows = 32;
constexpr int kTileColumns = 32, kTileRows = 16;

struct FusionSize {
  int64_t images, channels, height, width;

  __host__ __device__ int64_t pixels() const { return height * width; }
};

// What the kernels of windows read and write; null leaves a thing out.
template <typename T, typename C>
struct BoxLaunch {
  const T* frames;  // [B, 1 or 3, H, W], any steps
  int64_t steps[4];
  FusionSize size;
  int64_t radius;
  C* map;          // [B, 1, H, W]: variances
  double* bounds;  // [blocks, 2]: least and largest variance
  double* means;   // [B, 1, H, W]
  const C* grads;  // [B, 1, H, W]: gradients of the variances
  C* gradient;     // [B, 1 or 3, H, W]

  // Columns of a block: the windows at its sides reach into its neighbours.
  __host__ __device__ int64_t strip() const { return kFusionThreads - 2 * radius; }
  __host__ __device__ int64_t strips() const { return (size.width + strip() - 1) / strip(); }
  __host__ __device__ int64_t bands() const { return (size.height + kBandRows - 1) / kBandRows; }
  __host__ __device__ int64_t blocks() const { return size.images * strips() * bands(); }

  __device__ double luma(int64_t image, int64_t row, int64_t column) const {
    const T* at = frames + image * steps[0] + row * steps[2] + column * steps[3];
    if (size.channels == 1) {
      return static_cast<double>(*at);
    }
    double sum = 0;
    for (int64_t c = 0; c < 3; ++c) {
      sum += luma_weight(c) * static_cast<double>(at[c * steps[1]]);
    }
    return sum;
  }

  __device__ double share(int64_t row, int64_t column) const {
    return 1.0 / static_cast<double>(window_side(row, radius, size.height) *
                                     window_side(column, radius, size.width));
  }
};

// The part of an image that a block computes.
struct BoxBlock {
  int64_t image, row_begin, row_end, column_begin, column_end;

  template <typename Launch>
  __device__ static BoxBlock of(const Launch& launch) {
    const int64_t block = blockIdx.x, strips = launch.strips(), bands = launch.bands();
    const int64_t row = block / strips % bands * kBandRows;
    const int64_t column = block % strips * launch.strip();
    const int64_t row_end = row + kBandRows, column_end = column + launch.strip();
    return {block / (strips * bands), row,
            row_end < launch.size.height ? row_end : launch.size.height, column,
            column_end < launch.size.width ? column_end : launch.size.width};
  }

  // Luma in the middle, which the sums are taken less of; 0 where it is not a number.
  template <typename Launch>
  __device__ double typical(const Launch& launch) const {
    const double value =
        launch.luma(image, (row_begin + row_end) / 2, (column_begin + column_end) / 2);
    return value - value == 0 ? value : 0;
  }
};

struct TwoMaps {
  double a, b;
};

// Calls sink(row, column, sums) for every pixel of the block with the sums, over the window around
// it, of the two maps that source(row, column) gives.
template <typename Source, typename Sink>
__device__ void box_sums(const FusionSize& size, int64_t radius, const BoxBlock& block,
                         const Source& source, const Sink& sink) {
  __shared__ double stretches[2][2][kFusionThreads];
  const int64_t thread = threadIdx.x, window = 2 * radius + 1;
  const int64_t column = block.column_begin - radius + thread;
  const bool present = 0 <= column && column < size.width && column < block.column_end + radius;
  TwoMaps sums = {};
  int buffer = 0;
  for (int64_t row = block.row_begin; row < block.row_end; ++row) {
    const int64_t enters = row + radius, leaves = row - radius - 1;
    bool anew = row == block.row_begin;
    if (present && !anew && leaves >= 0) {
      const TwoMaps lost = source(leaves, column);
      // What is infinite or not a number would stay for good.
      anew = lost.b - lost.b != 0;
      sums.a -= lost.a;
      sums.b -= lost.b;
    }
    if (present) {
      int64_t first = enters;
      if (anew) {
        sums = {};
        first = row > radius ? row - radius : 0;
      }
      for (int64_t i = first; i <= enters && i < size.height; ++i) {
        const TwoMaps gained = source(i, column);
        sums.a += gained.a;
        sums.b += gained.b;
      }
    }
    // stretch: the sum of `length` columns from this one on; the window is made up of such.
    TwoMaps stretch = sums, total = {};
    int64_t length = 1, end = window;
    while (true) {
      stretches[buffer][0][thread] = stretch.a;
      stretches[buffer][1][thread] = stretch.b;
      __syncthreads();
      const auto at = [&](int map, int64_t place) {
        return thread + place < kFusionThreads ? stretches[buffer][map][thread + place] : 0.0;
      };
      for (int64_t i = window / length % 4; i > 0; --i) {
        end -= length;
        total.a += at(0, end);
        total.b += at(1, end);
      }
      if (end > 0) {
        stretch.a = (at(0, 0) + at(0, length)) + (at(0, 2 * length) + at(0, 3 * length));
        stretch.b = (at(1, 0) + at(1, length)) + (at(1, 2 * length) + at(1, 3 * length));
        length *= 4;
      }
      buffer = 1 - buffer;
      if (end == 0) {
        break;
      }
    }
    const int64_t centre = block.column_begin + thread;
    if (centre < block.column_end) {
      sink(row, centre, total);
    }
  }
}

// The least or the largest of the values of a block, for its thread 0.
template <bool kLargest>
__device__ double extreme_of_block(double value) {
  __shared__ double values[kFusionThreads];
  const int thread = threadIdx.x;
  values[thread] = value;
  __syncthreads();
  for (int step = kFusionThreads / 2; step > 0; step /= 2) {
    if (thread < step) {
      const double other = values[thread + step], mine = values[thread];
      values[thread] = (kLargest ? other > mine : other < mine) || other != other ? other : mine;
    }
    __syncthreads();
  }
  const double extreme = values[0];
  __syncthreads();
  return extreme;
}

template <typename T, typename C>
__global__ void variance_kernel(BoxLaunch<T, C> launch) {
  const BoxBlock block = BoxBlock::of(launch);
  const double shift = block.typical(launch);
  double low = 1.0 / 0.0, high = -1.0 / 0.0, check = 0;
  box_sums(
      launch.size, launch.radius, block,
      [&](int64_t row, int64_t column) {
        const double x = launch.luma(block.image, row, column) - shift;
        return TwoMaps{x, x * x};
      },
      [&](int64_t row, int64_t column, const TwoMaps& sums) {
        const double share = launch.share(row, column), mean = share * sums.a;
        const double square = share * sums.b;
        double variance = square - mean * mean;
        variance = variance < kVarianceRounding * square ? 0 : variance;
        low = variance < low ? variance : low;
        high = variance > high ? variance : high;
        check += variance - variance;
        if (launch.map != nullptr) {
          launch.map[block.image * launch.size.pixels() + row * launch.size.width + column] =
              static_cast<C>(variance);
        }
      });
  low = extreme_of_block<false>(low + check);
  high = extreme_of_block<true>(high + check);
  if (threadIdx.x == 0) {
    launch.bounds[2 * static_cast<int64_t>(blockIdx.x)] = low;
    launch.bounds[2 * static_cast<int64_t>(blockIdx.x) + 1] = high;
  }
}

// The bounds of an image, a block to each, from those of its `count` blocks.
template <typename C>
__global__ void bounds_kernel(const double* found, int64_t count, C* bounds) {
  const int64_t image = blockIdx.x;
  double low = 1.0 / 0.0, high = -1.0 / 0.0;
  for (int64_t i = threadIdx.x; i < count; i += kFusionThreads) {
    const double* of_block = found + 2 * (image * count + i);
    low = of_block[0] < low || of_block[0] != of_block[0] ? of_block[0] : low;
    high = of_block[1] > high || of_block[1] != of_block[1] ? of_block[1] : high;
  }
  low = extreme_of_block<false>(low);
  high = extreme_of_block<true>(high);
  if (threadIdx.x == 0) {
    bounds[2 * image] = static_cast<C>(low);
    bounds[2 * image + 1] = static_cast<C>(high);
  }
}

template <typename T, typename C>
__global__ void mean_kernel(BoxLaunch<T, C> launch) {
  const BoxBlock block = BoxBlock::of(launch);
  const double shift = block.typical(launch);
  box_sums(
      launch.size, launch.radius, block,
      [&](int64_t row, int64_t column) {
        const double x = launch.luma(block.image, row, column) - shift;
        return TwoMaps{x, x * x};
      },
      [&](int64_t row, int64_t column, const TwoMaps& sums) {
        launch.means[block.image * launch.size.pixels() + row * launch.size.width + column] =
            shift + launch.share(row, column) * sums.a;
      });
}

template <typename T, typename C>
__global__ void variance_gradient_kernel(BoxLaunch<T, C> launch) {
  const BoxBlock block = BoxBlock::of(launch);
  const double shift = block.typical(launch);
  const int64_t pixels = launch.size.pixels(), width = launch.size.width;
  box_sums(
      launch.size, launch.radius, block,
      [&](int64_t row, int64_t column) {
        const int64_t at = block.image * pixels + row * width + column;
        const double grad = static_cast<double>(launch.grads[at]) * launch.share(row, column);
        return TwoMaps{grad, grad * (launch.means[at] - shift)};
      },
      [&](int64_t row, int64_t column, const TwoMaps& sums) {
        const double luma = launch.luma(block.image, row, column) - shift;
        const double of_luma = 2 * (luma * sums.a - sums.b);
        for (int64_t c = 0; c < launch.size.channels; ++c) {
          const double weight = launch.size.channels == 1 ? 1 : luma_weight(c);
          const int64_t plane = block.image * launch.size.channels + c;
          launch.gradient[plane * pixels + row * width + column] = static_cast<C>(weight * of_luma);
        }
      });
}

// What the kernels that sharpen read and write; null leaves a thing out.
template <typename T, typename C>
struct SharpLaunch {
  FusionSize size;
  Sharpening<C> filter;
  const T *detail, *smooth;  // [B, C, H, W], any steps; smooth alone is sharpened as it is
  int64_t detail_steps[4], smooth_steps[4];
  const C* variance;             // [B, 1, H, W]
  const C* bounds;               // [B, 2]
  T* output;                     // [B, C, H, W]
  T *grad_detail, *grad_smooth;  // [B, C, H, W], where smooth holds the gradient of the result

  __host__ __device__ int64_t across() const {
    return (size.width + kTileColumns - 1) / kTileColumns;
  }
  __host__ __device__ int64_t down() const { return (size.height + kTileRows - 1) / kTileRows; }
  __host__ __device__ int64_t blocks() const {
    return size.images * size.channels * across() * down();
  }
};

template <typename T, typename C>
__global__ void sharpen_kernel(SharpLaunch<T, C> launch) {
  constexpr int kMargin = kMaxTaps / 2;
  __shared__ C values[kTileRows + 2 * kMargin][kTileColumns + 2 * kMargin];
  __shared__ C blurred[kTileRows][kTileColumns + 2 * kMargin];
  const int64_t height = launch.size.height, width = launch.size.width;
  const int64_t block = blockIdx.x, across = launch.across(), down = launch.down();
  const int64_t plane = block / (across * down);
  const int64_t image = plane / launch.size.channels, channel = plane % launch.size.channels;
  const int64_t top = block / across % down * kTileRows, left = block % across * kTileColumns;
  const auto& filter = launch.filter;
  const int64_t radius = filter.radius();
  const auto pixel = [&](const T* frames, const int64_t* steps, int64_t row, int64_t column) {
    return static_cast<C>(
        frames[image * steps[0] + channel * steps[1] + row * steps[2] + column * steps[3]]);
  };
  const auto mask = [&](int64_t row, int64_t column) {
    const auto range = VarianceRange<C>::of(launch.bounds + 2 * image);
    return range.mask(launch.variance[image * height * width + row * width + column]);
  };
  const auto source = [&](int64_t row, int64_t column) {
    const C smooth = pixel(launch.smooth, launch.smooth_steps, row, column);
    if (launch.detail == nullptr) {
      return smooth;
    }
    const C detail = pixel(launch.detail, launch.detail_steps, row, column);
    return smooth + mask(row, column) * (detail - smooth);
  };
  const auto sink = [&](int64_t row, int64_t column, C value) {
    const int64_t at = plane * height * width + row * width + column;
    if (launch.output != nullptr) {
      launch.output[at] = static_cast<T>(value);
      return;
    }
    const C of_detail = mask(row, column) * value;
    if (launch.grad_detail != nullptr) {
      launch.grad_detail[at] = static_cast<T>(of_detail);
    }
    if (launch.grad_smooth != nullptr) {
      launch.grad_smooth[at] = static_cast<T>(value - of_detail);
    }
  };

  const int64_t wide = kTileColumns + 2 * radius, tall = kTileRows + 2 * radius;
  for (int64_t i = threadIdx.x; i < tall * wide; i += kFusionThreads) {
    const int64_t row = top - radius + i / wide, column = left - radius + i % wide;
    const bool inside = 0 <= row && row < height && 0 <= column && column < width;
    values[i / wide][i % wide] = inside ? source(row, column) : C(0);
  }
  __syncthreads();
  if (radius > 0) {
    for (int64_t i = threadIdx.x; i < kTileRows * wide; i += kFusionThreads) {
      const int64_t row = top + i / wide;
      C sum = 0;
      for (int64_t k = -radius; k <= radius && row < height; ++k) {
        const C weight = filter.weight(row, row + k, height);
        sum += weight != 0 ? weight * values[i / wide + radius + k][i % wide] : C(0);
      }
      blurred[i / wide][i % wide] = sum;
    }
    __syncthreads();
  }
  for (int64_t i = threadIdx.x; i < kTileRows * kTileColumns; i += kFusionThreads) {
    const int64_t row = top + i / kTileColumns, column = left + i % kTileColumns;
    if (row >= height || column >= width) {
      continue;
    }
    const C value = values[i / kTileColumns + radius][i % kTileColumns + radius];
    if (radius == 0) {
      sink(row, column, value);
      continue;
    }
    C blur = 0;
    for (int64_t k = -radius; k <= radius; ++k) {
      const C weight = filter.weight(column, column + k, width);
      const C beside = blurred[i / kTileColumns][i % kTileColumns + radius + k];
      blur += weight != 0 ? weight * beside : C(0);
    }
    sink(row, column, value + filter.amount * (value - blur));
  }
}

}  // namespace vqe_fast
