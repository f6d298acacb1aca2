// Which instruction set the CPU kernels run on, chosen once at run time.
#pragma once

#include <cstdlib>
#include <cstring>
#include <initializer_list>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace vqe_fast {

enum class Isa { baseline, avx2, avx512, avx512_bf16, amx };

inline const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::amx:
      return "amx";
    case Isa::avx512_bf16:
      return "avx512_bf16";
    case Isa::avx512:
      return "avx512";
    case Isa::avx2:
      return "avx2";
    default:
      return "baseline";
  }
}

// Whether there are tiles for bfloat16 and the system lets this process use them.
inline bool amx_permitted() {
#if defined(__x86_64__) && defined(__linux__)
  unsigned eax, ebx, ecx, edx = 0;
  constexpr unsigned kTilesAndBfloat16 = 1u << 24 | 1u << 22;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) ||
      (edx & kTilesAndBfloat16) != kTilesAndBfloat16) {
    return false;
  }
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

inline Isa best_isa() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  if (avx512 && __builtin_cpu_supports("avx512bf16")) {
    return amx_permitted() ? Isa::amx : Isa::avx512_bf16;
  }
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
    for (Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512, Isa::avx512_bf16}) {
      if (std::strcmp(asked, isa_name(isa)) == 0 && isa < best) {
        return isa;
      }
    }
    return best;
  }();
  return level;
}

}  // namespace vqe_fast
