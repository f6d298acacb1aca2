// SSIM over a tile, and its gradient.
//
// The moments are those of the sum s = x + y and the difference d = x - y of the images x and y:
// four instead of five. With their means m and variances v under the window, SSIM = l c, where
//   l = ((m_s + m_d)(m_s - m_d) + 2 c1) / (m_s^2 + m_d^2 + 2 c1)
//     = 1 - 2 m_d^2 / (m_s^2 + m_d^2 + 2 c1),
//   c = (v_s - v_d + 2 c2) / (v_s + v_d + 2 c2) = 1 - 2 v_d / (v_s + v_d + 2 c2).
// The first form keeps the digits of a small l or c, the second those of a small 1 - l or 1 - c.
// The moments are taken of s and d less a constant of the tile, so that variances of values far
// from zero keep theirs. Of equal images d is 0, and SSIM exactly 1.
//
// A tile goes through a few rows at a time: pixels -> moments along the row -> moments ->
// similarity and its slopes by the moments -> these along the row -> gradient.
#if defined(VQE_FAST_SSIM_SSIM_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_SSIM_SSIM_INL_H_
#undef VQE_FAST_SSIM_SSIM_INL_H_
#else
#define VQE_FAST_SSIM_SSIM_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "common/strided_matrix.h"
#include "common/tile.h"
#include "simd/blocks-inl.h"
#include "simd/isa_level.h"
#include "simd/rows-inl.h"
#include "simd/vector-inl.h"
#include "ssim/ssim.h"
#include "ssim/ssim_tile.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

// A stretch of consecutive rows, [row][map][column], that moves down.
template <typename C, int kMaps>
struct SsimBuffer {
  C* data;
  int64_t stride;
  int64_t kept;       // rows that are needed when one is added
  int64_t first = 0;  // row at the start of data
  int64_t end = 0;    // row after the last one

  void start(int64_t row) { first = end = row; }

  C* row(int64_t index) const { return data + (index - first) * (kMaps * stride); }

  // Makes place for one more row.
  C* add() {
    if (end - first == kSsimBuffer) {
      std::memmove(data, row(end - kept), kept * kMaps * stride * sizeof(C));
      first = end - kept;
    }
    return row(end++);
  }
};

template <typename T, int kWindow>
class SsimTileRun {
  using C = Computed<T>;
  using V = Vector<C>;
  static constexpr int64_t kLanes = VectorOf<C>::lanes;

 public:
  SsimTileRun(const StridedMatrix<T>& input, const StridedMatrix<T>& target,
              const SsimGeometry<C>& geometry, const Tile& tile, const SsimWork<C>& work,
              C* scratch)
      : input_(input),
        target_(target),
        geometry_(geometry),
        tile_(tile),
        work_(work),
        input_shift_(typical(input)),
        target_shift_(typical(target)) {
    const int64_t kept = window() - 1 + kSsimRows;
    pixels_ = {scratch, stride(), kept};
    moments_ = {pixels_.data + 2 * kSsimBuffer * stride(), stride(), kept};
    blurred_ = {moments_.data + 4 * kSsimBuffer * stride(), stride(), kept};
    slopes_ = blurred_.data + 4 * kSsimBuffer * stride();
    results_ = slopes_ + 4 * kSsimRows * stride();
    grads_ = results_ + kSsimRows * stride();
  }

  void run() {
    if (work_.grad_input == nullptr) {
      run<0>();
    } else if (work_.grad_target == nullptr) {
      run<1>();
    } else {
      run<2>();
    }
  }

 private:
  // The taps, in registers where their number is known.
  struct Taps {
    V known[kWindow / 2 + 1];
    const C* values;

    explicit Taps(const SsimGeometry<C>& geometry) : values(geometry.taps) {
      for (int j = 0; j <= kWindow / 2; ++j) {
        known[j] = V{} + geometry.taps[j];
      }
    }
    V operator[](int64_t j) const {
      if constexpr (kWindow != 0) {
        return known[j];
      } else {
        return V{} + values[j];
      }
    }
  };

  // Calls f with the two places in the window of each pair of equal taps.
  template <typename F>
  void for_each_pair(const F& f) const {
    if constexpr (kWindow != 0) {
      [&]<int... j>(std::integer_sequence<int, j...>) {
        (f(std::integral_constant<int, j>{}, std::integral_constant<int, kWindow - 1 - j>{}), ...);
      }(std::make_integer_sequence<int, kWindow / 2>{});
    } else {
      for (int64_t j = 0; j < window() / 2; ++j) {
        f(j, window() - 1 - j);
      }
    }
  }

