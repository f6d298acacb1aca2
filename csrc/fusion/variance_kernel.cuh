// Variances in windows, their bounds and their gradient on a GPU. The formulas are those of
// fusion/fusion-inl.h; of frames that are not float64, luma is float32.
#pragma once

#include <cstdint>
#include <type_traits>

#include "fusion/box_kernel.cuh"
#include "fusion/columns_kernel.cuh"
#include "fusion/fusion.h"

namespace vqe_fast {

constexpr int kMaxFrames = 1 + kMaxNeighbours;  // of a launch
constexpr int kUsualRadius = 11;
constexpr int kBoundsThreads = 256;

// What the kernels of windows read and write; null leaves a thing out.
template <typename T, typename C>
struct BoxLaunch {
  BoxGrid grid;
  int count;                    // of frames
  const T* frames[kMaxFrames];  // [B, 1 or 3, H, W], any strides
  int64_t strides[kMaxFrames][4];
  C* map;          // [B, 1, H, W]: variances of the first frame
  C* bounds;       // [frames, B, blocks of an image, 2]: least and largest variance
  double* means;   // [B, 1, H, W], of the first frame, as the following
  const C* grads;  // [B, 1, H, W]: gradients of the variances
  C* gradient;     // [B, 1 or 3, H, W]

  int64_t blocks() const { return count * grid.size.images * grid.blocks_of_image(); }

  bool aligned() const {
    const FusionSize& size = grid.size;
    bool all = rows_aligned(map, size) && rows_aligned(means, size) && rows_aligned(grads, size) &&
               rows_aligned(gradient, size);
    for (int frame = 0; frame < count; ++frame) {
      all = all && rows_aligned(frames[frame], strides[frame], size);
    }
    return all;
  }
};

// Luma of what the channels are more than constants, and its square, of a thread's columns. With a
// radius that is known, rows are kept until they leave, `kept` is [2 radius + 1][threads].
template <typename Variant, int kMaps, typename T, typename C>
class LumaAndSquare {
 public:
  struct Fetched {
    Columns<T> channels[Variant::kChannels];
  };

  __device__ LumaAndSquare(const BoxLaunch<T, C>& launch, const BoxPlace& place, Columns<C>* kept)
      : kept_(kept) {
    const int images = launch.grid.size.images, frame = place.image / images;
    const int64_t* strides = launch.strides[frame];
    channel_stride_ = strides[1];
    row_stride_ = strides[2];
    column_stride_ = strides[3];
    const T* image = launch.frames[frame] + (place.image - frame * images) * strides[0];
    begin_ = image + place.column * column_stride_;
    column_ = place.column;
    count_ = place.count;
    // Those in the middle of the block; 0 where one is not a number.
    const int width = launch.grid.size.width;
    const int left = place.centre - static_cast<int>(threadIdx.x) * kColumns;
    const int right = left + launch.grid.strip() < width ? left + launch.grid.strip() : width;
    const int row = (place.row_begin + place.row_end) / 2, column = (left + right) / 2;
    const T* middle = image + row * row_stride_ + column * column_stride_;
    for (int c = 0; c < Variant::kChannels; ++c) {
      const C value = static_cast<C>(middle[c * channel_stride_]);
      shifts_[c] = value - value == 0 ? value : 0;
    }
  }

  // The luma that is left out.
  __device__ double shift() const {
    double sum = 0;
    for (int c = 0; c < Variant::kChannels; ++c) {
      sum += static_cast<double>(weight(c)) * shifts_[c];
    }
    return sum;
  }

  __device__ Fetched fetch(int row) const { return fetch_at(begin_ + row * row_stride_, count_); }

  __device__ BoxSums<kMaps> enter(int row, const Fetched& fetched) {
    const Columns<C> x = less_shift(fetched, count_);
    if constexpr (kKeeps) {
      kept_[slot(row)] = x;
    }
    return maps_of(x);
  }

