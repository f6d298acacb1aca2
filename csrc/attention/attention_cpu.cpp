// Attention on the CPU: splits queries into blocks, one thread to a block; gradients go through
// groups of queries and keys, so that no two threads add to the same ones.
#include <algorithm>
#include <tuple>
#include <vector>

#include "attention/attention.h"
#include "common/cpu.h"

#define VQE_FAST_BFLOAT16_LEVELS
#define VQE_FAST_KERNELS "attention/attention-inl.h"
#include "simd/foreach_isa.h"

namespace vqe_fast {
namespace {

using baseline::Computed;

ScalarType computed_type(const Tensor& tensor) {
  return tensor.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

int64_t positions_of(const Tensor& map) { return map.size(2) * map.size(3); }

// The stride from one position to the next, where one number is enough.
bool position_stride(const Tensor& map, int64_t& stride) {
  const int64_t height = map.size(2), width = map.size(3);
  stride = width > 1 ? map.stride(3) : height > 1 ? map.stride(2) : 1;
  return height <= 1 || width <= 1 || map.stride(2) == width * map.stride(3);
}

// The map itself if the kernels can read it as it lies, else a copy.
Tensor readable(const Tensor& map) {
  int64_t stride;
  const bool even = position_stride(map, stride);
  const bool contiguous = stride == 1 || map.size(1) <= 1 || map.stride(1) == 1;
  return even && contiguous ? map : torch::stable::contiguous(map);
}

// One image of a readable map.
template <typename T>
AttentionMap<T> image(const Tensor& map, int64_t index) {
  int64_t stride;
  position_stride(map, stride);
  const int64_t channel_stride = map.size(1) > 1 ? map.stride(1) : 1;
  const T* data = map.const_data_ptr<T>() + index * map.stride(0);
  return {{data, channel_stride, stride}, map.size(1), positions_of(map)};
}

// Calls a kernel of T on this machine's best level for it.
#define VQE_FAST_CALL_ATTENTION(function, ...)          \
  do {                                                  \
    if constexpr (std::is_same_v<T, BFloat16>) {        \
      VQE_FAST_CALL_BFLOAT16(function<T>, __VA_ARGS__); \
    } else {                                            \
      VQE_FAST_CALL(function<T>, __VA_ARGS__);          \
    }                                                   \
  } while (false)

template <typename T>
void forward(const Tensor& query, const Tensor& key, const Tensor& value, double scale,
             Tensor& output, Tensor& max_sum) {
  using C = Computed<T>;
  const int64_t positions = positions_of(query), value_channels = value.size(1);
  const int64_t blocks = (positions + LargeBlock::positions - 1) / LargeBlock::positions;
  T* results = output.mutable_data_ptr<T>();
  C* maxima = max_sum.mutable_data_ptr<C>();
  torch::stable::parallel_for(0, query.size(0) * blocks, 1, [&](int64_t begin, int64_t end) {
    const Scratch<C> scratch(attention_forward_scratch(query.size(1), value_channels));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t batch = i / blocks, first = i % blocks * LargeBlock::positions;
      C* maximum = maxima + batch * 2 * positions;
      const AttentionForward<T, C> call{image<T>(query, batch),
                                        image<T>(key, batch),
                                        image<T>(value, batch),
                                        scale,
                                        results + batch * value_channels * positions,
                                        maximum,
                                        maximum + positions};
      VQE_FAST_CALL_ATTENTION(attention_forward, call, first, scratch.get());
    }
  });
}

std::tuple<Tensor, Tensor> cross_frame_attention(const Tensor& query, const Tensor& key,
                                                 const Tensor& value, double scale) {
  const Tensor q = readable(query), k = readable(key), v = readable(value);
  Tensor output = torch::stable::new_empty(v, {q.size(0), v.size(1), q.size(2), q.size(3)});
  Tensor max_sum =
      torch::stable::new_empty(q, {q.size(0), 2, q.size(2), q.size(3)}, computed_type(q));
  THO_DISPATCH_V2(q.scalar_type(), "cross_frame_attention",
                  AT_WRAP([&] { forward<scalar_t>(q, k, v, scale, output, max_sum); }),
                  VQE_FAST_FLOAT_TYPES);
  return {output, max_sum};
}

// Groups of blocks of positions; their number does not depend on that of the threads, lest sums do.
class Groups {
 public:
  Groups(int64_t positions, int64_t most)
      : positions_(positions),
        blocks_((positions + SmallBlock::positions - 1) / SmallBlock::positions),
        count_(std::min(blocks_, most)) {}
  int64_t count() const { return count_; }
  AttentionRange operator[](int64_t group) const { return {edge(group), edge(group + 1)}; }