  // The place in the middle of the window.
  auto middle() const {
    if constexpr (kWindow != 0) {
      return std::integral_constant<int, kWindow / 2>{};
    } else {
      return window() / 2;
    }
  }

  int64_t window() const { return kWindow != 0 ? kWindow : geometry_.window; }
  int64_t stride() const { return ssim_stride(window()); }
  int64_t columns() const { return tile_.columns(); }
  int64_t positions() const { return column_end_ - column_begin_; }

  // The mean of a few pixels of the tile; zero where it is not a number.
  C typical(const StridedMatrix<T>& plane) const {
    constexpr int64_t kSamples = 4;
    C sum = 0;
    for (int64_t i = 0; i < kSamples; ++i) {
      const int64_t row = tile_.row_begin + (tile_.rows() - 1) * i / kSamples;
      for (int64_t k = 0; k < kSamples; ++k) {
        const int64_t column = tile_.column_begin + (columns() - 1) * k / kSamples;
        sum += static_cast<C>(plane.data[row * plane.row_stride + column * plane.column_stride]);
      }
    }
    const C mean = sum / (kSamples * kSamples);
    return mean - mean == 0 ? mean : 0;
  }

  // kGrads: of how many images the gradient is wanted.
  template <int kGrads>
  void run() {
    // The positions that see a pixel of the tile; without gradient those that belong to it.
    const int64_t before = kGrads != 0 ? window() - 1 - geometry_.margin : 0;
    const int64_t after = kGrads != 0 ? geometry_.margin : 0;
    slope_begin_ = tile_.column_begin - before;
    column_begin_ = std::max<int64_t>(0, slope_begin_);
    column_end_ = std::min(geometry_.map_width, tile_.column_end + after);
    const int64_t first = std::max<int64_t>(0, tile_.row_begin - before);
    pixels_.start(first - geometry_.margin);
    moments_.start(first - geometry_.margin);
    blurred_.start(tile_.row_begin - before);
    if (kGrads != 0) {
      std::fill_n(slopes_, (kGrads + 2) * kSsimRows * stride(), C(0));
    }
    int64_t row = tile_.row_begin;
    for (; row + kSsimRows <= tile_.row_end; row += kSsimRows) {
      compute_rows<kSsimRows, kGrads>(row, row + kSsimRows + after);
    }
    for (; row < tile_.row_end; ++row) {
      compute_rows<1, kGrads>(row, row + 1 + after);
    }
    if (work_.dissimilarity != nullptr) {
      *work_.dissimilarity = total(dissimilarity_);
    }
    if (work_.squares != nullptr) {
      *work_.squares = total(squares_);
    }
  }

  // kRows rows of the tile, which need the rows of positions before `end`.
  template <int kRows, int kGrads>
  void compute_rows(int64_t row, int64_t end) {
    while (blurred_.end < end) {
      const int64_t next = blurred_.end;
      if (next < 0 || next >= geometry_.map_height) {
        std::fill_n(blurred_.add(), (kGrads + 2) * stride(), C(0));
      } else if (next + kSsimRows <= std::min(end, geometry_.map_height)) {
        compute_positions<kSsimRows, kGrads>(next);
      } else {
        compute_positions<1, kGrads>(next);
      }
    }
    while (pixels_.end < row + kRows) {
      load_pixels();
    }
    if (work_.squares != nullptr) {
      for (int64_t k = 0; k < kRows; ++k) {
        add_squares(row + k);
      }
    }
    if constexpr (kGrads != 0) {
      store_gradient<kRows, kGrads>(row);
    }
  }