  __device__ bool leave(int row, BoxSums<kMaps>& values) const {
    Columns<C> x;
    if constexpr (kKeeps) {
      x = kept_[slot(row)];
    } else {
      x = less_shift(fetch(row), count_);
    }
    values = maps_of(x);
    C check = 0;
    for (int k = 0; k < kColumns; ++k) {
      const C value = std::is_same_v<C, double> ? x.of[k] * x.of[k] : x.of[k];
      check += value - value;
    }
    return check == 0;
  }

  // The same of other columns.
  __device__ Columns<C> at(int row, int column, int count) const {
    const T* from = begin_ + row * row_stride_ + (column - column_) * column_stride_;
    return less_shift(fetch_at(from, count), count);
  }

 private:
  static constexpr bool kKeeps = Variant::kRadius != kAnyRadius;

  // Of a row that lies in the image. The row that enters takes the slot of the one that leaves.
  __device__ static int slot(int row) {
    return static_cast<unsigned>(row) % (2 * Variant::kRadius + 1) * kBoxThreads + threadIdx.x;
  }

  __device__ Fetched fetch_at(const T* from, int count) const {
    Fetched fetched;
    for (int c = 0; c < Variant::kChannels; ++c) {
      fetched.channels[c] =
          load_columns<Variant::kAligned>(from + c * channel_stride_, column_stride_, count);
    }
    return fetched;
  }

  __device__ static C weight(int channel) {
    return static_cast<C>(Variant::kChannels == 1 ? 1 : luma_weight(channel));
  }

  __device__ Columns<C> less_shift(const Fetched& fetched, int count) const {
    Columns<C> x;
    for (int k = 0; k < kColumns; ++k) {
      C sum = 0;
      for (int c = 0; c < Variant::kChannels; ++c) {
        const C value = static_cast<C>(fetched.channels[c].of[k]) - shifts_[c];
        sum = c == 0 ? weight(0) * value : sum + weight(c) * value;
      }
      x.of[k] = Variant::kAligned || k < count ? sum : C(0);
    }
    return x;
  }

  __device__ static BoxSums<kMaps> maps_of(const Columns<C>& x) {
    BoxSums<kMaps> values;
    for (int k = 0; k < kColumns; ++k) {
      values.of[0][k] = x.of[k];
      if constexpr (kMaps == 2) {
        values.of[1][k] = values.of[0][k] * values.of[0][k];
      }
    }
    return values;
  }

  const T* begin_;  // of the thread's columns in the image's first row
  int64_t channel_stride_, row_stride_, column_stride_;
  int column_, count_;
  C shifts_[Variant::kChannels];
  Columns<C>* kept_;
};

// What a kernel of windows keeps of the rows in them.
template <typename Variant, typename C>
__device__ Columns<C>* kept_rows() {
  constexpr int kRows = Variant::kRadius == kAnyRadius ? 1 : 2 * Variant::kRadius + 1;
  __shared__ Columns<C> kept[kRows * kBoxThreads];
  return kept;
}

// The shares of the columns of a thread's windows.
struct ColumnShares {
  double of[kColumns];

