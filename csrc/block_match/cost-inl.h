// What vectors cost: sums of absolute differences between windows of 8×8 pixels.
#if defined(VQE_FAST_BLOCK_MATCH_COST_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_BLOCK_MATCH_COST_INL_H_
#undef VQE_FAST_BLOCK_MATCH_COST_INL_H_
#else
#define VQE_FAST_BLOCK_MATCH_COST_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <tuple>

#include "block_match/block_match.h"
#include "simd/isa_level.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

constexpr int64_t kArea = kWindow * kWindow;

// Catmull-Rom at each quarter of a pixel, times 128.
constexpr int8_t kTaps[4][4] = {
    {0, 0, 0, 0}, {-9, 111, 29, -3}, {-8, 72, 72, -8}, {-3, 29, 111, -9}};

// Copies the pixels of a window, one row after the other.
inline void copy_window(const uint8_t* from, int64_t stride, uint8_t* to) {
  for (int64_t y = 0; y < kWindow; ++y) {
    std::memcpy(to + y * kWindow, from + y * stride, kWindow);
  }
}

#if VQE_FAST_LEVEL >= 1

inline __m256i load_bytes(const uint8_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

// Four rows of a window.
inline __m256i load_rows(const uint8_t* from, int64_t stride) {
  const auto row = [&](int64_t y) {
    int64_t bytes;
    std::memcpy(&bytes, from + y * stride, sizeof bytes);
    return bytes;
  };
  return _mm256_set_epi64x(row(3), row(2), row(1), row(0));
}

inline int total(__m256i sums) {
  const __m128i half =
      _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  return _mm_cvtsi128_si32(half) + _mm_extract_epi32(half, 2);
}

// (a, b, c, d) times the taps of a part, from pairs (a, b) and (c, d), rounded to whole numbers;
// what saturates is far beyond 255.
class Filter {
 public:
  explicit Filter(int part)
      : first_(pair(kTaps[part][0], kTaps[part][1])),
        second_(pair(kTaps[part][2], kTaps[part][3])) {}

  __m256i operator()(__m256i first, __m256i second) const {
    const __m256i a = _mm256_maddubs_epi16(first, first_);
    const __m256i b = _mm256_maddubs_epi16(second, second_);
    const __m256i sum = _mm256_adds_epi16(_mm256_adds_epi16(a, b), _mm256_set1_epi16(64));
    return _mm256_srai_epi16(sum, 7);
  }

 private:
  static __m256i pair(int8_t a, int8_t b) {
    return _mm256_set1_epi16(static_cast<int16_t>((b << 8) | static_cast<uint8_t>(a)));
  }

  __m256i first_, second_;
};

// `count` rows of 8 pixels, between the pixels of rows; to the next even number of rows.
inline void filter_along(const uint8_t* from, int64_t stride, int part, int64_t count,
                         uint8_t* to) {
  const Filter filter(part);
  const __m256i pairs =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8));
  const __m256i next = _mm256_add_epi8(pairs, _mm256_set1_epi8(2));
  for (int64_t y = 0; y < count; y += 2, from += 2 * stride) {
    const __m128i row = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from - 1));
    const __m128i below = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + stride - 1));
    const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(row), below, 1);
    const __m256i sums = filter(_mm256_shuffle_epi8(both, pairs), _mm256_shuffle_epi8(both, next));
    const __m128i bytes =
        _mm_packus_epi16(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + y * kWindow), bytes);
  }
}

// 4 rows of 8 pixels, between the rows of `rows`.
inline __m256i filter_down(const Filter& filter, const uint8_t* rows) {
  const __m256i a = load_bytes(rows), b = load_bytes(rows + kWindow);
  const __m256i c = load_bytes(rows + 2 * kWindow), d = load_bytes(rows + 3 * kWindow);
  return _mm256_packus_epi16(filter(_mm256_unpacklo_epi8(a, b), _mm256_unpacklo_epi8(c, d)),
                             filter(_mm256_unpackhi_epi8(a, b), _mm256_unpackhi_epi8(c, d)));
}