  // Sums and differences of the next row of pixels, zeros outside the images.
  void load_pixels() {
    const int64_t row = pixels_.end;
    C* s = pixels_.add();
    C* d = s + stride();
    const int64_t column = column_begin_ - geometry_.margin;
    const int64_t count = positions() + window() - 1;
    const bool inside = row >= 0 && row < geometry_.height;
    const int64_t begin = inside ? std::max<int64_t>(0, -column) : count;
    const int64_t end = inside ? std::min(count, geometry_.width - column) : count;
    const C input_shift = input_shift_, target_shift = target_shift_;
    std::fill_n(s, begin, -input_shift - target_shift);
    std::fill_n(d, begin, target_shift - input_shift);
    std::fill_n(s + end, count - end, -input_shift - target_shift);
    std::fill_n(d + end, count - end, target_shift - input_shift);
    if (begin == end) {
      return;
    }
    C buffers[2][kSsimColumns + 2 * kMaxWindow + kBlock];
    const C* x = load_row<kSsimRows>(input_, row, column + begin, end - begin, buffers[0]);
    const C* y = load_row<kSsimRows>(target_, row, column + begin, end - begin, buffers[1]);
    const auto part = [&](int64_t i) {
      const V a = load_vector(x + i) - input_shift;
      const V b = load_vector(y + i) - target_shift;
      store_vector<C>(a + b, s + begin + i);
      store_vector<C>(a - b, d + begin + i);
    };
    int64_t i = 0;
    for (; i + kLanes <= end - begin; i += kLanes) {
      part(i);
    }
    if (end - begin >= kLanes) {
      part(end - begin - kLanes);
    } else {
      for (; i < end - begin; ++i) {
        s[begin + i] = (x[i] - input_shift) + (y[i] - target_shift);
        d[begin + i] = (x[i] - input_shift) - (y[i] - target_shift);
      }
    }
  }

  // Moments along the rows of pixels up to `end`.
  void load_moments(int64_t end) {
    const Taps taps(geometry_);
    const int64_t count = positions();
    while (moments_.end < end) {
      const C* from = pixels_.row(moments_.end);
      C* to = moments_.add();
      SlidingVector<C> s(from), d(from + stride());
      for (int64_t i = 0; i < count; i += kLanes) {
        const V s0 = s.at(middle()), d0 = d.at(middle());
        V sum_s = s0 * taps[middle()], sum_d = d0 * taps[middle()];
        V sum_ss = s0 * sum_s, sum_dd = d0 * sum_d;
        for_each_pair([&](auto near, auto far) {
          const V s1 = s.at(near), s2 = s.at(far), d1 = d.at(near), d2 = d.at(far);
          sum_s += (s1 + s2) * taps[near];
          sum_d += (d1 + d2) * taps[near];
          sum_ss += (s1 * s1 + s2 * s2) * taps[near];
          sum_dd += (d1 * d1 + d2 * d2) * taps[near];
        });
        store_vector<C>(sum_s, to + i);
        store_vector<C>(sum_d, to + stride() + i);
        store_vector<C>(sum_ss, to + 2 * stride() + i);
        store_vector<C>(sum_dd, to + 3 * stride() + i);
        s.advance();
        d.advance();
      }
    }
  }

  // Blurs along columns: kRows results, each from `window` rows of a buffer of four maps, the
  // first from those that start at `from`.
  template <int kRows>
  [[gnu::always_inline]] void blur_columns(const Taps& taps, const C* from, V* results) const {
    const int64_t row_stride = 4 * stride();
    V values[kWindow + kRows];
    if constexpr (kWindow != 0) {
#pragma GCC unroll 40
      for (int j = 0; j < kWindow + kRows - 1; ++j) {
        values[j] = load_vector(from + j * row_stride);
      }
    }
    const auto at = [&](int64_t row) {
      return kWindow != 0 ? values[row] : load_vector(from + row * row_stride);
    };
#pragma GCC unroll 8
    for (int k = 0; k < kRows; ++k) {
      V sum = at(k + middle()) * taps[middle()];
      for_each_pair([&](auto near, auto far) { sum += (at(k + near) + at(k + far)) * taps[near]; });
      results[k] = sum;
    }
  }

  void blur_row(const Taps& taps, const C* from, C* to) const {
    SlidingVector<C> values(from);
    const int64_t count = columns();
    for (int64_t i = 0; i < count; i += kLanes) {
      V sum = values.at(middle()) * taps[middle()];
      for_each_pair(
          [&](auto near, auto far) { sum += (values.at(near) + values.at(far)) * taps[near]; });
      store_vector<C>(sum, to + i);
      values.advance();
    }
  }

  // What compare() needs, out of the loop.
  struct Constants {
    V luminance, shift_s, shift_d, c1, c2;  // c1 and c2 twice
  };

  Constants constants() const {
    const V luminance = V{} + geometry_.luminance;
    return {luminance, luminance * (input_shift_ + target_shift_),
            luminance * (input_shift_ - target_shift_), V{} + 2 * geometry_.c1,
            V{} + 2 * geometry_.c2};
  }

  static V positive(V values) { return values < 0 ? V{} : values; }

  // numerator / denominator from 1 / denominator, exactly 1 where they are equal.
  static V divide(V numerator, V denominator, V inverse) {
    const V quotient = numerator * inverse;
    return quotient + (numerator - quotient * denominator) * inverse;
  }

