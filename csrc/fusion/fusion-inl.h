// Fusion kernels.
#if defined(VQE_FAST_FUSION_FUSION_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_FUSION_FUSION_INL_H_
#undef VQE_FAST_FUSION_FUSION_INL_H_
#else
#define VQE_FAST_FUSION_FUSION_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "common/strided_matrix.h"
#include "common/tile.h"
#include "fusion/box-inl.h"
#include "fusion/fusion.h"
#include "fusion/fusion_tile.h"
#include "fusion/sharpen-inl.h"
#include "simd/blocks-inl.h"
#include "simd/isa_level.h"
#include "simd/rows-inl.h"
#include "simd/vector-inl.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

constexpr int64_t kRowsAhead = 4;  // that are fetched before they are needed

template <typename C>
inline void store_doubles(Vector<double> values, int64_t left, C* to) {
  constexpr int64_t kLanes = VectorOf<double>::lanes;
  typedef C Narrow __attribute__((vector_size(kLanes * sizeof(C))));
  const Narrow narrow = __builtin_convertvector(values, Narrow);
  if (left >= kLanes) {
    std::memcpy(to, &narrow, sizeof narrow);
  } else {
    std::memcpy(to, &narrow, left * sizeof(C));
  }
}

// A row of the luma of a frame.
template <typename T, int kChannels>
class LumaRow {
  using C = Computed<T>;

 public:
  void open(const FrameView<T>& frame, int64_t row, int64_t column, int64_t count) {
    for (int c = 0; c < kChannels; ++c) {
      planes_[c] = load_row<kRowsAhead>(frame.planes[c], row, column, count, buffers_[c]);
    }
  }

  // Luma from the i-th pixel on; zeros follow those that are left, if that many are.
  template <typename... Left>
  Vector<double> at(int64_t i, Left... left) const {
    const auto channel = [&](int c) { return load_double(planes_[c] + i, left...); };
    if constexpr (kChannels == 1) {
      return channel(0);
    } else {
      return luma_weight(0) * channel(0) + luma_weight(1) * channel(1) +
             luma_weight(2) * channel(2);
    }
  }

 private:
  C buffers_[kChannels][kBoxStride];
  const C* planes_[kChannels];
};

// Calls call(the number of channels), which is known at compile time there.
template <typename T, typename F>
void with_channels(const FrameView<T>& frame, const F& call) {
  if (frame.channels == 1) {
    call(std::integral_constant<int, 1>{});
  } else {
    call(std::integral_constant<int, 3>{});
  }
}

// Luma in the middle of a tile; 0 where it is not a number.
template <int kChannels, typename T>
double typical_luma(const FrameView<T>& frame, const Tile& tile) {
  LumaRow<T, kChannels> row;
  row.open(frame, (tile.row_begin + tile.row_end) / 2, (tile.column_begin + tile.column_end) / 2,
           1);
  const double value = row.at(0, int64_t{1})[0];
  return value - value == 0 ? value : 0;
}

// Luma less a constant, and its square.
template <typename T, int kChannels>
class LumaAndSquare {
 public:
  LumaAndSquare(const FrameView<T>& frame, double shift) : frame_(frame), shift_(shift) {}

  void open(int which, int64_t row, int64_t column, int64_t count) {
    rows_[which].open(frame_, row, column, count);
  }

  template <typename... Left>
  TwoVectors at(int which, int64_t i, Left... left) const {
    const Vector<double> x = rows_[which].at(i, left...) - shift_;
    return {x, x * x};
  }

 private:
  const FrameView<T>& frame_;
  double shift_;
  LumaRow<T, kChannels> rows_[2];
};

// Variance of each window, and the least and the largest of them.
template <typename C>
struct VarianceSink {
  const WindowShares& shares;
  const Tile& tile;
  C* map;  // [height, width] or null
  int64_t width;
  Vector<double> low, high, check;

  void take(int64_t row, const WindowSums& sums, const WindowSums& squares) {
    constexpr int64_t kLanes = VectorOf<double>::lanes;
    const int64_t count = tile.columns();
    const double row_share = shares.rows[row];
    const double* column_shares = shares.columns + tile.column_begin;
    C* to = map == nullptr ? nullptr : map + row * width + tile.column_begin;
    Vector<double> least = low, largest = high, differences = check;
    for (int64_t i = 0; i < count; i += kLanes) {
      const Vector<double> share = row_share * load_double(column_shares + i, count - i);
      const Vector<double> mean = share * sums.at(i);
      const Vector<double> square = share * squares.at(i);
      Vector<double> variance = square - mean * mean;
      variance = variance < kVarianceRounding * square ? Vector<double>{} : variance;
      if (to != nullptr) {
        store_doubles(variance, count - i, to + i);
      }
      for (int64_t k = count - i; k < kLanes; ++k) {
        variance[k] = variance[0];
      }
      least = variance < least ? variance : least;
      largest = variance > largest ? variance : largest;
      differences += variance - variance;
    }
    low = least;
    high = largest;
    check = differences;
  }
};

