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

// Catmull-Rom at each quarter of a pixel, times 128.
constexpr int kTaps[4][4] = {{0, 128, 0, 0}, {-9, 111, 29, -3}, {-8, 72, 72, -8}, {-3, 29, 111, -9}};

inline int difference(const uint8_t* a, int64_t a_stride, const uint8_t* b, int64_t b_stride) {
#if defined(__x86_64__)
  __m128i sum = _mm_setzero_si128();
  for (int64_t y = 0; y < kWindow; ++y) {
    const __m128i x = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(a + y * a_stride));
    const __m128i z = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(b + y * b_stride));
    sum = _mm_add_epi32(sum, _mm_sad_epu8(x, z));
  }
  return _mm_cvtsi128_si32(sum);
#else
  int sum = 0;
  for (int64_t y = 0; y < kWindow; ++y) {
    for (int64_t x = 0; x < kWindow; ++x) {
      sum += std::abs(a[y * a_stride + x] - b[y * b_stride + x]);
    }
  }
  return sum;
#endif
}

// count bytes between pixels that lie `step` apart, rounded to 8 bits.
inline void interpolate(const uint8_t* from, int64_t step, int part, int64_t count, uint8_t* to) {
  const int* taps = kTaps[part];
  for (int64_t i = 0; i < count; ++i) {
    const int sum = taps[0] * from[i - step] + taps[1] * from[i] + taps[2] * from[i + step] +
                    taps[3] * from[i + 2 * step];
    to[i] = static_cast<uint8_t>(std::clamp((sum + 64) >> 7, 0, 255));
  }
}

// The best vector of a block so far.
class Candidate {
 public:
  Candidate(const BlockMatch& call, int64_t row, int64_t column, Vector2 prediction)
      : reference_(call.reference), prediction_(prediction), stride_(call.frame.stride) {
    const int64_t before = (kWindow - call.block_size) / 2;
    top_ = row * call.block_size - before;
    left_ = column * call.block_size - before;
    own_ = call.frame.row(top_) + left_;
  }

  Vector2 vector() const { return vector_; }
  int differences() const { return differences_; }

  void offer_whole(Vector2 vector) {
    offer(vector, difference(own_, stride_, place(vector), reference_.stride));
  }

  // The pixels around, up to `reach` to each side.
  void search_whole(int reach) {
    const Vector2 start = vector_;
    for (int y = -reach; y <= reach; ++y) {
      for (int x = -reach; x <= reach; ++x) {
        offer_whole({start.x + 4 * x, start.y + 4 * y});
      }
    }
  }

  // The vectors one step around, in quarter pixels.
  void search_between(int step) {
    const Vector2 start = vector_;
    for (int y = -step; y <= step; y += step) {
      for (int x = -step; x <= step; x += step) {
        offer_between({start.x + x, start.y + y});
      }
    }
  }

 private:
  const uint8_t* place(Vector2 vector) const {
    const int64_t y = std::clamp<int64_t>(top_ + (vector.y >> 2), 3 - kBefore, reference_.height + 2);
    const int64_t x = std::clamp<int64_t>(left_ + (vector.x >> 2), 3 - kBefore, reference_.width + 2);
    return reference_.row(y) + x;
  }

  void offer_between(Vector2 vector) {
    uint8_t rows[(kWindow + 3) * kWindow], window[kWindow * kWindow];
    const uint8_t* from = place(vector) - reference_.stride;
    for (int64_t y = 0; y < kWindow + 3; ++y) {
      interpolate(from + y * reference_.stride, 1, vector.x & 3, kWindow, rows + y * kWindow);
    }
    interpolate(rows + kWindow, kWindow, vector.y & 3, kWindow * kWindow, window);
    offer(vector, difference(own_, stride_, window, kWindow));
  }

  void offer(Vector2 vector, int differences) {
    const int length = std::abs(vector.x) + std::abs(vector.y);
    const int off = std::abs(vector.x - prediction_.x) + std::abs(vector.y - prediction_.y);
    const int cost = differences + std::min(kPenalty * off, kMostPenalty);
    if (std::tie(cost, length, vector.y, vector.x) <
        std::tie(cost_, length_, vector_.y, vector_.x)) {
      cost_ = cost;
      length_ = length;
      vector_ = vector;
      differences_ = differences;
    }
  }

  const BytePlane& reference_;
  Vector2 prediction_, vector_ = {0, 0};
  int64_t stride_, top_, left_;
  const uint8_t* own_;
  int cost_ = 1 << 30, length_ = 0, differences_ = 0;
};

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
