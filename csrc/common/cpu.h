// What every CPU operator's launcher uses.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "common/tensor.h"

namespace vqe_fast {

// Uninitialised memory that starts at a cache line.
template <typename T>
class Scratch {
 public:
  explicit Scratch(int64_t count)
      : values_(static_cast<T*>(::operator new(count * sizeof(T), kLine))) {}
  T* get() const { return values_.get(); }

 private:
  static constexpr std::align_val_t kLine{64};
  struct Free {
    void operator()(T* values) const { ::operator delete(values, kLine); }
  };
  std::unique_ptr<T, Free> values_;
};

// A new tensor that a kernel is about to fill, in large pages where it is large and the system has
// them: to get and clear 4 KB pages one by one takes longer than most kernels here.
inline Tensor on_large_pages(Tensor fresh) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t kPage = 1 << 21;
  const auto start = reinterpret_cast<uintptr_t>(fresh.mutable_data_ptr());
  const uintptr_t begin = (start + kPage - 1) & ~(kPage - 1);
  const uintptr_t end = (start + fresh.numel() * fresh.element_size()) & ~(kPage - 1);
  if (begin < end) {
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);  // it may refuse
  }
#endif
  return fresh;
}

}  // namespace vqe_fast
