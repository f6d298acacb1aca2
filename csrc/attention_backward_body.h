// Gradients of attention, of a range of queries and a range of keys. Compiled by for_each_isa.h
// for every level.
//
// With weights w = exp(logit - maximum) / sum, gradients g of the output, and e their sum over
// channels times the output, the gradient of a logit is w (sum over channels of g value - e).

template <typename T>
class AttentionGradients {
  using C = Computed<T>;
  static constexpr int64_t kPositions = BackwardBlock::positions, kStep = BackwardBlock::step;
  static constexpr int64_t kLanes = VectorOf<C>::lanes;

 public:
  AttentionGradients(const AttentionBackward<T, C>& call, C* scratch)
      : call_(call), channels_(call.key.channels), value_channels_(call.value.channels) {
    const auto take = [&](int64_t rows) { return std::exchange(scratch, scratch + rows * kStep); };
    for (C** rows : {&query_, &key_, &grad_query_, &grad_key_}) {
      *rows = take(attention_rows(channels_));
    }
    for (C** rows : {&value_, &grad_output_, &grad_value_}) {
      *rows = take(attention_rows(value_channels_));
    }
    for (C** rows : {&logits_, &slopes_, &weights_of_query_, &slopes_of_query_}) {
      *rows = take(kPositions);
    }
    for (C** row : {&maximum_, &share_, &expected_}) {
      *row = take(1);
    }
  }

  void add(AttentionRange keys, AttentionRange queries) {
    for (int64_t key = keys.begin; key < keys.end; key += kPositions) {
      const int64_t count = std::min(kPositions, keys.end - key);
      pack_map<BackwardBlock>(call_.key, key, key_);
      pack_map<BackwardBlock>(call_.value, key, value_);
      std::fill_n(grad_key_, attention_rows(channels_) * kStep, C{});
      std::fill_n(grad_value_, attention_rows(value_channels_) * kStep, C{});
      for (int64_t query = queries.begin; query < queries.end; query += kPositions) {
        add_block(count, query, std::min(kPositions, queries.end - query));
      }
      add_to(call_.grad_key, channels_, call_.key.positions, key, count, grad_key_);
      add_to(call_.grad_value, value_channels_, call_.key.positions, key, count, grad_value_);
    }
  }

 private:
  void add_block(int64_t keys, int64_t first, int64_t queries) {
    pack_map<BackwardBlock>(call_.query, first, query_);
    pack_map<BackwardBlock>(call_.grad_output, first, grad_output_);
    for (int64_t i = 0; i < kPositions; ++i) {
      maximum_[i] = i < queries ? call_.maximum[first + i] : 0;
      share_[i] = i < queries ? 1 / call_.sum[first + i] : 0;
      expected_[i] = i < queries ? call_.expected[first + i] : 0;
    }
    multiply<Into::nothing>({key_, 1, kStep}, keys, query_, kStep, queries, channels_, logits_,
                            kStep);
    const bool of_logits = call_.grad_query != nullptr || call_.grad_key != nullptr;
    if (of_logits) {
      multiply<Into::nothing>({value_, 1, kStep}, keys, grad_output_, kStep, queries,
                              value_channels_, slopes_, kStep);
      weigh<true>(keys, queries);
    } else {
      weigh<false>(keys, queries);
    }
    if (call_.grad_value != nullptr) {
      multiply<Into::sum>({grad_output_, kStep, 1}, value_channels_, weights_of_query_, kStep, keys,
                          queries, grad_value_, kStep);
    }
    if (call_.grad_key != nullptr) {
      multiply<Into::sum>({query_, kStep, 1}, channels_, slopes_of_query_, kStep, keys, queries,
                          grad_key_, kStep);
    }
    if (call_.grad_query != nullptr) {
      multiply<Into::nothing>({key_, kStep, 1}, channels_, slopes_, kStep, queries, keys,
                              grad_query_, kStep);
      add_to(call_.grad_query, channels_, call_.query.positions, first, queries, grad_query_);
    }
  }

  // Logits [key][query] become weights [query][key]; gradients of the weights [key][query] become
  // those of the products of query and key, in place and [query][key].
  template <bool kOfLogits>
  void weigh(int64_t keys, int64_t queries) {
    constexpr int kDegree = std::is_same_v<T, double> ? 13 : 7;
    const C scale = static_cast<C>(call_.scale);
    const LogitScale<C> powers(call_.scale);
    for (int64_t i = 0; i < queries; i += kLanes) {
      const Vector<C> maximum = load_vector(maximum_ + i), share = load_vector(share_ + i);
      const Vector<C> expected = load_vector(expected_ + i);
      for (int64_t key = 0; key < keys; key += kLanes) {
        Vector<C> weights[kLanes];
        for (int k = 0; k < kLanes; ++k) {
          const Vector<C> logit = load_vector(logits_ + (key + k) * kStep + i) * powers.sign;
          weights[k] = power_of_two<kDegree, C>((logit - maximum) * powers.power) * share;
        }
        if constexpr (kOfLogits) {
          Vector<C> slopes[kLanes];
          for (int k = 0; k < kLanes; ++k) {
            C* slope = slopes_ + (key + k) * kStep + i;
            slopes[k] = weights[k] * (load_vector(slope) - expected) * scale;
            store_vector(slopes[k], slope);
          }
          store_transposed(slopes, slopes_of_query_ + i * kStep + key);
        }
        store_transposed(weights, weights_of_query_ + i * kStep + key);
      }
    }
  }

  static void store_transposed(Vector<C> (&square)[kLanes], C* to) {
    transpose(square);
    for (int k = 0; k < kLanes; ++k) {
      store_vector(square[k], to + k * kStep);
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
        to[i] += block[channel * kStep + i];
      }
    }
  }

  const AttentionBackward<T, C>& call_;
  int64_t channels_, value_channels_;
  C *query_, *key_, *grad_query_, *grad_key_;
  C *value_, *grad_output_, *grad_value_;
  C *logits_, *slopes_, *weights_of_query_, *slopes_of_query_;
  C *maximum_, *share_, *expected_;
};

template <typename T>
void attention_backward(const AttentionBackward<T, Computed<T>>& call, AttentionRange keys,
                        AttentionRange queries, Computed<T>* scratch) {
  AttentionGradients<T>(call, scratch).add(keys, queries);
}

// Sums over channels of output times its gradient, of the queries of a block.
template <typename T>
void attention_expected(const AttentionMap<T>& grad_output, const AttentionMap<T>& output,
                        int64_t first, Computed<T>* sums, Computed<T>* scratch) {
  using C = Computed<T>;
  constexpr int64_t kStep = BackwardBlock::step;
  const int64_t count = std::min(BackwardBlock::positions, output.positions - first);
  const int64_t rows = attention_rows(output.channels);
  C* grads = scratch;
  C* results = scratch + rows * kStep;
  pack_map<BackwardBlock>(grad_output, first, grads);
  pack_map<BackwardBlock>(output, first, results);
  std::fill_n(sums + first, count, C{});
  for (int64_t channel = 0; channel < output.channels; ++channel) {
    for (int64_t i = 0; i < count; ++i) {
      sums[first + i] += grads[channel * kStep + i] * results[channel * kStep + i];
    }
  }
}
