// Attention of a block of queries to all keys.
#if defined(VQE_FAST_ATTENTION_ATTENTION_FORWARD_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_ATTENTION_ATTENTION_FORWARD_INL_H_
#undef VQE_FAST_ATTENTION_ATTENTION_FORWARD_INL_H_
#else
#define VQE_FAST_ATTENTION_ATTENTION_FORWARD_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "attention/attention.h"
#include "attention/attention_operands-inl.h"
#include "simd/exp2-inl.h"
#include "simd/isa_level.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

// Online softmax: logits of one product's columns become weights, 2^((logit - maximum) power), and
// maximum and sum so far those with these keys; what was summed up before is to be multiplied by
// factors. The weights take the place of the logits.
template <typename T>
void online_softmax(Computed<T>* logits, int64_t keys, LogitScale<Computed<T>> scale,
                    Computed<T>* maximum, Computed<T>* sum, Computed<T>* factors) {
  using C = Computed<T>;
  using Operands = OperandsOf<T>;
  using Value = typename Operands::Value;
  constexpr int64_t kLanes = VectorOf<C>::lanes, kStride = Operands::kColumns;
  constexpr int64_t kSummed = 16;  // weights that are summed up before they are added to the rest
  Value* weights = reinterpret_cast<Value*>(logits);
  for (int64_t column = 0; column < kStride; column += kLanes) {
    const auto logit = [&](int64_t key) -> Vector<C> {
      return load_vector(logits + key * kStride + column) * scale.sign;
    };
    const Vector<C> before = load_vector(maximum + column);
    Vector<C> largest = before;
    for (int64_t key = 0; key < keys; ++key) {
      largest = largest < logit(key) ? logit(key) : largest;
    }
    if constexpr (Operands::kSlack > 0) {
      const C slack = std::min(Operands::kSlack / scale.power, std::numeric_limits<C>::max());
      largest = largest > before + slack ? largest : before;
    }
    Vector<C> total{};
    for (int64_t start = 0; start < keys; start += kSummed) {
      const int64_t end = std::min(start + kSummed, keys);
      Vector<C> part{};
      const auto weight = [&](int64_t key) {
        const Vector<C> power = (logit(key) - largest) * scale.power;
        const Vector<C> result = exp2<kExp2Degree<T>, C>(power);
        part += result;
        return result;
      };
      for (int64_t key = start; key < end; key += Operands::kRowsInOne) {
        Value* row = weights + key / Operands::kRowsInOne * kStride + column;
        if constexpr (Operands::kRowsInOne == 1) {
          store_vector(Operands::join(weight(key)), row);
        } else {
          const Vector<C> first = weight(key);
          const Vector<C> second = key + 1 < end ? weight(key + 1) : Vector<C>{};
          store_vector(Operands::join(first, second), row);
        }
      }
      total += part;
    }
    for (int64_t key = round_up(keys, Operands::kRowsInOne); key < round_up(keys, Operands::kDepth);
         key += Operands::kRowsInOne) {
      store_vector(Vector<Value>{}, weights + key / Operands::kRowsInOne * kStride + column);
    }
    const Vector<C> factor = exp2<kExp2Degree<T>, C>((before - largest) * scale.power);
    store_vector<C>(load_vector(sum + column) * factor + total, sum + column);
    store_vector(factor, factors + column);
    store_vector(largest, maximum + column);
  }
}

template <typename T>
void attention_forward(const AttentionForward<T, Computed<T>>& call, int64_t first,
                       Computed<T>* scratch) {
#if VQE_FAST_LEVEL == 4
  const Tiles tiles;
#endif
  using C = Computed<T>;
  using Operands = OperandsOf<T>;
  using Value = typename Operands::Value;
  const int64_t channels = call.key.channels, value_channels = call.value.channels;
  const int64_t count = std::min(LargeBlock::positions, call.query.positions - first);
  const LogitScale<C> scale(call.scale);
  const auto take = [&](int64_t elements) { return std::exchange(scratch, scratch + elements); };
  C* output = take(attention_rows(value_channels) * LargeBlock::stride);
  C* maximum = take(LargeBlock::stride);
  C* sum = take(LargeBlock::stride);
  C* factors = take(LargeBlock::stride);
  C* logits = take(SmallBlock::positions * SmallBlock::stride);
  Value* query = reinterpret_cast<Value*>(take(attention_rows(channels) * LargeBlock::stride));
  Value* key = reinterpret_cast<Value*>(take(attention_rows(channels) * SmallBlock::stride));
  Value* value =
      reinterpret_cast<Value*>(take(attention_rows(value_channels) * SmallBlock::stride));

  Operands::template pack_right_operand<LargeBlock>(call.query, first, query);
  std::fill_n(output, attention_rows(value_channels) * LargeBlock::stride, C{});
  std::fill_n(maximum, LargeBlock::stride, -std::numeric_limits<C>::infinity());
  std::fill_n(sum, LargeBlock::stride, C{});
  for (int64_t start = 0; start < call.key.positions; start += SmallBlock::positions) {
    const int64_t keys = std::min(SmallBlock::positions, call.key.positions - start);
    Operands::pack_left_operand_over_channels(call.key, start, key);
    Operands::pack_left_operand_over_positions(call.value, start, value);
    constexpr int64_t kColumns = Operands::kColumns;
    for (int64_t i = 0; i < count; i += kColumns) {
      Operands::over_channels(key, channels, keys, query + i, LargeBlock::stride, kColumns, logits,
                              kColumns);
      online_softmax<T>(logits, keys, scale, maximum + i, sum + i, factors);
      const Value* weights = reinterpret_cast<const Value*>(logits);
      Operands::template over_positions<Epilogue::scale_add>(value, value_channels, keys, weights,
                                                             kColumns, kColumns, output + i,
                                                             LargeBlock::stride, factors);
    }
  }
  for (int64_t channel = 0; channel < value_channels; ++channel) {
    T* to = call.output + channel * call.query.positions + first;
    for (int64_t i = 0; i < count; ++i) {
      to[i] = static_cast<T>(output[channel * LargeBlock::stride + i] / sum[i]);
    }
  }
  std::copy_n(maximum, count, call.maximum + first);
  std::copy_n(sum, count, call.sum + first);
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
