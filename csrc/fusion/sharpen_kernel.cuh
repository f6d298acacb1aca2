// Fusing and sharpening on a GPU.
//
// Taps that reach no further than a pixel: a block walks down a band of rows, a thread to four
// columns of all channels, and keeps what it needs of the two rows before; of the columns beside
// its own it is told by the other threads. Longer taps: a block has a tile of pixels and what lies
// around it in shared memory.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "fusion/columns_kernel.cuh"
#include "fusion/fusion.h"

namespace vqe_fast {

constexpr int kSharpThreads = 128;
constexpr int kSharpRows = 16;
constexpr int kTileThreads = 256;
constexpr int kTileColumns = 32, kTileRows = 16;

// What the kernels that sharpen read and write; null leaves a thing out.
template <typename T, typename C>
struct SharpLaunch {
  FusionSize size;
  Sharpening<C> filter;
  const T *detail, *smooth;  // [B, C, H, W], any strides; smooth alone is sharpened as it is
  int64_t detail_strides[4], smooth_strides[4];
  const C* variance;             // [B, 1, H, W]
  const C* bounds;               // [B, 2]
  T* output;                     // [B, C, H, W]
  T *grad_detail, *grad_smooth;  // [B, C, H, W], where smooth holds the gradient of the result

  bool aligned() const {
    return (detail == nullptr || rows_aligned(detail, detail_strides, size)) &&
           rows_aligned(smooth, smooth_strides, size) && rows_aligned(variance, size) &&
           rows_aligned(output, size) && rows_aligned(grad_detail, size) &&
           rows_aligned(grad_smooth, size);
  }
};

// About 1 / x, to a unit or two in the last place; on the host too, so that tests see what comes of
// it.
__device__ inline float reciprocal(float x) {
#if defined(__CUDA_ARCH__)
  float result;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
#else
  return nextafterf(1 / x, 0);
#endif
}

// VarianceRange without a division for each pixel. Its remainder puts a quotient right, so that the
// ends of the range give 0 and 1 to the bit.
template <typename C>
class Mask {
 public:
  Mask() = default;

  __device__ explicit Mask(const C* low_and_high) : bounds_(VarianceRange<C>::of(low_and_high)) {
    if constexpr (std::is_same_v<C, float>) {
      // Neither the range nor its reciprocal may leave the normal numbers.
      scale_ = bounds_.range < 0x1p-40f ? 0x1p80f : bounds_.range > 0x1p100f ? 0x1p-60f : 1;
      bounds_.range *= scale_;
      inverse_ = reciprocal(bounds_.range);
      bounds_.range = inverse_ == 0 ? 0 : bounds_.range;  // an infinite one has no remainder
    }
  }

  __device__ C at(C variance) const {
    if constexpr (std::is_same_v<C, float>) {
      const C above = (variance - bounds_.low) * scale_, quotient = above * inverse_;
      return fmaf(fmaf(-quotient, bounds_.range, above), inverse_, quotient);
    } else {
      return bounds_.mask(variance);
    }
  }

 private:
  VarianceRange<C> bounds_;
  C scale_, inverse_;
};

// What a place and those before and after it count in its blur by three taps: Sharpening::weight
// without a case for the border.
template <typename C>
struct ThreeWeights {
  C before, own, after;

  __device__ static ThreeWeights of(const Sharpening<C>& filter, int place, int places) {
    const C first = filter.taps[0], middle = filter.taps[1], last = filter.taps[2];
    const bool doubled_before = place == (filter.transposed ? 1 : places - 1);
    const bool doubled_after = place == (filter.transposed ? places - 2 : 0);
    return {place == 0       ? 0
            : doubled_before ? first + last
                             : first,
            places == 1 ? first + middle + last : middle,
            place == places - 1 ? 0
            : doubled_after     ? first + last
                                : last};
  }

  __device__ C sum(C a, C b, C c) const { return before * a + own * b + after * c; }
};

// What a launch does with frames: sharpens them, fuses and sharpens two of them, or takes the
// gradient of that back.
enum class Sharpen { kFrames, kFused, kGradient };

// What is known when a kernel for taps of a radius of 0 or 1 is compiled; a thread computes all
// of its channels.
template <Sharpen kTheTask, int kTheRadius, int kTheChannels, bool kIsAligned>
struct SharpVariant {
  static constexpr Sharpen kTask = kTheTask;
  static constexpr int kRadius = kTheRadius, kChannels = kTheChannels;
  static constexpr bool kAligned = kIsAligned;
  // Threads at either end of a block that are there for the columns beside the others' alone.
  static constexpr int kMargin = kRadius;
  static constexpr int kStrip = (kSharpThreads - 2 * kMargin) * kColumns;

