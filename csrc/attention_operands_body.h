// How the products of attention are computed from a type of map: what is copied of the maps, and
// in which form. Compiled by for_each_isa.h for every level.
//
// Queries are columns, side by side in vectors; products take kColumns of them. Logits are
// [key][query].

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
inline Matrix<T> from(const AttentionMap<T>& map, int64_t first) {
  return {map.matrix.at(0, first), map.matrix.row_step, map.matrix.column_step};
}

// A block of positions of a map, as values.
template <typename Block, typename T>
inline void pack_map(const AttentionMap<T>& map, int64_t first, Computed<T>* to) {
  pack<false>(Values<T>{from(map, first), map.channels, map.positions - first},
              attention_rows(map.channels), Block::positions, to, Block::step);
}

// Values as they are, or as float32.
template <typename T>
struct Direct {
  using C = Computed<T>;
  using Value = C;
  static constexpr int64_t kColumns = product_columns<C>();
  static constexpr int64_t kKeysInRow = 1;
  static constexpr float kSlack = 0;

  static void pack_query(const AttentionMap<T>& map, int64_t first, Value* to) {
    pack_map<QueryBlock>(map, first, to);
  }
  static void pack_key(const AttentionMap<T>& map, int64_t first, Value* to) {
    pack_map<KeyBlock>(map, first, to);
  }
  static void pack_value(const AttentionMap<T>& map, int64_t first, Value* to) {
    pack_map<KeyBlock>(map, first, to);
  }

  static void logits_of(const Value* query, const Value* key, int64_t channels, int64_t keys,
                        C* logits) {
    multiply<Into::nothing>({key, 1, KeyBlock::step}, keys, query, QueryBlock::step, kColumns,
                            channels, logits, kColumns);
  }
  static Vector<C> weights_of(Vector<C> power) { return power; }
  static void add_values(const Value* value, Value* weights, int64_t channels, int64_t keys,
                         const C* factors, C* output) {
    multiply<Into::scaled_sum>({value, KeyBlock::step, 1}, channels, weights, kColumns, kColumns,
                               keys, output, QueryBlock::step, factors);
  }
};

#if VQE_FAST_LEVEL >= 3

// Pairs of bfloat16, of two channels or of two keys, that one instruction multiplies and adds up.
struct Pairs {
  using C = float;
  using Value = uint32_t;
  static constexpr int64_t kKeysInRow = 2;

  static void pack_query(const AttentionMap<BFloat16>& map, int64_t first, Value* to) {
    pack<false>(channel_pairs(map, first), attention_rows(map.channels) / 2, QueryBlock::positions,
                to, QueryBlock::step);
  }
  static void pack_value(const AttentionMap<BFloat16>& map, int64_t first, Value* to) {
    const Matrix<BFloat16> rest = from(map, first);
    const Matrix<BFloat16> transposed{rest.data, rest.column_step, rest.row_step};
    pack<true>(RowPairs{transposed, map.positions - first, map.channels}, KeyBlock::positions / 2,
               attention_rows(map.channels), to, kValueStep);
  }
  static Vector<Value> weights_of(Vector<float> first, Vector<float> second) {
    return round_to_bfloat16(first) >> 16 | round_to_bfloat16(second);
  }

 protected:
  static constexpr int64_t kValueStep = KeyBlock::positions / 2 + 16;

  static RowPairs channel_pairs(const AttentionMap<BFloat16>& map, int64_t first) {
    return {from(map, first), map.channels, map.positions - first};
  }

 private:
  // In the upper half, zeros below.
  static Vector<Value> round_to_bfloat16(Vector<float> values) {
    const auto bits = reinterpret_cast<Vector<Value>>(values);
    return (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
  }
};

#endif

#if VQE_FAST_LEVEL == 3

// Pairs in vectors.
struct VectorPairs : Pairs {
  static constexpr int64_t kColumns = product_columns<float>();
  static constexpr float kSlack = 0;

  static void pack_key(const AttentionMap<BFloat16>& map, int64_t first, Value* to) {
    pack<false>(channel_pairs(map, first), attention_rows(map.channels) / 2, KeyBlock::positions,
                to, KeyBlock::step);
  }
  static void logits_of(const Value* query, const Value* key, int64_t channels, int64_t keys,
                        float* logits) {
    multiply<Into::nothing>({key, 1, KeyBlock::step}, keys, query, QueryBlock::step, kColumns,
                            (channels + 1) / 2, logits, kColumns);
  }
  static void add_values(const Value* value, Value* weights, int64_t channels, int64_t keys,
                         const float* factors, float* output) {
    multiply<Into::scaled_sum>({value, kValueStep, 1}, channels, weights, kColumns, kColumns,
                               (keys + 1) / 2, output, QueryBlock::step, factors);
  }
};

#elif VQE_FAST_LEVEL == 4

// Pairs in tiles.
struct TilePairs : Pairs {
  static constexpr int64_t kColumns = kTileProduct;
  // Tiles cannot be scaled: maxima stay what they are until they are wrong by a factor of 2^8.
  static constexpr float kSlack = 8;

  static void pack_key(const AttentionMap<BFloat16>& map, int64_t first, Value* to) {
    pack<true>(channel_pairs(map, first), attention_rows(map.channels) / 2, KeyBlock::positions, to,
               key_step(map.channels));
  }
  static void logits_of(const Value* query, const Value* key, int64_t channels, int64_t keys,
                        float* logits) {
    for (int64_t i = 0; i < keys; i += kTileProduct) {
      const int64_t step = key_step(channels);
      tile_product<Into::nothing>(key + i * step, step, query, QueryBlock::step,
                                  attention_rows(channels) / 2, logits + i * kColumns, kColumns);
    }
  }
  static void add_values(const Value* value, Value* weights, int64_t channels, int64_t keys,
                         const float* factors, float* output) {
    const Vector<float> left = load_vector(factors), right = load_vector(factors + 16);
    const bool scale = _mm512_cmp_ps_mask(left, _mm512_set1_ps(1), _CMP_NEQ_UQ) ||
                       _mm512_cmp_ps_mask(right, _mm512_set1_ps(1), _CMP_NEQ_UQ);
    const int64_t depth = attention_rows(keys) / 2;
    std::fill(weights + (keys + 1) / 2 * kColumns, weights + depth * kColumns, Value{});
    for (int64_t i = 0; i < channels; i += kTileProduct) {
      float* to = output + i * QueryBlock::step;
      for (int64_t row = 0; scale && row < kTileProduct; ++row) {
        float* at = to + row * QueryBlock::step;
        store_vector<float>(load_vector(at) * left, at);
        store_vector<float>(load_vector(at + 16) * right, at + 16);
      }
      tile_product<Into::sum>(value + i * kValueStep, kValueStep, weights, kColumns, depth, to,
                              QueryBlock::step);
    }
  }

 private:
  static int64_t key_step(int64_t channels) { return attention_rows(channels) / 2 + 16; }
};

#endif
