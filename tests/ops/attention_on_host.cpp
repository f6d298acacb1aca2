// The attention kernels for AMX, on emulated tiles: see test_attention_tiles.py.
#include "../support/tiles_emulated.h"
#include "attention/attention.h"

#define VQE_FAST_BFLOAT16_LEVELS
#define VQE_FAST_KERNELS "attention/attention-inl.h"
#include "simd/foreach_isa.h"

using namespace vqe_fast;
using torch::headeronly::BFloat16;

namespace {

struct Map {
  const BFloat16* data;
  int64_t channels, positions, channel_step, position_step;

  AttentionMap<BFloat16> map() const {
    return {{data, channel_step, position_step}, channels, positions};
  }
};

struct Scratch {
  explicit Scratch(int64_t count)
      : values(static_cast<float*>(_mm_malloc(count * sizeof(float), 64))) {}
  ~Scratch() { _mm_free(values); }
  float* values;
};

}  // namespace

extern "C" void attend(const Map* query, const Map* key, const Map* value, double scale,
                       BFloat16* output, float* maximum, float* sum) {
  const AttentionForward<BFloat16, float> call{
      query->map(), key->map(), value->map(), scale, output, maximum, sum};
  const tiles_emulated::Emulation emulation;
  const Scratch scratch(attention_forward_scratch(query->channels, value->channels));
  for (int64_t first = 0; first < query->positions; first += LargeBlock::positions) {
    amx::attention_forward<BFloat16>(call, first, scratch.values);
  }
}

// Adds to the gradients.
extern "C" void attend_backward(const Map* query, const Map* key, const Map* value,
                                const Map* grad_output, const Map* output, double scale,
                                const float* maximum, const float* sum, float* expected,
                                float* grad_query, float* grad_key, float* grad_value) {
  const tiles_emulated::Emulation emulation;
  const Scratch scratch(attention_backward_scratch(query->channels, value->channels));
  for (int64_t first = 0; first < query->positions; first += SmallBlock::positions) {
    avx512::attention_delta<BFloat16>(grad_output->map(), output->map(), first, expected,
                                      scratch.values);
  }
  const AttentionBackward<BFloat16, float> call{
      query->map(), key->map(), value->map(), grad_output->map(), scale,   maximum, sum,
      expected,     grad_query, grad_key,     grad_value};
  amx::attention_backward<BFloat16>(call, AttentionRange{0, key->positions},
                                    AttentionRange{0, query->positions}, scratch.values);
}
