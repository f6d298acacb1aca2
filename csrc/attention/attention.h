// What the attention launcher hands to the CPU kernels: plain structures, the same at every ISA
// level.
#pragma once

#include <cstdint>

#include "common/strided_matrix.h"

namespace vqe_fast {

// A map of one image: a row for each channel, a column for each position. One of the strides is 1.
template <typename T>
struct AttentionMap {
  StridedMatrix<T> matrix;
  int64_t channels, positions;
};

// Positions that are computed together, and elements from one row of a block of them to the next:
// an odd number of cache lines, so that the rows of a column spread over the whole cache.
template <int64_t kPositions>
struct AttentionBlock {
  static constexpr int64_t positions = kPositions;
  static constexpr int64_t stride = kPositions + 16;
  static_assert(positions % 96 == 0 && stride / 16 % 2 == 1);
};

// In the forward many queries share what is copied of a block of keys.
using LargeBlock = AttentionBlock<384>;
using SmallBlock = AttentionBlock<192>;

// Rows that a block has for so many channels.
constexpr int64_t attention_rows(int64_t channels) { return (channels + 31) / 32 * 32; }

template <typename T, typename C>
struct AttentionForward {
  AttentionMap<T> query, key, value;
  double scale;
  T* output;   // [value.channels, query.positions]
  C* maximum;  // [query.positions]: about the largest of query * key, or of its negative where
               // the scale is below 0
  C* sum;      // [query.positions]: of exp(logit - |scale| maximum)
};

// Elements of scratch memory: query and output, key and value, logits, three numbers a query.
constexpr int64_t attention_forward_scratch(int64_t channels, int64_t value_channels) {
  const int64_t rows = attention_rows(channels) + attention_rows(value_channels);
  return (rows + 3) * LargeBlock::stride + (rows + SmallBlock::positions) * SmallBlock::stride;
}

template <typename T, typename C>
struct AttentionBackward {
  AttentionMap<T> query, key, value, grad_output;
  double scale;
  const C* maximum;  // [query.positions], of the forward
  const C* sum;      // [query.positions], of the forward
  const C* delta;    // [query.positions]: output times its gradient, summed over channels
  C* grad_query;     // [query.channels, query.positions], added to; null if nobody asks for it
  C* grad_key;       // [key.channels, key.positions], the same
  C* grad_value;     // [value.channels, key.positions], the same
};

// Positions from begin to end.
struct AttentionRange {
  int64_t begin, end;
};

// Elements of scratch memory: query and key in two forms and their gradients; value, its gradient
// and that of the output in two forms; the weights, their gradients, both transposed; three numbers
// a query.
constexpr int64_t attention_backward_scratch(int64_t channels, int64_t value_channels) {
  return (6 * attention_rows(channels) + 4 * attention_rows(value_channels) +
          4 * SmallBlock::positions + 3) *
         SmallBlock::stride;
}

}  // namespace vqe_fast
