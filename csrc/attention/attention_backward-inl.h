// Gradients of attention, of a range of queries and a range of keys.
//
// With weights w = exp(logit - maximum) / sum, gradients g of the output, and delta their sum
// over channels times the output, the gradient of a logit is w (sum over channels of g value -
// delta).
#if defined(VQE_FAST_ATTENTION_ATTENTION_BACKWARD_INL_H_) == defined(VQE_FAST_LEVEL_TOGGLE)
#ifdef VQE_FAST_ATTENTION_ATTENTION_BACKWARD_INL_H_
#undef VQE_FAST_ATTENTION_ATTENTION_BACKWARD_INL_H_
#else
#define VQE_FAST_ATTENTION_ATTENTION_BACKWARD_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <utility>

#include "attention/attention.h"
#include "attention/attention_operands-inl.h"
#include "simd/exp2-inl.h"
#include "simd/isa_level.h"
#include "simd/transpose-inl.h"

VQE_FAST_OPEN_LEVEL();
namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE {

template <typename T>
class AttentionGradients {
  using Operands = OperandsOf<T>;
  using C = typename Operands::C;
  using Value = typename Operands::Value;
  static constexpr int64_t kPositions = SmallBlock::positions, kStride = SmallBlock::stride;
  static constexpr int64_t kLanes = VectorOf<C>::lanes;

 public:
  AttentionGradients(const AttentionBackward<T, C>& call, C* scratch)
      : call_(call), channels_(call.key.channels), value_channels_(call.value.channels) {
    const int64_t rows = attention_rows(channels_), value_rows = attention_rows(value_channels_);
    const auto take = [&](int64_t count) {
      return std::exchange(scratch, scratch + count * kStride);
    };
    // What is on the left over positions may be what is elsewhere in a product already.
    const auto take_left = [&](Value* other, int64_t count) {
      return Operands::kOneForm ? other : reinterpret_cast<Value*>(take(count));
    };
    query_ = reinterpret_cast<Value*>(take(rows));
    query_left_ = take_left(query_, rows);
    key_ = reinterpret_cast<Value*>(take(rows));
    key_left_ = take_left(key_, rows);
    grad_output_ = reinterpret_cast<Value*>(take(value_rows));
    grad_output_left_ = take_left(grad_output_, value_rows);
    value_ = reinterpret_cast<Value*>(take(value_rows));
    grad_query_ = take(rows);
    grad_key_ = take(rows);
    grad_value_ = take(value_rows);
    logits_ = take(kPositions);
    slopes_ = take(kPositions);
    weights_of_query_ = reinterpret_cast<Value*>(take(kPositions));
    slopes_of_query_ = reinterpret_cast<Value*>(take(kPositions));
    for (C** row : {&maximum_, &share_, &delta_}) {
      *row = take(1);
    }
  }

  void add(AttentionRange keys, AttentionRange queries) {
    for (int64_t key = keys.begin; key < keys.end; key += kPositions) {
      const int64_t count = std::min(kPositions, keys.end - key);
      Operands::pack_left_operand_over_channels(call_.key, key, key_);
      Operands::pack_left_operand_over_channels(call_.value, key, value_);
      if (!Operands::kOneForm && call_.grad_query != nullptr) {
        Operands::pack_left_operand_over_positions(call_.key, key, key_left_);
      }
      std::fill_n(grad_key_, attention_rows(channels_) * kStride, C{});
      std::fill_n(grad_value_, attention_rows(value_channels_) * kStride, C{});
      for (int64_t query = queries.begin; query < queries.end; query += kPositions) {
        add_block(count, query, std::min(kPositions, queries.end - query));
      }
      add_to(call_.grad_key, channels_, call_.key.positions, key, count, grad_key_);
      add_to(call_.grad_value, value_channels_, call_.key.positions, key, count, grad_value_);
    }
  }

 private:
  void add_block(int64_t keys, int64_t first, int64_t queries) {
    const bool of_logits = call_.grad_query != nullptr || call_.grad_key != nullptr;
    Operands::template pack_right_operand<SmallBlock>(call_.query, first, query_);
    if (of_logits || Operands::kOneForm) {
      Operands::template pack_right_operand<SmallBlock>(call_.grad_output, first, grad_output_);
    }
    for (int64_t i = 0; i < kPositions; ++i) {
      maximum_[i] = i < queries ? call_.maximum[first + i] : 0;
      share_[i] = i < queries ? 1 / call_.sum[first + i] : 0;
      delta_[i] = i < queries ? call_.delta[first + i] : 0;
    }
    Operands::over_channels(key_, channels_, keys, query_, kStride, queries, logits_, kStride);
    if (of_logits) {
      Operands::over_channels(value_, value_channels_, keys, grad_output_, kStride, queries,
                              slopes_, kStride);
      weigh<true>(keys, queries);
    } else {
      weigh<false>(keys, queries);
    }
    if (call_.grad_value != nullptr) {
      if (!Operands::kOneForm) {
        Operands::pack_left_operand_over_positions(call_.grad_output, first, grad_output_left_);
      }
      Operands::template over_positions<Epilogue::add>(grad_output_left_, value_channels_, queries,
                                                       weights_of_query_, kStride, keys,
                                                       grad_value_, kStride);
    }
    if (call_.grad_key != nullptr) {
      if (!Operands::kOneForm) {
        Operands::pack_left_operand_over_positions(call_.query, first, query_left_);
      }
      Operands::template over_positions<Epilogue::add>(
          query_left_, channels_, queries, slopes_of_query_, kStride, keys, grad_key_, kStride);
    }
    if (call_.grad_query != nullptr) {
      Operands::template over_positions<Epilogue::store>(key_left_, channels_, keys,
                                                         reinterpret_cast<const Value*>(slopes_),
                                                         kStride, queries, grad_query_, kStride);
      add_to(call_.grad_query, channels_, call_.query.positions, first, queries, grad_query_);
    }
  }

  // Logits [key][query] become weights [query][key]; gradients of the weights [key][query] become
  // those of the products of query and key, in place and [query][key].
  template <bool kOfLogits>
  void weigh(int64_t keys, int64_t queries) {
    const C scale = static_cast<C>(call_.scale);
    const LogitScale<C> powers(call_.scale);
    const int64_t columns = round_up(queries, Operands::kDepth);
    const int64_t rows = round_up(keys, Operands::kDepth);
    for (int64_t i = 0; i < columns; i += kLanes) {
      const Vector<C> maximum = load_vector(maximum_ + i), share = load_vector(share_ + i);
      const Vector<C> delta = load_vector(delta_ + i);
      for (int64_t key = 0; key < rows; key += kLanes) {
        Vector<C> weights[kLanes] = {};
        for (int k = 0; k < std::min(kLanes, keys - key); ++k) {
          const Vector<C> logit = load_vector(logits_ + (key + k) * kStride + i) * powers.sign;
          const Vector<C> power = (logit - maximum) * powers.power;
          weights[k] = exp2<kExp2Degree<T>, C>(power) * share;
        }
        if constexpr (kOfLogits) {
          Vector<C> slopes[kLanes] = {};
          for (int k = 0; k < std::min(kLanes, keys - key); ++k) {
            const C* slope = slopes_ + (key + k) * kStride + i;
            slopes[k] = weights[k] * (load_vector(slope) - delta) * scale;
          }
          store_rows(slopes, reinterpret_cast<Value*>(slopes_) + i, key);
          transpose(slopes);
          store_rows(slopes, slopes_of_query_ + key, i);
        }
        transpose(weights);
        store_rows(weights, weights_of_query_ + key, i);
      }
    }
  }

  // Rows from first on, as products over positions take them on their right. A template, so that
  // only the join that there is must compile.
  template <typename V>
  static void store_rows(const V (&square)[kLanes], Value* to, int64_t first) {
    constexpr int64_t kRows = Operands::kRowsInOne;
    for (int k = 0; k < kLanes; k += kRows) {
      if constexpr (kRows == 1) {
        store_vector(Operands::join(square[k]), to + (first + k) * kStride);
      } else {
        store_vector(Operands::join(square[k], square[k + 1]), to + (first + k) / kRows * kStride);
      }
    }
  }

  static void add_to(C* gradients, int64_t channels, int64_t positions, int64_t first,
                     int64_t count, const C* block) {
    if (gradients == nullptr) {
      return;
    }
    for (int64_t channel = 0; channel < channels; ++channel) {
      C* to = gradients + channel * positions + first;
      for (int64_t i = 0; i < count; ++i) {
        to[i] += block[channel * kStride + i];
      }
    }
  }

  const AttentionBackward<T, C>& call_;
  int64_t channels_, value_channels_;
  Value *query_, *query_left_, *key_, *key_left_, *grad_output_, *grad_output_left_, *value_;
  C *grad_query_, *grad_key_, *grad_value_;
  C *logits_, *slopes_;
  Value *weights_of_query_, *slopes_of_query_;
  C *maximum_, *share_, *delta_;
};

template <typename T>
void attention_backward(const AttentionBackward<T, Computed<T>>& call, AttentionRange keys,
                        AttentionRange queries, Computed<T>* scratch) {
#if VQE_FAST_LEVEL == 4
  const Tiles tiles;
#endif
  AttentionGradients<T>(call, scratch).add(keys, queries);
}

// Sums over channels of output times its gradient, of the queries of a block.
template <typename T>
void attention_delta(const AttentionMap<T>& grad_output, const AttentionMap<T>& output,
                     int64_t first, Computed<T>* sums, Computed<T>* scratch) {
  using C = Computed<T>;
  constexpr int64_t kStride = SmallBlock::stride;
  const int64_t count = std::min(SmallBlock::positions, output.positions - first);
  const int64_t rows = attention_rows(output.channels);
  C* grads = scratch;
  C* results = scratch + rows * kStride;
  Direct<T>::template pack_right_operand<SmallBlock>(grad_output, first, grads);
  Direct<T>::template pack_right_operand<SmallBlock>(output, first, results);
  std::fill_n(sums + first, count, C{});
  for (int64_t channel = 0; channel < output.channels; ++channel) {
    for (int64_t i = 0; i < count; ++i) {
      sums[first + i] += grads[channel * kStride + i] * results[channel * kStride + i];
    }
  }
}

}  // namespace vqe_fast::VQE_FAST_LEVEL_NAMESPACE
VQE_FAST_CLOSE_LEVEL();

#endif
