// Transposes squares of lanes by lanes values. Compiled by for_each_isa.h for every level.

// The first and the second half of a0 b0 a1 b1 ...
template <typename V>
inline void interleave(V& a, V& b) {
  using Index = std::conditional_t<sizeof(a[0]) == 4, int32_t, int64_t>;
  constexpr int kLanes = sizeof(V) / sizeof(Index);
  typedef Index Mask __attribute__((vector_size(sizeof(V))));
  Mask low, high;
  for (int i = 0; i < kLanes; ++i) {
    low[i] = i / 2 + (i % 2) * kLanes;
    high[i] = low[i] + kLanes / 2;
  }
  const V first = a, second = b;
  a = __builtin_shuffle(first, second, low);
  b = __builtin_shuffle(first, second, high);
}

// rows[i][k] and rows[k][i] change places.
template <typename V, int kLanes = sizeof(V) / sizeof(std::declval<V>()[0])>
inline void transpose(V (&rows)[kLanes]) {
  // Interleaving the halves, log2(lanes) times, brings all of them to their places.
#pragma GCC unroll 8
  for (int done = 1; done < kLanes; done *= 2) {
    V next[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes / 2; ++i) {
      next[2 * i] = rows[i];
      next[2 * i + 1] = rows[i + kLanes / 2];
      interleave(next[2 * i], next[2 * i + 1]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      rows[i] = next[i];
    }
  }
}