  __device__ ColumnShares(const BoxGrid& grid, int column, int count) {
    for (int k = 0; k < kColumns; ++k) {
      of[k] = k < count ? grid.share(column + k, grid.size.width) : 0;
    }
  }
};

template <typename Variant, typename T, typename C>
__global__ void variance_kernel(BoxLaunch<T, C> launch) {
  const BoxGrid& grid = launch.grid;
  const auto place = BoxPlace::of<Variant::kRadius>(grid);
  LumaAndSquare<Variant, 2, T, C> source(launch, place, kept_rows<Variant, C>());
  const ColumnShares shares(grid, place.centre, place.outputs);
  const C kMost = static_cast<C>(1.0 / 0.0);
  C low = kMost, high = -kMost, check = 0;
  C* map = launch.map;
  if (map != nullptr && place.image < grid.size.images) {
    map += place.image * grid.size.pixels() + place.centre;
  } else {
    map = nullptr;
  }
  box_sums<Variant, 2>(grid, place, source, [&](int row, const BoxSums<2>& windows) {
    const double row_share = grid.share(row, grid.size.height);
    Columns<C> variances;
    for (int k = 0; k < kColumns; ++k) {
      const double share = row_share * shares.of[k], mean = share * windows.of[0][k];
      const double square = share * windows.of[1][k];
      const double variance = square - mean * mean;
      const C rounded = static_cast<C>(variance < kVarianceRounding * square ? 0 : variance);
      variances.of[k] = rounded;
      if (Variant::kAligned || k < place.outputs) {
        low = rounded < low ? rounded : low;
        high = rounded > high ? rounded : high;
        check = rounded == rounded ? check : rounded;
      }
    }
    if (map != nullptr) {
      const int64_t start = static_cast<int64_t>(row) * grid.size.width;
      store_columns<Variant::kAligned>(variances, place.outputs, map + start);
    }
  });
  // What is not a number stays.
  low = extreme_of_block<false, kBoxThreads>(low + check);
  high = extreme_of_block<true, kBoxThreads>(high + check);
  if (threadIdx.x == 0) {
    launch.bounds[2 * static_cast<int64_t>(blockIdx.x)] = low;
    launch.bounds[2 * static_cast<int64_t>(blockIdx.x) + 1] = high;
  }
}

// The bounds [B, 2] of each image in all frames, a block to an image, from those of its parts:
// found is [frames, images, count, 2].
template <typename C>
__global__ void bounds_kernel(const C* found, int frames, int images, int64_t count, C* bounds) {
  const int64_t image = blockIdx.x;
  C low = static_cast<C>(1.0 / 0.0), high = -low;
  for (int frame = 0; frame < frames; ++frame) {
    const C* of_image = found + 2 * (static_cast<int64_t>(frame) * images + image) * count;
    for (int64_t i = threadIdx.x; i < count; i += kBoundsThreads) {
      const C least = of_image[2 * i], largest = of_image[2 * i + 1];
      low = least < low || least != least ? least : low;
      high = largest > high || largest != largest ? largest : high;
    }
  }
  low = extreme_of_block<false, kBoundsThreads>(low);
  high = extreme_of_block<true, kBoundsThreads>(high);
  if (threadIdx.x == 0) {
    bounds[2 * image] = low;
    bounds[2 * image + 1] = high;
  }
}

template <typename Variant, typename T, typename C>
__global__ void mean_kernel(BoxLaunch<T, C> launch) {
  const BoxGrid& grid = launch.grid;
  const auto place = BoxPlace::of<Variant::kRadius>(grid);
  LumaAndSquare<Variant, 1, T, C> source(launch, place, kept_rows<Variant, C>());
  const ColumnShares shares(grid, place.centre, place.outputs);
  const double shift = source.shift();
  double* means = launch.means + place.image * grid.size.pixels() + place.centre;
  box_sums<Variant, 1>(grid, place, source, [&](int row, const BoxSums<1>& windows) {
    const double row_share = grid.share(row, grid.size.height);
    Columns<double> mean;
    for (int k = 0; k < kColumns; ++k) {
      mean.of[k] = shift + row_share * shares.of[k] * windows.of[0][k];
    }
    const int64_t start = static_cast<int64_t>(row) * grid.size.width;
    store_columns<Variant::kAligned>(mean, place.outputs, means + start);
  });
}

// What each window's gradient counts for a pixel in it, and its product with the window's mean less
// a constant.
template <typename Variant, typename C>
class GradientShares {
 public:
  struct Fetched {
    Columns<C> grads;
    Columns<double> means;
  };

  __device__ GradientShares(const BoxGrid& grid, const BoxPlace& place, const C* grads,
                            const double* means, double shift)
      : grid_(grid),
        shares_(grid, place.column, place.count),
        grads_(grads + place.image * grid.size.pixels() + place.column),
        means_(means + place.image * grid.size.pixels() + place.column),
        count_(place.count),
        shift_(shift) {}

