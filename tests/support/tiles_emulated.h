// AMX on processors without it: a handler of the signal for unknown instructions does what those for
// tiles of bfloat16 pairs would do, so that the very code that a compiler made of a kernel can run.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include <cstdint>
#include <cstring>

namespace tiles_emulated {

constexpr int kTiles = 8, kRows = 16, kBytes = 64;
struct Tile {
  alignas(64) char bytes[kRows][kBytes];
};
inline thread_local Tile tiles[kTiles];
inline thread_local bool configured = false;

// Only the one configuration that the kernels use: all tiles whole.
inline bool configure(const unsigned char* config) {
  bool whole = config[0] == 1 && config[1] == 0;
  for (int tile = 0; tile < kTiles; ++tile) {
    whole = whole && config[16 + 2 * tile] == kBytes && config[17 + 2 * tile] == 0 &&
            config[48 + tile] == kRows;
  }
  configured = whole;
  return whole;
}

inline float widen(const char* half) {
  uint16_t bits;
  std::memcpy(&bits, half, sizeof bits);
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

inline void multiply_add(Tile& to, const Tile& left, const Tile& right) {
  for (int row = 0; row < kRows; ++row) {
    for (int column = 0; column < kBytes / 4; ++column) {
      float sum;
      std::memcpy(&sum, to.bytes[row] + 4 * column, sizeof sum);
      for (int k = 0; k < kBytes / 4; ++k) {
        const char* a = left.bytes[row] + 4 * k;
        const char* b = right.bytes[k] + 4 * column;
        sum += widen(a) * widen(b);
        sum += widen(a + 2) * widen(b + 2);
      }
      std::memcpy(to.bytes[row] + 4 * column, &sum, sizeof sum);
    }
  }
}

// The registers in the order in which instructions number them.
inline int64_t general_register(const ucontext_t* context, int number) {
  constexpr int kPlaces[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                             REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                             REG_R12, REG_R13, REG_R14, REG_R15};
  return context->uc_mcontext.gregs[kPlaces[number]];
}

// An instruction's operand in memory.
struct Operand {
  char* base;    // without the index
  int64_t step;  // the index, times its scale
  int length;    // of the bytes that describe it
};

// From the byte that says how the operand is addressed on.
inline Operand operand(const ucontext_t* context, const unsigned char* code, bool high_index,
                       bool high_base) {
  const int mode = code[0] >> 6, low = code[0] & 7;
  int length = 1, base = low + 8 * high_base;
  int64_t address = 0, step = 0;
  bool absolute = false;
  if (low == 4) {
    const int index = (code[1] >> 3 & 7) + 8 * high_index;
    base = (code[1] & 7) + 8 * high_base;
    absolute = (code[1] & 7) == 5 && mode == 0;
    step = index == 4 ? 0 : general_register(context, index) << (code[1] >> 6);
    length = 2;
  }
  if (!absolute) {
    address = general_register(context, base);
  }
  if (mode == 1) {
    address += static_cast<signed char>(code[length]);
    length += 1;
  } else if (mode == 2 || absolute) {
    int32_t displacement;
    std::memcpy(&displacement, code + length, sizeof displacement);
    address += displacement;
    length += 4;
  }
  return {reinterpret_cast<char*>(address), step, length};
}

// Whether the instruction at hand is one for tiles, which is done then.
inline bool run(ucontext_t* context) {
  auto& place = context->uc_mcontext.gregs[REG_RIP];
  const auto* code = reinterpret_cast<const unsigned char*>(place);
  // Three bytes of prefix, the second opcode map, 128 bits; or the two-byte form, never used here.
  if (code[0] != 0xc4 || (code[1] & 0x1f) != 2 || (code[2] & 0x84) != 0) {
    return false;
  }
  enum { kNone, k66, kF3, kF2 };
  const int prefix = code[2] & 3, opcode = code[3];
  const bool registers = code[4] >> 6 == 3;
  const int tile = code[4] >> 3 & 7;
  int length = 5;
  if (opcode == 0x49 && prefix == kNone && registers) {
    configured = false;
  } else if (opcode == 0x49 && prefix == kNone) {
    const Operand from = operand(context, code + 4, !(code[1] & 0x40), !(code[1] & 0x20));
    length = 4 + from.length;
    if (!configure(reinterpret_cast<const unsigned char*>(from.base + from.step))) {
      return false;
    }
  } else if (!configured) {
    return false;
  } else if (opcode == 0x49 && prefix == kF2 && registers) {
    tiles[tile] = {};
  } else if (opcode == 0x4b && (prefix == kF2 || prefix == kF3) && !registers) {
    const Operand memory = operand(context, code + 4, !(code[1] & 0x40), !(code[1] & 0x20));
    length = 4 + memory.length;
    for (int row = 0; row < kRows; ++row) {
      char* at = memory.base + row * memory.step;
      char* bytes = tiles[tile].bytes[row];
      prefix == kF2 ? std::memcpy(bytes, at, kBytes) : std::memcpy(at, bytes, kBytes);
    }
  } else if (opcode == 0x5c && prefix == kF3 && registers) {
    multiply_add(tiles[tile], tiles[code[4] & 7], tiles[~code[2] >> 3 & 7]);
  } else {
    return false;
  }
  place += length;
  return true;
}

inline void handle(int, siginfo_t*, void* context) {
  if (!run(static_cast<ucontext_t*>(context))) {
    signal(SIGILL, SIG_DFL);  // the instruction comes again, and ends the process
  }
}

// While it lives, tiles are emulated.
class Emulation {
 public:
  Emulation() {
    struct sigaction action = {};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGILL, &action, &before_);
  }
  ~Emulation() { sigaction(SIGILL, &before_, nullptr); }

 private:
  struct sigaction before_;
};

}  // namespace tiles_emulated