inline int differences_at(const uint8_t* own, const uint8_t* other, int64_t stride, int part_x,
                          int part_y) {
  __m256i first, second;
  alignas(32) uint8_t rows[12 * kWindow];
  if (part_y == 0) {
    if (part_x == 0) {
      first = load_rows(other, stride);
      second = load_rows(other + 4 * stride, stride);
    } else {
      filter_along(other, stride, part_x, kWindow, rows);
      first = load_bytes(rows);
      second = load_bytes(rows + 4 * kWindow);
    }
  } else {
    if (part_x == 0) {
      for (int64_t y = 0; y < kWindow + 3; ++y) {
        std::memcpy(rows + y * kWindow, other + (y - 1) * stride, kWindow);
      }
    } else {
      filter_along(other - stride, stride, part_x, kWindow + 3, rows);
    }
    const Filter filter(part_y);
    first = filter_down(filter, rows);
    second = filter_down(filter, rows + 4 * kWindow);
  }
  return total(_mm256_add_epi32(_mm256_sad_epu8(first, load_bytes(own)),
                                _mm256_sad_epu8(second, load_bytes(own + 4 * kWindow))));
}

#else

// count bytes between pixels that lie `step` apart, rounded to 8 bits.
inline void filter_bytes(const uint8_t* from, int64_t step, int part, int64_t count, uint8_t* to) {
  if (part == 0) {
    std::memcpy(to, from, count);
    return;
  }
  const int8_t* taps = kTaps[part];
  for (int64_t i = 0; i < count; ++i) {
    const int sum = taps[0] * from[i - step] + taps[1] * from[i] + taps[2] * from[i + step] +
                    taps[3] * from[i + 2 * step];
    to[i] = static_cast<uint8_t>(std::clamp((sum + 64) >> 7, 0, 255));
  }
}

inline int differences_at(const uint8_t* own, const uint8_t* other, int64_t stride, int part_x,
                          int part_y) {
  uint8_t rows[(kWindow + 3) * kWindow], window[kArea];
  for (int64_t y = 0; y < kWindow + 3; ++y) {
    filter_bytes(other + (y - 1) * stride, 1, part_x, kWindow, rows + y * kWindow);
  }
  filter_bytes(rows + kWindow, kWindow, part_y, kArea, window);
  int sum = 0;
  for (int64_t i = 0; i < kArea; ++i) {
    sum += std::abs(own[i] - window[i]);
  }
  return sum;
}

#endif

// The best vector of a block so far.
class Candidate {
 public:
  Candidate(const BlockMatch& call, int64_t row, int64_t column, Vector2 prediction)
      : reference_(call.reference),
        prediction_(prediction),
        top_(row * call.block_size - (kWindow - call.block_size) / 2),
        left_(column * call.block_size - (kWindow - call.block_size) / 2) {
    copy_window(call.frame.row(top_) + left_, call.frame.stride, own_);
  }

  Vector2 vector() const { return vector_; }
  int differences() const { return differences_; }

  void offer(Vector2 vector) {
    const int off = std::abs(vector.x - prediction_.x) + std::abs(vector.y - prediction_.y);
    const int penalty = std::min(kPenalty * off, kMostPenalty);
    if (penalty > cost_ || (vector == vector_ && cost_ < kNone)) {
      return;
    }
    const int found =
        differences_at(own_, place(vector), reference_.stride, vector.x & 3, vector.y & 3);
    const int cost = found + penalty, length = std::abs(vector.x) + std::abs(vector.y);
    if (std::tie(cost, length, vector.y, vector.x) <
        std::tie(cost_, length_, vector_.y, vector_.x)) {
      cost_ = cost;
      length_ = length;
      vector_ = vector;
      differences_ = found;
    }
  }

  // What lies up to `reach` steps around, in quarter pixels.
  void search(int step, int reach) {
    const Vector2 start = vector_;
    for (int y = -reach * step; y <= reach * step; y += step) {
      for (int x = -reach * step; x <= reach * step; x += step) {
        offer({start.x + x, start.y + y});
      }
    }
  }

 private:
  static constexpr int kNone = 1 << 30;

  // Windows further out would see the same.
  const uint8_t* place(Vector2 vector) const {
    const int64_t y = top_ + (vector.y >> 2), x = left_ + (vector.x >> 2);
    return reference_.row(std::clamp<int64_t>(y, 3 - kBefore, reference_.height + 2)) +
           std::clamp<int64_t>(x, 3 - kBefore, reference_.width + 2);
  }

  const BytePlane& reference_;
  Vector2 prediction_, vector_ = {0, 0};
  int64_t top_, left_;
  int cost_ = kNone, length_ = 0, differences_ = 0;
  alignas(32) uint8_t own_[kArea];
};

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