  __device__ Fetched fetch(int row) const {
    const int64_t start = static_cast<int64_t>(row) * grid_.size.width;
    return {load_columns<Variant::kAligned>(grads_ + start, 1, count_),
            load_columns<Variant::kAligned>(means_ + start, 1, count_)};
  }

  __device__ BoxSums<2> enter(int row, const Fetched& fetched) const {
    const double row_share = grid_.share(row, grid_.size.height);
    BoxSums<2> values;
    for (int k = 0; k < kColumns; ++k) {
      const double grad = fetched.grads.of[k] * (row_share * shares_.of[k]);
      values.of[0][k] = grad;
      values.of[1][k] = grad * (fetched.means.of[k] - shift_);
    }
    return values;
  }

  __device__ bool leave(int row, BoxSums<2>& values) const {
    values = enter(row, fetch(row));
    double check = 0;
    for (int k = 0; k < kColumns; ++k) {
      check += values.of[1][k] - values.of[1][k];
    }
    return check == 0;
  }

 private:
  const BoxGrid& grid_;
  ColumnShares shares_;
  const C* grads_;       // [H, W] from the thread's columns on
  const double* means_;  // [H, W] from there on
  int count_;
  double shift_;
};

template <typename Variant, typename T, typename C>
__global__ void variance_gradient_kernel(BoxLaunch<T, C> launch) {
  const BoxGrid& grid = launch.grid;
  const auto place = BoxPlace::of<Variant::kRadius>(grid);
  const LumaAndSquare<Variant, 1, T, C> luma(launch, place, nullptr);
  GradientShares<Variant, C> source(grid, place, launch.grads, launch.means, luma.shift());
  C* gradient = launch.gradient + place.image * Variant::kChannels * grid.size.pixels();
  gradient += place.centre;
  box_sums<Variant, 2>(grid, place, source, [&](int row, const BoxSums<2>& windows) {
    const Columns<C> x = luma.at(row, place.centre, place.outputs);
    const int64_t start = static_cast<int64_t>(row) * grid.size.width;
    for (int c = 0; c < Variant::kChannels; ++c) {
      const double weight = Variant::kChannels == 1 ? 1 : luma_weight(c);
      Columns<C> of_channel;
      for (int k = 0; k < kColumns; ++k) {
        const double of_luma = 2 * (x.of[k] * windows.of[0][k] - windows.of[1][k]);
        of_channel.of[k] = static_cast<C>(weight * of_luma);
      }
      store_columns<Variant::kAligned>(of_channel, place.outputs,
                                       gradient + c * grid.size.pixels() + start);
    }
  });
}

// Calls call(variant) with what fits the launch best.
template <typename T, typename C, typename F>
void with_box_variant(const BoxLaunch<T, C>& launch, const F& call) {
  const auto with_radius = [&](auto radius, auto channels, auto aligned) {
    call(BoxVariant<radius(), channels(), aligned()>{});
  };
  const auto with_channels = [&](auto radius, auto aligned) {
    if (launch.grid.size.channels == 1) {
      with_radius(radius, std::integral_constant<int, 1>{}, aligned);
    } else {
      with_radius(radius, std::integral_constant<int, 3>{}, aligned);
    }
  };
  using AnyRadius = std::integral_constant<int, kAnyRadius>;
  if constexpr (std::is_same_v<C, double>) {
    with_channels(AnyRadius{}, std::false_type{});
  } else if (launch.grid.radius != kUsualRadius) {
    with_channels(AnyRadius{}, std::false_type{});
  } else if (launch.aligned()) {
    with_channels(std::integral_constant<int, kUsualRadius>{}, std::true_type{});
  } else {
    with_channels(std::integral_constant<int, kUsualRadius>{}, std::false_type{});
  }
}

}  // namespace vqe_fast
