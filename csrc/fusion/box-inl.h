// Sums over square windows that are clipped at the border, of two maps at once, in float64.
//
// Down a strip of columns, the sums of each column gain the row that enters the window and lose
// the one that leaves it; along a row, a window is put together from stretches of 1, 4, 16 and 64
// columns. What is infinite or not a number would stay in the sums of a column for good: when such
// a row leaves, the sums start anew.
#if defined(VQE_FAST_FUSION_BOX_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_FUSION_BOX_INL_H_
#undef VQE_FAST_FUSION_BOX_INL_H_
#else
#define VQE_FAST_FUSION_BOX_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "common/tile.h"
#include "fusion/box.h"
#include "simd/blocks-inl.h"
#include "simd/isa_level.h"
#include "simd/vector-inl.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

constexpr int64_t kBoxColumns = 512;
// Elements from one row to the next: whole cache lines, not a whole number of pages.
constexpr int64_t kBoxStride = 720;
static_assert(kBoxStride >= kBoxColumns + 2 * kMaxRadius + kBlock);
constexpr int kStretches = 4;
constexpr int64_t kBoxScratch = 2 * kStretches * kBoxStride;

inline Vector<double> load_double(const double* from) { return load_vector(from); }

inline Vector<double> load_double(const float* from) {
  typedef float Floats __attribute__((vector_size(kVectorBytes / 2)));
  Floats floats;
  std::memcpy(&floats, from, sizeof floats);
  return __builtin_convertvector(floats, Vector<double>);
}

// The same where fewer than a vector may be left; zeros follow them.
template <typename C>
inline Vector<double> load_double(const C* from, int64_t left) {
  constexpr int64_t kLanes = VectorOf<double>::lanes;
  if (left >= kLanes) {
    return load_double(from);
  }
  C padded[kLanes] = {};
  std::memcpy(padded, from, left * sizeof(C));
  return load_double(padded);
}

inline double sum_of(Vector<double> values) {
  double sum = 0;
  for (int64_t i = 0; i < VectorOf<double>::lanes; ++i) {
    sum += values[i];
  }
  return sum;
}

// The sums of one map over the windows around the pixels of a row.
class WindowSums {
 public:
  // The sum of the columns [0], of which the first one is a radius left of the first pixel, and of
  // 4, 16, 64 of them: rows[k][i] sums up 4^k from i on.
  void build(double* const rows[kStretches], int64_t count, int64_t window) {
    count_ = 0;
    int64_t length = 1, end = window;
    for (int k = 0;; ++k) {
      for (int64_t i = window / length % 4; i > 0; --i) {
        end -= length;
        terms_[count_++] = rows[k] + end;
      }
      if (end == 0) {
        return;
      }
      if (k == 0) {
        stretch(SlidingVector<double>(rows[0]), count + end, rows[1]);
      } else {
        const double* from = rows[k];
        for (int64_t i = 0; i < count + end; i += VectorOf<double>::lanes) {
          const auto at = [&](int64_t place) { return load_vector(from + i + place * length); };
          store_vector((at(0) + at(1)) + (at(2) + at(3)), rows[k + 1] + i);
        }
      }
      length *= 4;
    }
  }

  Vector<double> at(int64_t i) const {
    Vector<double> sum = load_vector(terms_[0] + i);
    for (int k = 1; k < count_; ++k) {
      sum += load_vector(terms_[k] + i);
    }
    return sum;
  }

 private:
  static void stretch(SlidingVector<double> from, int64_t count, double* to) {
    for (int64_t i = 0; i < count; i += VectorOf<double>::lanes) {
      const auto at = [&](auto place) { return from.at(place); };
      store_vector(
          (at(std::integral_constant<int, 0>{}) + at(std::integral_constant<int, 1>{})) +
              (at(std::integral_constant<int, 2>{}) + at(std::integral_constant<int, 3>{})),
          to + i);
      from.advance();
    }
  }

  int count_ = 0;
  const double* terms_[3 * kStretches];
};

struct TwoVectors {
  Vector<double> a, b;
};

