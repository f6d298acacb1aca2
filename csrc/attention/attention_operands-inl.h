// How the products of attention are computed from a type of map: what is copied of the maps, and
// in which form.
//
// There are two kinds of products: over channels, of two blocks of positions, with a result for
// each pair of positions (logits, and gradients of weights); and over positions, of the channels of
// a block and a column for each position of another (outputs and gradients). What stands on the
// right has its columns side by side in vectors.
#if defined(VQE_FAST_ATTENTION_ATTENTION_OPERANDS_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_ATTENTION_ATTENTION_OPERANDS_INL_H_
#undef VQE_FAST_ATTENTION_ATTENTION_OPERANDS_INL_H_
#else
#define VQE_FAST_ATTENTION_ATTENTION_OPERANDS_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "attention/attention.h"
#include "common/strided_matrix.h"
#include "gemm/amx-inl.h"
#include "gemm/microkernel-inl.h"
#include "gemm/pack-inl.h"
#include "simd/isa_level.h"
#include "simd/vector-inl.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

constexpr int64_t round_up(int64_t count, int64_t multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

// exp(scale logit) = 2^(power sign logit). Differences of logits come before the power: that of
// equal ones is 0 exactly, and the largest weight exactly 1.
template <typename C>
struct LogitScale {
  C sign, power;

  // The power is never 0: it is multiplied by -infinity, the maximum of no logits.
  explicit LogitScale(double scale)
      : sign(scale < 0 ? -1 : 1),
        power(std::max(static_cast<C>(std::abs(scale) * 1.44269504088896340736),
                       std::numeric_limits<C>::min())) {}
};

// A map without its first positions.
template <typename T>
inline StridedMatrix<T> from(const AttentionMap<T>& map, int64_t first) {
  return {map.matrix.at(0, first), map.matrix.row_stride, map.matrix.column_stride};
}

// Values as they are, or as float32; one copy serves everywhere.
template <typename T>
struct Direct {
  using C = Computed<T>;
  using Value = C;
  static constexpr bool kOneForm = true;    // every pack_... makes the same
  static constexpr int64_t kRowsInOne = 1;  // rows on the right that are stored as one
  static constexpr int64_t kDepth = 1;      // positions that products over them take at once
  static constexpr int64_t kColumns = microkernel_columns<C>();
  static constexpr float kSlack = 0;  // the power of two that a weight may reach

  template <typename Block>
  static void pack_right_operand(const AttentionMap<T>& map, int64_t first, Value* to) {
    pack<false>(Values<T>{from(map, first), map.channels, map.positions - first},
                attention_rows(map.channels), Block::positions, to, Block::stride);
  }
  static void pack_left_operand_over_channels(const AttentionMap<T>& map, int64_t first,
                                              Value* to) {
    pack_right_operand<SmallBlock>(map, first, to);
  }
  static void pack_left_operand_over_positions(const AttentionMap<T>& map, int64_t first,
                                               Value* to) {
    pack_right_operand<SmallBlock>(map, first, to);
  }
  static Vector<Value> join(Vector<C> row) { return row; }

  static void over_channels(const Value* left, int64_t channels, int64_t rows, const Value* right,
                            int64_t right_stride, int64_t columns, C* results, int64_t stride) {
    gemm<Epilogue::store>({left, 1, SmallBlock::stride}, rows, right, right_stride, columns,
                          channels, results, stride);
  }
  template <Epilogue kEpilogue>
  static void over_positions(const Value* left, int64_t channels, int64_t positions,
                             const Value* right, int64_t right_stride, int64_t columns, C* results,
                             int64_t stride, const C* factors = nullptr) {
    gemm<kEpilogue>({left, SmallBlock::stride, 1}, channels, right, right_stride, columns,
                    positions, results, stride, factors);
  }
};

#if VQE_FAST_LEVEL >= 3

// Pairs of bfloat16, of two channels or of two positions, that one instruction multiplies and adds
// up.
struct Pairs {
  using C = float;
  using Value = uint32_t;
  static constexpr bool kOneForm = false;
  static constexpr int64_t kRowsInOne = 2;

  template <typename Block>
  static void pack_right_operand(const AttentionMap<BFloat16>& map, int64_t first, Value* to) {
    pack<false>(channel_pairs(map, first), attention_rows(map.channels) / 2, Block::positions, to,
                Block::stride);
  }
  static void pack_left_operand_over_positions(const AttentionMap<BFloat16>& map, int64_t first,
                                               Value* to) {
    const StridedMatrix<BFloat16> rest = from(map, first);
    const StridedMatrix<BFloat16> transposed{rest.data, rest.column_stride, rest.row_stride};
    pack<true>(RowPairs{transposed, map.positions - first, map.channels}, SmallBlock::positions / 2,
               attention_rows(map.channels), to, kPairStride);
  }
  static Vector<Value> join(Vector<float> first, Vector<float> second) {
    return round_to_bfloat16(first) >> 16 | round_to_bfloat16(second);
  }

 protected:
  // From one channel to the next in pairs of positions.
  static constexpr int64_t kPairStride = SmallBlock::positions / 2 + 16;

  static RowPairs channel_pairs(const AttentionMap<BFloat16>& map, int64_t first) {
    return {from(map, first), map.channels, map.positions - first};
  }

 private:
  // In the upper half, zeros below.
  static Vector<Value> round_to_bfloat16(Vector<float> values) {
    const auto bits = reinterpret_cast<Vector<Value>>(values);
    const Vector<Value> rounded = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    return values == values ? rounded : Vector<Value>{} + 0x7fc00000;
  }
};

#endif

#if VQE_FAST_LEVEL == 3

// Pairs in vectors.
struct VectorPairs : Pairs {
  static constexpr int64_t kDepth = 2;
  static constexpr int64_t kColumns = microkernel_columns<float>();
  static constexpr float kSlack = 0;

  static void pack_left_operand_over_channels(const AttentionMap<BFloat16>& map, int64_t first,
                                              Value* to) {
    pack_right_operand<SmallBlock>(map, first, to);
  }

  static void over_channels(const Value* left, int64_t channels, int64_t rows, const Value* right,
                            int64_t right_stride, int64_t columns, float* results, int64_t stride) {
    gemm<Epilogue::store>({left, 1, SmallBlock::stride}, rows, right, right_stride, columns,
                          (channels + 1) / 2, results, stride);
  }
  template <Epilogue kEpilogue>
  static void over_positions(const Value* left, int64_t channels, int64_t positions,
                             const Value* right, int64_t right_stride, int64_t columns,
                             float* results, int64_t stride, const float* factors = nullptr) {
    gemm<kEpilogue>({left, kPairStride, 1}, channels, right, right_stride, columns,
                    (positions + 1) / 2, results, stride, factors);
  }
};

#elif VQE_FAST_LEVEL == 4

// Pairs in tiles.
struct TilePairs : Pairs {
  static constexpr int64_t kDepth = 32;
  static constexpr int64_t kColumns = kTileMicrokernel;
  // Tiles cannot be scaled: maxima stay what they are until they are wrong by a factor of 2^8.
  static constexpr float kSlack = 8;

  static void pack_left_operand_over_channels(const AttentionMap<BFloat16>& map, int64_t first,
                                              Value* to) {
    pack<true>(channel_pairs(map, first), attention_rows(map.channels) / 2, SmallBlock::positions,
               to, channel_stride(map.channels));
  }

  static void over_channels(const Value* left, int64_t channels, int64_t rows, const Value* right,
                            int64_t right_stride, int64_t columns, float* results, int64_t stride) {
    gemm_tiles<Epilogue::store>(left, channel_stride(channels), rows, right, right_stride, columns,
                                attention_rows(channels) / 2, results, stride);
  }
  template <Epilogue kEpilogue>
  static void over_positions(const Value* left, int64_t channels, int64_t positions,
                             const Value* right, int64_t right_stride, int64_t columns,
                             float* results, int64_t stride, const float* factors = nullptr) {
    if constexpr (kEpilogue == Epilogue::scale_add) {
      scale(factors, attention_rows(channels), columns, results, stride);
    }
    constexpr Epilogue kThen = kEpilogue == Epilogue::store ? Epilogue::store : Epilogue::add;
    gemm_tiles<kThen>(left, kPairStride, channels, right, right_stride, columns,
                      round_up(positions, kDepth) / 2, results, stride);
  }

 private:
  // From one position to the next in pairs of channels.
  static int64_t channel_stride(int64_t channels) { return attention_rows(channels) / 2 + 16; }

  static void scale(const float* factors, int64_t rows, int64_t columns, float* results,
                    int64_t stride) {
    constexpr int64_t kLanes = VectorOf<float>::lanes;
    for (int64_t i = 0; i < columns; i += kLanes) {
      const Vector<float> factor = load_vector(factors + i);
      if (_mm512_cmp_ps_mask(factor, _mm512_set1_ps(1), _CMP_NEQ_UQ) == 0) {
        continue;
      }
      for (int64_t row = 0; row < rows; ++row) {
        float* at = results + row * stride + i;
        store_vector<float>(load_vector(at) * factor, at);
      }
    }
  }
};

#endif

// Degree 5 is exact enough for weights that are rounded to bfloat16.
#if VQE_FAST_LEVEL == 4
template <typename T>
using OperandsOf = TilePairs;
template <typename T>
constexpr int kExp2Degree = 5;
#elif VQE_FAST_LEVEL == 3
template <typename T>
using OperandsOf = VectorPairs;
template <typename T>
constexpr int kExp2Degree = 5;
#else
template <typename T>
using OperandsOf = Direct<T>;
template <typename T>
constexpr int kExp2Degree = std::is_same_v<T, double> ? 13 : 7;
#endif

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