// Least and largest variance of the windows around the pixels of a tile; the map of them too,
// unless it is null.
template <typename T>
void variance_tile(const FrameView<T>& frame, const WindowShares& shares, const Tile& tile,
                   Computed<T>* map, Computed<T>* low_and_high, double* scratch) {
  with_channels(frame, [&](auto channels) {
    constexpr int kChannels = channels;
    using C = Computed<T>;
    LumaAndSquare<T, kChannels> source(frame, typical_luma<kChannels>(frame, tile));
    constexpr double kMost = std::numeric_limits<double>::infinity();
    VarianceSink<C> sink{shares, tile, map, frame.width, {}, {}, {}};
    sink.low += kMost;
    sink.high -= kMost;
    BoxSums(frame.height, frame.width, shares.radius, tile, source, sink, scratch).run();
    double low = kMost, high = -kMost;
    for (int64_t k = 0; k < VectorOf<double>::lanes; ++k) {
      low = std::min(low, sink.low[k]);
      high = std::max(high, sink.high[k]);
    }
    const double check = sum_of(sink.check);  // not 0 if there was something not a number
    low_and_high[0] = static_cast<C>(low + check);
    low_and_high[1] = static_cast<C>(high + check);
  });
}

// Mean of each window.
struct MeanSink {
  const WindowShares& shares;
  const Tile& tile;
  double shift;
  double* map;  // [height, width]
  int64_t width;

  void take(int64_t row, const WindowSums& sums, const WindowSums&) const {
    const int64_t count = tile.columns();
    const double* column_shares = shares.columns + tile.column_begin;
    double* to = map + row * width + tile.column_begin;
    for (int64_t i = 0; i < count; i += VectorOf<double>::lanes) {
      const Vector<double> share = shares.rows[row] * load_double(column_shares + i, count - i);
      store_doubles(shift + share * sums.at(i), count - i, to + i);
    }
  }
};

template <typename T>
void mean_tile(const FrameView<T>& frame, const WindowShares& shares, const Tile& tile,
               double* means, double* scratch) {
  with_channels(frame, [&](auto channels) {
    constexpr int kChannels = channels;
    const double shift = typical_luma<kChannels>(frame, tile);
    LumaAndSquare<T, kChannels> source(frame, shift);
    MeanSink sink{shares, tile, shift, means, frame.width};
    BoxSums(frame.height, frame.width, shares.radius, tile, source, sink, scratch).run();
  });
}

// What each window's gradient counts for a pixel in it, and its product with the window's mean less
// a constant.
template <typename C>
class GradientShares {
 public:
  GradientShares(const C* grads, const double* means, const WindowShares& shares, int64_t width,
                 double shift)
      : grads_(grads), means_(means), shares_(shares), width_(width), shift_(shift) {}

  void open(int which, int64_t row, int64_t column, int64_t) {
    const int64_t start = row * width_ + column;
    rows_[which] = {grads_ + start, means_ + start, shares_.columns + column, shares_.rows[row]};
  }

  template <typename... Left>
  TwoVectors at(int which, int64_t i, Left... left) const {
    const Row& row = rows_[which];
    const Vector<double> share = row.share * load_double(row.shares + i, left...);
    const Vector<double> grad = load_double(row.grads + i, left...) * share;
    return {grad, grad * (load_double(row.means + i, left...) - shift_)};
  }

 private:
  struct Row {
    const C* grads;
    const double *means, *shares;
    double share;
  };

  const C* grads_;       // [height, width]
  const double* means_;  // [height, width]
  const WindowShares& shares_;
  int64_t width_;
  double shift_;
  Row rows_[2];
};

// Gradient of the frame: of luma y it is 2 (y sum(g / n) - sum(g mean / n)) over the windows that
// see it, each of n pixels, y and mean less a constant.
template <typename T, int kChannels>
struct VarianceGradientSink {
  const FrameView<T>& frame;
  const Tile& tile;
  double shift;
  Computed<T>* gradient;  // [channels, height, width]