// Source: open(which, row, column, count) makes a row ready, at(which, i) gives both maps from its
// i-th column on, at(which, i, left) where fewer than a vector are left. Sink: take(row, a, b) gets
// the sums of both around the pixels of a row of the tile.
template <typename Source, typename Sink>
class BoxSums {
  using V = Vector<double>;
  static constexpr int64_t kLanes = VectorOf<double>::lanes;

 public:
  BoxSums(int64_t height, int64_t width, int64_t radius, const Tile& tile, Source& source,
          Sink& sink, double* scratch)
      : height_(height),
        radius_(radius),
        tile_(tile),
        begin_(std::max<int64_t>(0, tile.column_begin - radius)),
        count_(std::min(width, tile.column_end + radius) - begin_),
        source_(source),
        sink_(sink) {
    for (auto* rows : {&sums_[0], &sums_[1]}) {
      for (double*& row : *rows) {
        row = scratch;
        scratch += kBoxStride;
      }
    }
  }

  void run() {
    for (int64_t row = tile_.row_begin; row < tile_.row_end; ++row) {
      if (row == tile_.row_begin || !slide(row)) {
        restart(row);
      }
      for (int map = 0; map < 2; ++map) {
        windows_[map].build(sums_[map], tile_.columns(), 2 * radius_ + 1);
      }
      sink_.take(row, windows_[0], windows_[1]);
    }
  }

 private:
  enum Which { kEntering = 0, kLeaving = 1 };

  // The columns' sums begin a radius left of the tile, at the image's border or before it.
  double* sums(int map) const { return sums_[map][0] + (begin_ - tile_.column_begin + radius_); }

  void restart(int64_t row) {
    std::fill_n(sums_[0][0], kBoxStride, 0.0);
    std::fill_n(sums_[1][0], kBoxStride, 0.0);
    const int64_t last = std::min(height_ - 1, row + radius_);
    for (int64_t i = std::max<int64_t>(0, row - radius_); i <= last; ++i) {
      source_.open(kEntering, i, begin_, count_);
      change<true, false>();
    }
  }

  // From the windows of the row above to those of this one; false if that has spoilt them.
  bool slide(int64_t row) {
    const int64_t enters = row + radius_, leaves = row - radius_ - 1;
    if (radius_ == 0) {
      return false;
    }
    if (enters < height_) {
      source_.open(kEntering, enters, begin_, count_);
    }
    if (leaves < 0) {
      return enters >= height_ || change<true, false>();
    }
    source_.open(kLeaving, leaves, begin_, count_);
    return enters < height_ ? change<true, true>() : change<false, true>();
  }

  // Adds the row that enters, takes away the one that leaves; whether all that leaves is finite.
  template <bool kEnters, bool kLeaves>
  bool change() {
    double *const of_a = sums(0), *const of_b = sums(1);
    Vector<double> check = {};
    const auto changed = [&](V sum, V in, V out) {
      return kEnters && kLeaves ? sum + (in - out) : kEnters ? sum + in : sum - out;
    };
    const auto all = [&](int64_t i, auto... left) {
      const TwoVectors in = kEnters ? source_.at(kEntering, i, left...) : TwoVectors{};
      const TwoVectors out = kLeaves ? source_.at(kLeaving, i, left...) : TwoVectors{};
      check += out.b - out.b;
      return TwoVectors{changed(load_double(of_a + i, left...), in.a, out.a),
                        changed(load_double(of_b + i, left...), in.b, out.b)};
    };
    int64_t i = 0;
    for (; i + kLanes <= count_; i += kLanes) {
      const TwoVectors sum = all(i);
      store_vector(sum.a, of_a + i);
      store_vector(sum.b, of_b + i);
    }
    if (i < count_) {
      const TwoVectors sum = all(i, count_ - i);
      std::memcpy(of_a + i, &sum.a, (count_ - i) * sizeof(double));
      std::memcpy(of_b + i, &sum.b, (count_ - i) * sizeof(double));
    }
    return sum_of(check) == 0;
  }

  int64_t height_, radius_;
  const Tile& tile_;
  int64_t begin_, count_;  // columns that the windows of the tile see
  Source& source_;
  Sink& sink_;
  double* sums_[2][kStretches];
  WindowSums windows_[2];
};

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