  // SSIM at kLanes positions from the moments, or (kGrads) 1 - SSIM and half the slopes of SSIM:
  // from the mean of the input, by the square of a pixel with its sign changed, by a product of
  // pixels, from the mean of the target.
  template <int kGrads>
  [[gnu::always_inline]] V compare(const Constants& constants, V m_s, V m_d, V m_ss, V m_dd, V grad,
                                   bool similarity, V* slopes) const {
    const V mean_s = m_s * constants.luminance + constants.shift_s;
    const V mean_d = m_d * constants.luminance + constants.shift_d;
    const V mean_x = mean_s + mean_d, mean_y = mean_s - mean_d;  // twice the images' means
    const V square_d = mean_d * mean_d;
    const V sum_l = mean_s * mean_s + constants.c1 + square_d, inverse_l = 1 / sum_l;
    const V variance_s = positive(m_ss - m_s * m_s), variance_d = positive(m_dd - m_d * m_d);
    const V sum_c = variance_s + variance_d + constants.c2, inverse_c = 1 / sum_c;
    V l, c;
    if (kGrads != 0 || similarity) {
      l = divide(mean_x * mean_y + constants.c1, sum_l, inverse_l);
      c = divide(variance_s - variance_d + constants.c2, sum_c, inverse_c);
    }
    if constexpr (kGrads != 0) {
      const V product = l * inverse_c * grad, square = c * product;
      const V mean = c * inverse_l * grad;
      const V m_x = m_s + m_d, m_y = m_s - m_d;
      slopes[0] = mean * (mean_y - l * mean_x) + m_x * square - m_y * product;
      slopes[1] = square;
      slopes[2] = product;
      slopes[3] = mean * (mean_x - l * mean_y) + m_y * square - m_x * product;
    }
    if (similarity) {
      return l * c;
    }
    const V a = (square_d + square_d) * inverse_l, b = (variance_d + variance_d) * inverse_c;
    return a + b - a * b;
  }

  // kRows rows of window positions.
  template <int kRows, int kGrads>
  void compute_positions(int64_t row) {
    const int64_t top = row - geometry_.margin;
    while (pixels_.end < top + kRows - 1 + window()) {
      load_pixels();
    }
    load_moments(top + kRows - 1 + window());
    const int64_t count = positions();
    const bool similarity = work_.similarity != nullptr;
    const bool each = work_.grad_map != nullptr;
    if (each) {
      for (int64_t k = 0; k < kRows; ++k) {
        const C* grads = work_.grad_map + (row + k) * geometry_.map_width + column_begin_;
        std::memcpy(grads_ + k * stride(), grads, count * sizeof(C));
      }
    }
    const Constants constants = this->constants();
    const Taps taps(geometry_);
    const C* from = moments_.row(top);
    C* slopes_from = slopes_ + column_begin_ - slope_begin_;
    for (int64_t i = 0; i < count; i += kLanes) {
      V moments[4][kRows];
      for (int map = 0; map < 4; ++map) {
        blur_columns<kRows>(taps, from + map * stride() + i, moments[map]);
      }
      for (int64_t k = 0; k < kRows; ++k) {
        V slopes[4];
        const V grad = each ? load_vector(grads_ + k * stride() + i) : V{} + 1;
        const V result = compare<kGrads>(constants, moments[0][k], moments[1][k], moments[2][k],
                                         moments[3][k], grad, similarity, slopes);
        store_vector<C>(result, results_ + k * stride() + i);
        for (int map = 0; map < (kGrads != 0 ? kGrads + 2 : 0); ++map) {
          store_vector<C>(slopes[map], slopes_from + (map * kSsimRows + k) * stride() + i);
        }
      }
    }
    for (int64_t k = 0; k < kRows; ++k) {
      finish(row + k, results_ + k * stride());
      C* to = blurred_.add();
      for (int map = 0; map < (kGrads != 0 ? kGrads + 2 : 0); ++map) {
        const int64_t offset = (map * kSsimRows + k) * stride();
        store_vector<C>(V{}, slopes_from + offset + count);
        blur_row(taps, slopes_ + offset, to + map * stride());
      }
    }
  }