  __host__ __device__ static int strips(const FusionSize& size) {
    return parts_of(size.width, kStrip);
  }
  __host__ __device__ static int bands(const FusionSize& size) {
    return parts_of(size.height, kSharpRows);
  }
  static int64_t blocks(const FusionSize& size) {
    return static_cast<int64_t>(size.images) * (size.channels / kChannels) * strips(size) *
           bands(size);
  }
};

template <typename Variant, typename T, typename C>
__global__ void sharpen_rows_kernel(SharpLaunch<T, C> launch) {
  constexpr int kChannels = Variant::kChannels, kRadius = Variant::kRadius;
  constexpr bool kAligned = Variant::kAligned;
  constexpr bool kFused = Variant::kTask == Sharpen::kFused;
  constexpr bool kGradient = Variant::kTask == Sharpen::kGradient;
  // The first and the last column of every thread, [from, to] of those before and after it.
  __shared__ C ends[2][2][kChannels][kSharpThreads];
  const FusionSize& size = launch.size;
  const int thread = threadIdx.x, height = size.height, width = size.width;
  const unsigned strips = Variant::strips(size), bands = Variant::bands(size);
  const unsigned groups = size.channels / kChannels;
  const unsigned band = blockIdx.x / strips, strip = blockIdx.x - band * strips;
  const unsigned group = band / bands, image = group / groups;
  const int row_begin = (band - group * bands) * kSharpRows;
  const int row_end = row_begin + kSharpRows < height ? row_begin + kSharpRows : height;
  const int column =
      static_cast<int>(strip) * Variant::kStrip + (thread - Variant::kMargin) * kColumns;
  const int count = columns_inside(column, width);
  const bool inner = Variant::kMargin <= thread && thread < kSharpThreads - Variant::kMargin;
  const int outputs = inner ? count : 0;

  const int channel = (group - image * groups) * kChannels;
  const auto first_of = [&](const T* frames, const int64_t* strides) {
    return frames + image * strides[0] + channel * strides[1] + column * strides[3];
  };
  const T* const smooth = first_of(launch.smooth, launch.smooth_strides);
  const T* const detail = kFused ? first_of(launch.detail, launch.detail_strides) : nullptr;
  const C* const variance =
      kFused || kGradient ? launch.variance + image * size.pixels() + column : nullptr;
  const int64_t first_output = static_cast<int64_t>(group) * kChannels * size.pixels() + column;
  Mask<C> mask;
  if constexpr (kFused || kGradient) {
    mask = Mask<C>(launch.bounds + 2 * image);
  }
  ThreeWeights<C> across[kColumns];
  if constexpr (kRadius > 0) {
    for (int k = 0; k < kColumns; ++k) {
      across[k] = ThreeWeights<C>::of(launch.filter, column + k, width);
    }
  }

  // Of the row before: its values, and they blurred along it; of that before it, the latter.
  C values[kChannels][kColumns] = {}, blurred[kChannels][kColumns] = {};
  C blurred_before[kChannels][kColumns] = {};
  int buffer = 0;
  for (int row = row_begin - kRadius; row < row_end + kRadius; ++row) {
    C entering[kChannels][kColumns] = {};
    if (0 <= row && row < height && count > 0) {
      Columns<T> smooths[kChannels], details[kChannels];
      Columns<C> variances;
      for (int c = 0; c < kChannels; ++c) {
        smooths[c] = load_columns<kAligned>(
            smooth + row * launch.smooth_strides[2] + c * launch.smooth_strides[1],
            launch.smooth_strides[3], count);
        if constexpr (kFused) {
          details[c] = load_columns<kAligned>(
              detail + row * launch.detail_strides[2] + c * launch.detail_strides[1],
              launch.detail_strides[3], count);
        }
      }
      if constexpr (kFused) {
        variances = load_columns<kAligned>(variance + static_cast<int64_t>(row) * width, 1, count);
      }
      for (int k = 0; k < kColumns; ++k) {
        const C share = kFused ? mask.at(variances.of[k]) : C(0);
        for (int c = 0; c < kChannels; ++c) {
          const C s = static_cast<C>(smooths[c].of[k]);
          entering[c][k] = kFused ? s + share * (static_cast<C>(details[c].of[k]) - s) : s;
        }
      }
      if constexpr (!kAligned) {
        for (int k = 0; k < kColumns; ++k) {
          for (int c = 0; c < kChannels; ++c) {
            entering[c][k] = k < count ? entering[c][k] : C(0);
          }
        }
      }
    }
    C result[kChannels][kColumns];
    if constexpr (kRadius == 0) {
      for (int c = 0; c < kChannels; ++c) {
        for (int k = 0; k < kColumns; ++k) {
          result[c][k] = entering[c][k];
        }
      }
    } else {
      for (int c = 0; c < kChannels; ++c) {
        ends[buffer][0][c][thread] = entering[c][0];
        ends[buffer][1][c][thread] = entering[c][kColumns - 1];
      }
      __syncthreads();
      const auto down = ThreeWeights<C>::of(launch.filter, row - 1, height);
      for (int c = 0; c < kChannels; ++c) {
        const C left = thread > 0 ? ends[buffer][1][c][thread - 1] : C(0);
        const C right = thread + 1 < kSharpThreads ? ends[buffer][0][c][thread + 1] : C(0);
        for (int k = 0; k < kColumns; ++k) {
          const C before = k > 0 ? entering[c][k - 1] : left;
          const C after = k + 1 < kColumns ? entering[c][k + 1] : right;
          const C along = across[k].sum(before, entering[c][k], after);
          const C value = values[c][k];
          const C blur = down.sum(blurred_before[c][k], blurred[c][k], along);
          result[c][k] = value + launch.filter.amount * (value - blur);
          values[c][k] = entering[c][k];
          blurred_before[c][k] = blurred[c][k];
          blurred[c][k] = along;
        }
      }
      buffer = 1 - buffer;
    }
    const int done = row - kRadius;
    if (done < row_begin || outputs == 0) {
      continue;
    }
    const int64_t start = static_cast<int64_t>(done) * width;
    Columns<C> variances;
    if constexpr (kGradient) {
      variances = load_columns<kAligned>(variance + start, 1, outputs);
    }
    for (int c = 0; c < kChannels; ++c) {
      const int64_t at = first_output + c * size.pixels() + start;
      Columns<T> first, second;
      for (int k = 0; k < kColumns; ++k) {
        const C of_detail = kGradient ? mask.at(variances.of[k]) * result[c][k] : C(0);
        first.of[k] = static_cast<T>(kGradient ? of_detail : result[c][k]);
        second.of[k] = static_cast<T>(result[c][k] - of_detail);
      }
      if constexpr (!kGradient) {
        store_columns<kAligned>(first, outputs, launch.output + at);
      } else {
        if (launch.grad_detail != nullptr) {
          store_columns<kAligned>(first, outputs, launch.grad_detail + at);
        }
        if (launch.grad_smooth != nullptr) {
          store_columns<kAligned>(second, outputs, launch.grad_smooth + at);
        }
      }
    }
  }
}

// How planes are split into tiles.
struct TileGrid {
  FusionSize size;