  void take(int64_t row, const WindowSums& grads, const WindowSums& products) const {
    constexpr int64_t kLanes = VectorOf<double>::lanes;
    const int64_t count = tile.columns(), plane = frame.height * frame.width;
    Computed<T>* to = gradient + row * frame.width + tile.column_begin;
    LumaRow<T, kChannels> luma;
    luma.open(frame, row, tile.column_begin, count);
    for (int64_t i = 0; i < count; i += kLanes) {
      const Vector<double> y = luma.at(i, count - i) - shift;
      const Vector<double> of_luma = 2 * (y * grads.at(i) - products.at(i));
      for (int64_t c = 0; c < kChannels; ++c) {
        const double weight = kChannels == 1 ? 1 : luma_weight(c);
        store_doubles(weight * of_luma, count - i, to + c * plane + i);
      }
    }
  }
};

template <typename T>
void variance_gradient_tile(const FrameView<T>& frame, const Computed<T>* grads,
                            const double* means, const WindowShares& shares, const Tile& tile,
                            Computed<T>* gradient, double* scratch) {
  with_channels(frame, [&](auto channels) {
    constexpr int kChannels = channels;
    const double shift = typical_luma<kChannels>(frame, tile);
    GradientShares<Computed<T>> source(grads, means, shares, frame.width, shift);
    VarianceGradientSink<T, kChannels> sink{frame, tile, shift, gradient};
    BoxSums(frame.height, frame.width, shares.radius, tile, source, sink, scratch).run();
  });
}

// Writes a row of a plane somewhere in the type it is computed in.
template <typename T>
inline void copy_row(const StridedMatrix<T>& plane, int64_t row, int64_t column, int64_t count,
                     Computed<T>* to) {
  const Computed<T>* from = load_row<kRowsAhead>(plane, row, column, count, to);
  if (from != to) {
    std::memcpy(to, from, count * sizeof *to);
  }
}

template <typename T>
inline void store_row(const Computed<T>* values, int64_t count, T* to) {
  for (int64_t i = 0; i < count; i += kBlock) {
    store(values + i, count - i, to + i);
  }
}

// A tile of a plane, sharpened.
template <typename T>
void sharpen_tile(const StridedMatrix<T>& plane, const Sharpening<Computed<T>>& filter,
                  int64_t height, int64_t width, const Tile& tile, T* output,
                  Computed<T>* scratch) {
  sharpened(
      filter, height, width, tile,
      [&](int64_t row, int64_t column, int64_t count, Computed<T>* to) {
        copy_row(plane, row, column, count, to);
      },
      [&](int64_t row, const Computed<T>* values) {
        store_row(values, tile.columns(), output + row * width + tile.column_begin);
      },
      scratch);
}

// A tile of smooth + mask (detail - smooth), sharpened.
template <typename T>
void fuse_tile(const StridedMatrix<T>& detail, const StridedMatrix<T>& smooth,
               const Computed<T>* variance, const VarianceRange<Computed<T>>& range,
               const Sharpening<Computed<T>>& filter, int64_t height, int64_t width,
               const Tile& tile, T* output, Computed<T>* scratch) {
  using C = Computed<T>;
  sharpened(
      filter, height, width, tile,
      [&](int64_t row, int64_t column, int64_t count, C* to) {
        C buffers[2][kSharpStride];
        const C* d = load_row<kRowsAhead>(detail, row, column, count, buffers[0]);
        const C* s = load_row<kRowsAhead>(smooth, row, column, count, buffers[1]);
        const C* v = variance + row * width + column;
        for (int64_t i = 0; i < count; ++i) {
          to[i] = s[i] + range.mask(v[i]) * (d[i] - s[i]);
        }
      },
      [&](int64_t row, const C* values) {
        store_row(values, tile.columns(), output + row * width + tile.column_begin);
      },
      scratch);
}

// Gradients of detail and smooth in a tile; null for one that is not needed.
template <typename T>
void fuse_gradient_tile(const StridedMatrix<T>& grad_output, const Computed<T>* variance,
                        const VarianceRange<Computed<T>>& range,
                        const Sharpening<Computed<T>>& filter, int64_t height, int64_t width,
                        const Tile& tile, T* grad_detail, T* grad_smooth, Computed<T>* scratch) {
  using C = Computed<T>;
  sharpened(
      filter, height, width, tile,
      [&](int64_t row, int64_t column, int64_t count, C* to) {
        copy_row(grad_output, row, column, count, to);
      },
      [&](int64_t row, const C* values) {
        const int64_t begin = row * width + tile.column_begin;
        C of_detail[kSharpStride], of_smooth[kSharpStride];
        for (int64_t i = 0; i < tile.columns(); ++i) {
          of_detail[i] = range.mask(variance[begin + i]) * values[i];
          of_smooth[i] = values[i] - of_detail[i];
        }
        if (grad_detail != nullptr) {
          store_row(of_detail, tile.columns(), grad_detail + begin);
        }
        if (grad_smooth != nullptr) {
          store_row(of_smooth, tile.columns(), grad_smooth + begin);
        }
      },
      scratch);
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