 private:
  int64_t edge(int64_t group) const {
    return std::min(blocks_ * group / count_ * SmallBlock::positions, positions_);
  }
  int64_t positions_, blocks_, count_;
};

template <typename C>
C* image_of(Tensor& gradient, int64_t batch) {
  return gradient.dim() == 1 ? nullptr
                             : gradient.mutable_data_ptr<C>() + batch * gradient.stride(0);
}

struct AttentionGradientMaps {
  Tensor query, key, value;
};

template <typename T>
void backward(const Tensor& grad_output, const Tensor& query, const Tensor& key,
              const Tensor& value, const Tensor& output, const Tensor& max_sum, double scale,
              AttentionGradientMaps& gradients) {
  using C = Computed<T>;
  const int64_t batches = query.size(0), channels = query.size(1), value_channels = value.size(1);
  const int64_t positions = positions_of(query);
  const C* maxima = max_sum.const_data_ptr<C>();
  Tensor delta = torch::stable::new_empty(max_sum, {batches, positions});
  C* sums = delta.mutable_data_ptr<C>();
  const int64_t blocks = (positions + SmallBlock::positions - 1) / SmallBlock::positions;
  torch::stable::parallel_for(0, batches * blocks, 1, [&](int64_t begin, int64_t end) {
    const Scratch<C> scratch(attention_backward_scratch(channels, value_channels));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t batch = i / blocks, first = i % blocks * SmallBlock::positions;
      const auto grads = image<T>(grad_output, batch), results = image<T>(output, batch);
      VQE_FAST_CALL(attention_delta<T>, grads, results, first, sums + batch * positions,
                    scratch.get());
    }
  });
  // In each step every group of queries meets another group of keys, on a thread of its own: many
  // groups keep many threads busy, large groups of queries share what is done for a block of keys.
  const Groups queries(positions, 16), keys(positions_of(key), 64);
  const int64_t steps = std::max(queries.count(), keys.count());
  for (int64_t step = 0; step < steps; ++step) {
    const int64_t tasks = batches * queries.count();
    torch::stable::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
      const Scratch<C> scratch(attention_backward_scratch(channels, value_channels));
      for (int64_t i = begin; i < end; ++i) {
        const int64_t batch = i / queries.count(), group = i % queries.count();
        const int64_t partner = (group + step) % steps;
        if (partner >= keys.count()) {
          continue;
        }
        const C* maximum = maxima + batch * 2 * positions;
        const AttentionBackward<T, C> call{image<T>(query, batch),
                                           image<T>(key, batch),
                                           image<T>(value, batch),
                                           image<T>(grad_output, batch),
                                           scale,
                                           maximum,
                                           maximum + positions,
                                           sums + batch * positions,
                                           image_of<C>(gradients.query, batch),
                                           image_of<C>(gradients.key, batch),
                                           image_of<C>(gradients.value, batch)};
        VQE_FAST_CALL_ATTENTION(attention_backward, call, keys[partner], queries[group],
                                scratch.get());
      }
    });
  }
}

std::tuple<Tensor, Tensor, Tensor> cross_frame_attention_backward(
    const Tensor& grad_output, const Tensor& query, const Tensor& key, const Tensor& value,
    const Tensor& output, const Tensor& max_sum, double scale, const std::vector<bool>& needed) {
  STD_TORCH_CHECK(needed.size() == 3, "cross_frame_attention_backward has three gradients");
  const Tensor g = readable(grad_output);
  const Tensor q = readable(query), k = readable(key), v = readable(value);
  const auto zeros = [&](const Tensor& map, bool need) {
    const auto type = computed_type(map);
    return need ? torch::stable::new_zeros(map, map.sizes(), type)
                : torch::stable::new_empty(map, {0}, type);
  };
  AttentionGradientMaps gradients{zeros(q, needed[0]), zeros(k, needed[1]), zeros(v, needed[2])};
  THO_DISPATCH_V2(q.scalar_type(), "cross_frame_attention_backward", AT_WRAP([&] {
                    backward<scalar_t>(g, q, k, v, readable(output),
                                       torch::stable::contiguous(max_sum), scale, gradients);
                  }),
                  VQE_FAST_FLOAT_TYPES);
  return {gradients.query, gradients.key, gradients.value};
}

}  // namespace
}  // namespace vqe_fast

STABLE_TORCH_LIBRARY_IMPL(vqe_fast, CPU, library) {
  library.impl("cross_frame_attention", TORCH_BOX(&vqe_fast::cross_frame_attention));
  library.impl("cross_frame_attention_backward",
               TORCH_BOX(&vqe_fast::cross_frame_attention_backward));
}
