// The attention kernel for AMX, on emulated tiles: see test_attention_tiles.py.
#include <immintrin.h>

#include "../support/tiles_on_host.h"
#include "attention.h"

#define VQE_FAST_BFLOAT16_LEVELS
#define VQE_FAST_KERNEL_BODY "attention_body.h"
#include "for_each_isa.h"

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

}  // namespace

extern "C" void attend(const Map* query, const Map* key, const Map* value, double scale,
                       BFloat16* output, float* maximum, float* sum) {
  const AttentionForward<BFloat16, float> call{query->map(), key->map(), value->map(), scale,
                                               output,       maximum,    sum};
  float* scratch = static_cast<float*>(
      _mm_malloc(attention_forward_scratch(query->channels, value->channels) * sizeof(float), 64));
  for (int64_t first = 0; first < query->positions; first += QueryBlock::positions) {
    amx::attention_forward<BFloat16>(call, first, scratch);
  }
  _mm_free(scratch);
}
