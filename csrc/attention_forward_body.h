// Attention of a block of queries to all keys. Compiled by for_each_isa.h for every level.

// Logits of one product's columns become weights, 2^((logit - maximum) power), and maximum and sum
// so far those with these keys; what was summed up before is to be multiplied by factors. The
// weights take the place of the logits.
template <typename Operands, int kDegree>
void soften(typename Operands::C* logits, int64_t keys, LogitScale<typename Operands::C> scale,
            typename Operands::C* maximum, typename Operands::C* sum,
            typename Operands::C* factors) {
  using C = typename Operands::C;
  using Value = typename Operands::Value;
  constexpr int64_t kLanes = VectorOf<C>::lanes, kStep = Operands::kColumns;
  constexpr int64_t kSummed = 16;  // weights that are summed up before they are added to the rest
  Value* weights = reinterpret_cast<Value*>(logits);
  for (int64_t column = 0; column < kStep; column += kLanes) {
    const auto logit = [&](int64_t key) -> Vector<C> {
      return load_vector(logits + key * kStep + column) * scale.sign;
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
        const Vector<C> result = power_of_two<kDegree, C>(power);
        part += result;
        return result;
      };
      for (int64_t key = start; key < end; key += Operands::kKeysInRow) {
        Value* row = weights + key / Operands::kKeysInRow * kStep + column;
        if constexpr (Operands::kKeysInRow == 1) {
          store_vector(Operands::weights_of(weight(key)), row);
        } else {
          const Vector<C> first = weight(key);
          const Vector<C> second = key + 1 < end ? weight(key + 1) : Vector<C>{};
          store_vector(Operands::weights_of(first, second), row);
        }
      }
      total += part;
    }
    const Vector<C> factor = power_of_two<kDegree, C>((before - largest) * scale.power);
    store_vector<C>(load_vector(sum + column) * factor + total, sum + column);
    store_vector(factor, factors + column);
    store_vector(largest, maximum + column);
  }
}

template <typename T, typename Operands, int kDegree>
void attention_forward(const AttentionForward<T, Computed<T>>& call, int64_t first,
                       Computed<T>* scratch) {
  using C = Computed<T>;
  using Value = typename Operands::Value;
  const int64_t channels = call.key.channels, value_channels = call.value.channels;
  const int64_t count = std::min(QueryBlock::positions, call.query.positions - first);
  const LogitScale<C> scale(call.scale);
  const auto take = [&](int64_t elements) { return std::exchange(scratch, scratch + elements); };
  C* output = take(attention_rows(value_channels) * QueryBlock::step);
  C* maximum = take(QueryBlock::step);
  C* sum = take(QueryBlock::step);
  C* factors = take(QueryBlock::step);
  C* logits = take(KeyBlock::positions * KeyBlock::step);
  Value* query = reinterpret_cast<Value*>(take(attention_rows(channels) * QueryBlock::step));
  Value* key = reinterpret_cast<Value*>(take(attention_rows(channels) * KeyBlock::step));
  Value* value = reinterpret_cast<Value*>(take(attention_rows(value_channels) * KeyBlock::step));

  Operands::pack_query(call.query, first, query);
  std::fill_n(output, attention_rows(value_channels) * QueryBlock::step, C{});
  std::fill_n(maximum, QueryBlock::step, -std::numeric_limits<C>::infinity());
  std::fill_n(sum, QueryBlock::step, C{});
  for (int64_t start = 0; start < call.key.positions; start += KeyBlock::positions) {
    const int64_t keys = std::min(KeyBlock::positions, call.key.positions - start);
    Operands::pack_key(call.key, start, key);
    Operands::pack_value(call.value, start, value);
    for (int64_t i = 0; i < count; i += Operands::kColumns) {
      Operands::logits_of(query + i, key, channels, keys, logits);
      soften<Operands, kDegree>(logits, keys, scale, maximum + i, sum + i, factors);
      Operands::add_values(value, reinterpret_cast<Value*>(logits), value_channels, keys, factors,
                           output + i);
    }
  }
  for (int64_t channel = 0; channel < value_channels; ++channel) {
    T* to = call.output + channel * call.query.positions + first;
    for (int64_t i = 0; i < count; ++i) {
      to[i] = static_cast<T>(output[channel * QueryBlock::step + i] / sum[i]);
    }
  }
  std::copy_n(maximum, count, call.maximum + first);
  std::copy_n(sum, count, call.sum + first);
}

template <typename T>
void attention_forward(const AttentionForward<T, Computed<T>>& call, int64_t first,
                       Computed<T>* scratch) {
#if VQE_FAST_LEVEL == 4
  const Tiles tiles;
  attention_forward<T, TilePairs, 5>(call, first, scratch);
#elif VQE_FAST_LEVEL == 3
  attention_forward<T, VectorPairs, 5>(call, first, scratch);
#else
  attention_forward<T, Direct<T>, std::is_same_v<T, double> ? 13 : 7>(call, first, scratch);
#endif
}
