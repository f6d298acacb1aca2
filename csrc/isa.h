// Which instruction set the CPU kernels run on, chosen once at run time.
#pragma once

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace vqe_fast {

enum class Isa { baseline, avx2, avx512 };

inline const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::avx512:
      return "avx512";
    case Isa::avx2:
      return "avx2";
    default:
      return "baseline";
  }
}

inline Isa best_isa() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  return avx512 ? Isa::avx512 : avx2 ? Isa::avx2 : Isa::baseline;
#else
  return Isa::baseline;
#endif
}

// The best level of this machine, or the lower one that VQE_FAST_ISA names.
inline Isa isa_level() {
  static const Isa level = [] {
    const Isa best = best_isa();
    const char* asked = std::getenv("VQE_FAST_ISA");
    if (asked == nullptr) {
      return best;
    }
    for (Isa isa : {Isa::baseline, Isa::avx2}) {
      if (std::strcmp(asked, isa_name(isa)) == 0 && isa < best) {
        return isa;
      }
    }
    return best;
  }();
  return level;
}

}  // namespace vqe_fast