  // Sums or stores what was found at the positions of a row that belong to this tile.
  void finish(int64_t row, const C* results) {
    const int64_t begin = tile_.column_begin;
    const int64_t count = std::min(tile_.column_end, geometry_.map_width) - begin;
    if (row < tile_.row_begin || row >= tile_.row_end || count <= 0) {
      return;
    }
    results += begin - column_begin_;
    if (work_.dissimilarity != nullptr) {
      add(results, count, [](auto value) { return value; }, dissimilarity_);
    }
    if (work_.similarity != nullptr) {
      C* to = work_.similarity + row * geometry_.map_width + begin;
      std::memcpy(to, results, count * sizeof(C));
    }
  }

  void add_squares(int64_t row) {
    const C shift = input_shift_ - target_shift_;
    const C* d = pixels_.row(row) + stride() + pixel_indent();
    add(d, columns(), [=](auto value) { return (value + shift) * (value + shift); }, squares_);
  }

  template <typename F>
  static void add(const C* values, int64_t count, const F& of, double* sums) {
    V lanes = {};
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      lanes += of(load_vector(values + i));
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      sums[lane] += lanes[lane];
    }
    for (; i < count; ++i) {
      sums[0] += of(values[i]);
    }
  }

  static double total(const double* lanes) {
    double sum = 0;
    for (int lane = 0; lane < kLanes; ++lane) {
      sum += lanes[lane];
    }
    return sum;
  }

  // Where the pixels of the tile start in a row of pixels_.
  int64_t pixel_indent() const { return tile_.column_begin - (column_begin_ - geometry_.margin); }

  template <int kRows, int kGrads>
  void store_gradient(int64_t row) {
    const Taps taps(geometry_);
    const C* from = blurred_.row(row + geometry_.margin - window() + 1);
    const C* s = pixels_.row(row) + pixel_indent();
    const C* d = s + stride();
    const V shift = V{} + (input_shift_ - target_shift_);
    const V grad = V{} + 2 * work_.grad, grad_square = V{} + 2 * work_.grad_square;
    const int64_t count = columns(), width = geometry_.width;
    C* grad_input = work_.grad_input + row * width + tile_.column_begin;
    C* grad_target = kGrads == 2 ? work_.grad_target + row * width + tile_.column_begin : nullptr;
    for (int64_t i = 0; i < count; i += kLanes) {
      V by_square[kRows], by_product[kRows], of_input[kRows], of_target[kRows];
      blur_columns<kRows>(taps, from + stride() + i, by_square);
      blur_columns<kRows>(taps, from + 2 * stride() + i, by_product);
      blur_columns<kRows>(taps, from + i, of_input);
      if constexpr (kGrads == 2) {
        blur_columns<kRows>(taps, from + 3 * stride() + i, of_target);
      }
      for (int64_t k = 0; k < kRows; ++k) {
        const V sum = load_vector(s + 2 * k * stride() + i);
        const V difference = load_vector(d + 2 * k * stride() + i);
        const V x = sum + difference, y = sum - difference;  // twice the pixels
        const V squares = (difference + shift) * grad_square;
        store_part((of_input[k] + y * by_product[k] - x * by_square[k]) * grad + squares, count - i,
                   grad_input + k * width + i);
        if constexpr (kGrads == 2) {
          store_part((of_target[k] + x * by_product[k] - y * by_square[k]) * grad - squares,
                     count - i, grad_target + k * width + i);
        }
      }
    }
  }

  static void store_part(V values, int64_t count, C* to) {
    if (count >= kLanes) {
      store_vector<C>(values, to);
    } else {
      std::memcpy(to, &values, count * sizeof(C));
    }
  }

  const StridedMatrix<T>& input_;
  const StridedMatrix<T>& target_;
  const SsimGeometry<C>& geometry_;
  const Tile& tile_;
  const SsimWork<C>& work_;
  const C input_shift_, target_shift_;  // what the pixels are less
  SsimBuffer<C, 2> pixels_;             // s and d
  SsimBuffer<C, 4> moments_, blurred_;
  C *slopes_, *results_, *grads_;
  int64_t slope_begin_ = 0;                    // position at the start of a row of slopes
  int64_t column_begin_ = 0, column_end_ = 0;  // positions that are computed
  double dissimilarity_[kLanes] = {}, squares_[kLanes] = {};  // to be added up
};

template <typename T>
void ssim_tile(const StridedMatrix<T>& input, const StridedMatrix<T>& target,
               const SsimGeometry<Computed<T>>& geometry, const Tile& tile,
               const SsimWork<Computed<T>>& work, Computed<T>* scratch) {
  if (geometry.window == 11) {
    SsimTileRun<T, 11>(input, target, geometry, tile, work, scratch).run();
  } else {
    SsimTileRun<T, 0>(input, target, geometry, tile, work, scratch).run();
  }
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