  __host__ __device__ int across() const { return parts_of(size.width, kTileColumns); }
  __host__ __device__ int down() const { return parts_of(size.height, kTileRows); }
  int64_t blocks() const {
    return static_cast<int64_t>(size.images) * size.channels * across() * down();
  }
};

// What a place, radius and the places around it count in a blur, with no case for the border where
// nothing is mirrored.
template <typename C, typename F>
__device__ C blurred_at(const Sharpening<C>& filter, int radius, int place, int places,
                        const F& value) {
  C sum = 0;
  if (filter.inside(place, places)) {
    for (int k = -radius; k <= radius; ++k) {
      sum += filter.taps[k + radius] * value(k);
    }
  } else {
    for (int k = -radius; k <= radius; ++k) {
      sum += filter.weight(place, place + k, places) * value(k);
    }
  }
  return sum;
}

template <typename T, typename C>
__global__ void sharpen_tile_kernel(SharpLaunch<T, C> launch) {
  constexpr int kMargin = kMaxTaps / 2;
  constexpr int kStep = kTileThreads / kTileColumns;  // of the rows of a thread
  __shared__ C values[kTileRows + 2 * kMargin][kTileColumns + 2 * kMargin];
  __shared__ C blurred[kTileRows][kTileColumns + 2 * kMargin];
  const int height = launch.size.height, width = launch.size.width;
  const TileGrid grid{launch.size};
  const unsigned across = grid.across(), down = grid.down();
  const unsigned band = blockIdx.x / across, plane = band / down;
  const unsigned image = plane / launch.size.channels;
  const unsigned channel = plane - image * launch.size.channels;
  const int left = static_cast<int>(blockIdx.x - band * across) * kTileColumns;
  const int top = static_cast<int>(band - plane * down) * kTileRows;
  const int thread_row = threadIdx.x / kTileColumns, thread_column = threadIdx.x % kTileColumns;
  const auto& filter = launch.filter;
  const int radius = filter.radius();
  const bool masked = launch.variance != nullptr;
  const C* const variance = masked ? launch.variance + image * launch.size.pixels() : nullptr;
  const Mask<C> mask = masked ? Mask<C>(launch.bounds + 2 * image) : Mask<C>();
  const auto pixel = [&](const T* frames, const int64_t* strides, int row, int column) {
    return static_cast<C>(
        frames[image * strides[0] + channel * strides[1] + row * strides[2] + column * strides[3]]);
  };
  const auto share = [&](int row, int column) {
    return mask.at(variance[static_cast<int64_t>(row) * width + column]);
  };
  const auto source = [&](int row, int column) {
    const C smooth = pixel(launch.smooth, launch.smooth_strides, row, column);
    if (launch.detail == nullptr) {
      return smooth;
    }
    const C detail = pixel(launch.detail, launch.detail_strides, row, column);
    return smooth + share(row, column) * (detail - smooth);
  };
  const auto sink = [&](int row, int column, C value) {
    const int64_t at = plane * launch.size.pixels() + static_cast<int64_t>(row) * width + column;
    if (launch.output != nullptr) {
      launch.output[at] = static_cast<T>(value);
      return;
    }
    const C of_detail = share(row, column) * value;
    if (launch.grad_detail != nullptr) {
      launch.grad_detail[at] = static_cast<T>(of_detail);
    }
    if (launch.grad_smooth != nullptr) {
      launch.grad_smooth[at] = static_cast<T>(value - of_detail);
    }
  };

  const int wide = kTileColumns + 2 * radius, tall = kTileRows + 2 * radius;
  for (int i = thread_row; i < tall; i += kStep) {
    for (int k = thread_column; k < wide; k += kTileColumns) {
      const int row = top - radius + i, column = left - radius + k;
      const bool inside = 0 <= row && row < height && 0 <= column && column < width;
      values[i][k] = inside ? source(row, column) : C(0);
    }
  }
  __syncthreads();
  if (radius > 0) {
    for (int i = thread_row; i < kTileRows && top + i < height; i += kStep) {
      for (int k = thread_column; k < wide; k += kTileColumns) {
        blurred[i][k] = blurred_at(filter, radius, top + i, height,
                                   [&](int offset) { return values[i + radius + offset][k]; });
      }
    }
    __syncthreads();
  }
  const int column = left + thread_column;
  if (column >= width) {
    return;
  }
  for (int i = thread_row; i < kTileRows && top + i < height; i += kStep) {
    C value = values[i + radius][thread_column + radius];
    if (radius > 0) {
      const C blur = blurred_at(filter, radius, column, width, [&](int offset) {
        return blurred[i][thread_column + radius + offset];
      });
      value += filter.amount * (value - blur);
    }
    sink(top + i, column, value);
  }
}

// Calls rows(variant), the kernel of which fits the launch, or tiles() where none does.
template <typename T, typename C, typename Rows, typename Tiles>
void with_sharp_variant(const SharpLaunch<T, C>& launch, const Rows& rows, const Tiles& tiles) {
  const auto with_task = [&](auto task, auto radius, auto channels) {
    if (launch.aligned()) {
      rows(SharpVariant<task(), radius(), channels(), true>{});
    } else {
      rows(SharpVariant<task(), radius(), channels(), false>{});
    }
  };
  using Zero = std::integral_constant<int, 0>;
  using One = std::integral_constant<int, 1>;
  const auto with_mask = [&](auto radius, auto channels) {
    if (launch.output != nullptr) {
      with_task(std::integral_constant<Sharpen, Sharpen::kFused>{}, radius, channels);
    } else {
      with_task(std::integral_constant<Sharpen, Sharpen::kGradient>{}, radius, channels);
    }
  };
  const auto with_channels = [&](auto radius) {
    if (launch.size.channels == 3) {
      with_mask(radius, std::integral_constant<int, 3>{});
    } else {
      with_mask(radius, One{});
    }
  };
  const int64_t radius = launch.filter.radius();
  if (launch.variance == nullptr && radius == 1) {
    with_task(std::integral_constant<Sharpen, Sharpen::kFrames>{}, One{}, One{});
  } else if (launch.variance != nullptr && radius == 1) {
    with_channels(One{});
  } else if (launch.variance != nullptr && radius == 0) {
    with_channels(Zero{});
  } else {
    tiles();
  }
}

}  // namespace vqe_fast
